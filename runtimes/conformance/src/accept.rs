//! Accepting: no client is lost, none is served twice, and an error does not end the listener.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use loopswap_rt::{Address, Listener, Runtime, sleep};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::Socket;

use crate::peer::{accept, dial, peer, read_exact, receive_exact, send, tcp, try_dial};
use crate::support::{BOUND, poll_once, within, yield_now};

/// Dropped accepts take no client with them: not when they were dropped before the clients came, and not in between.
pub async fn cancelled_accepts_lose_no_client<R: Runtime>(rt: R) {
    let bound = tcp();
    let address = bound.local_addr().unwrap();
    let mut listener = rt.listen(bound).unwrap();
    for _ in 0..5 {
        assert!(poll_once(pin!(listener.accept())).await.is_pending());
        yield_now().await;
    }
    let clients = numbered_clients(&address, 5);
    serve_in_order(&mut listener, 5).await;
    answered(clients).await;

    for _ in 0..20 {
        assert!(poll_once(pin!(listener.accept())).await.is_pending());
        yield_now().await;
        let clients = numbered_clients(&address, 1);
        // Whether it is pending depends on the loop's turn; if not, the client is here.
        let arrived = poll_once(pin!(listener.accept())).await;
        match arrived {
            Poll::Ready(accepted) => serve(accepted.unwrap().unwrap(), 0).await,
            Poll::Pending => serve_in_order(&mut listener, 1).await,
        }
        answered(clients).await;
    }
}

/// Clients are handed out in the order in which they came.
pub async fn in_the_order_of_arrival<R: Runtime>(rt: R) {
    let bound = tcp();
    let clients = numbered_clients(&bound.local_addr().unwrap(), 50);
    serve_in_order(&mut rt.listen(bound).unwrap(), 50).await;
    answered(clients).await;
}

/// A hundred clients at once are accepted exactly once each.
pub async fn many_clients_at_once<R: Runtime>(rt: R) {
    const CLIENTS: u8 = 100;
    let bound = tcp();
    let address = bound.local_addr().unwrap();
    let mut listener = rt.listen(bound).unwrap();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let address = address.clone();
            peer(move || {
                let mut socket = dial(&address);
                socket.write_all(&[n]).unwrap();
                assert_eq!(read_exact(&socket, 1), [n]);
            })
        })
        .collect();
    let mut seen = HashSet::new();
    for _ in 0..CLIENTS {
        let mut connection = accept(&mut listener).await;
        let number = receive_exact(&mut connection, 1).await;
        assert!(seen.insert(number[0]), "a client was accepted twice");
        send(&mut connection, number).await;
    }
    for client in clients {
        client.await;
    }
    assert!(poll_once(pin!(listener.accept())).await.is_pending(), "there are no more clients");
}

/// The task that polled last is woken, not the one that polled first.
pub async fn wakes_who_polled_last<R: Runtime>(rt: R) {
    let bound = tcp();
    let address = bound.local_addr().unwrap();
    let mut listener = rt.listen(bound).unwrap();
    assert!(listener.poll_accept(&mut Context::from_waker(Waker::noop())).is_pending());
    yield_now().await;
    let mut accepting = pin!(listener.accept());
    assert!(poll_once(accepting.as_mut()).await.is_pending());
    let client = peer(move || dial(&address));
    within("the client", accepting).await.unwrap().unwrap();
    client.await;
}

/// Without descriptors each accept fails, at once; when there are some again, the client that waited is served.
pub async fn no_descriptors_left<R: Runtime>(rt: R) {
    let bound = tcp();
    let address = bound.local_addr().unwrap();
    let mut listener = rt.listen(bound).unwrap();
    // Nothing may be closed under the limit, not even late: that would leave a descriptor.
    let clients = numbered_clients(&address, 1);
    {
        let _limit = NoDescriptors::set();
        for _ in 0..3 {
            let error = match within("the error", listener.accept()).await.expect("the listener goes on") {
                Ok(_) => panic!("there is no descriptor for a client"),
                Err(error) => error,
            };
            assert_eq!(error.raw_os_error(), Some(Errno::MFILE.raw_os_error()), "{error}");
        }
    }
    // A ring may have begun the next attempt under the limit.
    let mut attempts = 0;
    let connection = loop {
        match within("the client that waited", listener.accept()).await.expect("the listener goes on") {
            Ok(connection) => break connection,
            Err(error) => assert!(attempts < 3, "{error}, although there are descriptors"),
        }
        attempts += 1;
    };
    serve(connection, 0).await;
    answered(clients).await;
    let clients = numbered_clients(&address, 1);
    serve_in_order(&mut listener, 1).await;
    answered(clients).await;
}

/// Dropping a listener with an accept under way closes its port, while the loop goes on.
pub async fn drop_closes_the_port<R: Runtime>(rt: R) {
    let bound = tcp();
    let address = bound.local_addr().unwrap();
    let mut listener = rt.listen(bound).unwrap();
    assert!(poll_once(pin!(listener.accept())).await.is_pending());
    yield_now().await;
    drop(listener);
    let give_up = Instant::now() + BOUND;
    while try_dial(&address).is_ok() {
        assert!(Instant::now() < give_up, "the port still takes clients");
        sleep(Duration::from_millis(1)).await;
    }
}

/// Clients that have connected, one after the other, and sent their number.
pub(crate) fn numbered_clients(address: &Address, n_clients: u8) -> Vec<Socket> {
    let client = |n| {
        let mut socket = dial(address);
        socket.write_all(&[n]).unwrap();
        socket
    };
    (0..n_clients).map(client).collect()
}

/// Accepts and answers the next of the numbered clients.
pub(crate) async fn serve_in_order(listener: &mut impl Listener, n_clients: u8) {
    for n in 0..n_clients {
        serve(accept(listener).await, n).await;
    }
}

/// Answers the client, who must be number `n`.
pub(crate) async fn serve(mut connection: impl loopswap_rt::Connection, n: u8) {
    let number = receive_exact(&mut connection, 1).await;
    assert_eq!(number, [n], "clients come in order");
    send(&mut connection, number).await;
}

/// Each of the numbered clients has its answer.
pub(crate) async fn answered(clients: Vec<Socket>) {
    let check = move || clients.iter().zip(0_u8..).for_each(|(socket, n)| assert_eq!(read_exact(socket, 1), [n]));
    peer(check).await;
}

/// While it lives, this process gets no new descriptor.
struct NoDescriptors {
    restore: Rlimit,
}

impl NoDescriptors {
    fn set() -> Self {
        let restore = getrlimit(Resource::Nofile);
        // The lowest number that is free is the next to be given out: a limit there leaves none.
        let lowest_free = File::open("/dev/null").unwrap().as_raw_fd() as u64;
        setrlimit(Resource::Nofile, Rlimit { current: Some(lowest_free), maximum: restore.maximum }).unwrap();
        Self { restore }
    }
}

impl Drop for NoDescriptors {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.restore).unwrap();
    }
}
