//! Stopping a listener: what had arrived is handed out, what comes later is refused.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::pin;
use std::rc::Rc;

use loopswap_rt::{BoundListener, Listener, Runtime};
use tempfile::tempdir;

use crate::accept::{answered, numbered_clients, serve_in_order};
use crate::peer::{tcp, try_dial, unix};
use crate::support::{Signal, poll_once, within, yield_now};

/// Clients that had connected before the stop are handed out and served, whether or not an accept was under way.
pub async fn hands_out_the_backlog<R: Runtime>(rt: R) {
    for accept_is_under_way in [false, true] {
        let directory = tempdir().unwrap();
        for bound in [tcp(), unix(directory.path())] {
            stops_with_a_backlog(&rt, bound, accept_is_under_way).await;
        }
    }
}

async fn stops_with_a_backlog<R: Runtime>(rt: &R, bound: BoundListener, accept_is_under_way: bool) {
    let address = bound.local_addr().unwrap();
    let mut listener = rt.listen(bound).unwrap();
    if accept_is_under_way {
        assert!(poll_once(pin!(listener.accept())).await.is_pending());
        yield_now().await;
    }
    let clients = numbered_clients(&address, 10);
    listener.stop();
    serve_in_order(&mut listener, 10).await;
    answered(clients).await;
    assert!(within("the end", listener.accept()).await.is_none());
}

/// A task that waits in an accept is woken by a stop, and told the end.
pub async fn ends_a_pending_accept<R: Runtime>(rt: R) {
    let listener = Rc::new(RefCell::new(rt.listen(tcp()).unwrap()));
    let (waits, ended) = (Signal::default(), Signal::default());
    rt.spawn({
        let (listener, waits, ended) = (Rc::clone(&listener), waits.clone(), ended.clone());
        async move {
            let accepted = poll_fn(|cx| {
                waits.raise();
                listener.borrow_mut().poll_accept(cx)
            });
            assert!(accepted.await.is_none());
            ended.raise();
        }
    });
    within("the first poll", waits.wait()).await;
    listener.borrow_mut().stop();
    within("the end of the accept", ended.wait()).await;
}

/// Stopping again changes nothing, and the end stays the end.
pub async fn twice<R: Runtime>(rt: R) {
    let bound = tcp();
    let clients = numbered_clients(&bound.local_addr().unwrap(), 3);
    let mut listener = rt.listen(bound).unwrap();
    listener.stop();
    serve_in_order(&mut listener, 1).await;
    listener.stop();
    let mut rest = Vec::new();
    while let Some(accepted) = within("a client or the end", listener.accept()).await {
        rest.push(accepted.unwrap());
    }
    assert_eq!(rest.len(), 2);
    for (connection, n) in rest.into_iter().zip(1..) {
        crate::accept::serve(connection, n).await;
    }
    answered(clients).await;
    listener.stop();
    for _ in 0..3 {
        assert!(within("the end", listener.accept()).await.is_none());
    }
}

/// The kernel refuses those who come after a stop, although the listener lives.
pub async fn refuses_later_clients<R: Runtime>(rt: R) {
    for accept_is_under_way in [true, false] {
        let directory = tempdir().unwrap();
        for bound in [tcp(), unix(directory.path())] {
            let address = bound.local_addr().unwrap();
            let mut listener = rt.listen(bound).unwrap();
            if accept_is_under_way {
                assert!(poll_once(pin!(listener.accept())).await.is_pending());
                yield_now().await;
            }
            listener.stop();
            assert_eq!(try_dial(&address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
            assert!(within("the end", listener.accept()).await.is_none());
        }
    }
}
