//! One worker: accepts on its loop, serves each connection in a task, drains.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use loopswap_rt::{BoundListener, Connection as _, Listener as _, Runtime, timeout};
use tokio::sync::watch;

use crate::server::Limits;
use crate::server::accept::Backoff;
use crate::server::engine::{Closed, Engine};
use crate::server::phase::{Phase, Phases};

/// Connections that are told to stop have no more to do than to be dropped; a worker waits for them no longer than this.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// What a worker serves with.
#[derive(Clone, Debug)]
pub(super) struct Setup<E> {
    pub(super) engine: E,
    pub(super) limits: Limits,
    pub(super) drain_timeout: Duration,
}

/// Serves until the supervisor says otherwise, and all connections have ended. Returns how many of them were cut.
///
/// # Errors
///
/// The loop refuses the listener.
pub(super) async fn serve<R, E, S>(
    runtime: R,
    listener: BoundListener,
    service: S,
    setup: Setup<E>,
    mut orders: watch::Receiver<Phase>,
) -> io::Result<usize>
where
    R: Runtime,
    E: Engine<S>,
    S: Clone + 'static,
{
    let mut listener = runtime.listen(listener)?;
    let Setup { engine, limits, drain_timeout } = setup;
    let (phases, limits) = (Phases::new(), Rc::new(limits));
    let start = |connection: R::Connection| {
        let (on, service, limits, watch) = (runtime.clone(), service.clone(), Rc::clone(&limits), phases.watch());
        runtime.spawn(async move {
            let peer = connection.peer_addr().clone();
            let closed = engine.serve(on, connection, service, &limits, watch).await;
            match closed {
                Closed::Orderly | Closed::Stopped => tracing::debug!(%peer, "connection closed: {closed}"),
                Closed::NoHandshake | Closed::Broken(_) => tracing::info!(%peer, "connection closed: {closed}"),
            }
        });
    };

    let mut backoff = Backoff::default();
    while *orders.borrow_and_update() == Phase::Serving {
        // An order interrupts the wait, not the accept, which lives in the listener.
        let accepted = unless_ordered(&mut orders, poll_fn(|cx| listener.poll_accept(cx))).await;
        match accepted {
            None => {}
            Some(Some(Ok(connection))) => {
                backoff.reset();
                start(connection);
            }
            Some(Some(Err(error))) => {
                if let Some(pause) = backoff.pause(&error) {
                    tracing::warn!(?pause, "cannot accept: {error}");
                    unless_ordered(&mut orders, loopswap_rt::sleep(pause)).await;
                }
            }
            Some(None) => return Err(io::Error::other("the listener ended by itself")),
        }
    }

    // Read once: a later order is noticed by those who wait for it.
    let drains = *orders.borrow() == Phase::Draining;
    listener.stop();
    if drains {
        phases.enter(Phase::Draining);
    }
    while let Some(accepted) = listener.accept().await {
        match accepted {
            Ok(connection) => start(connection),
            Err(error) => tracing::info!("a client that came before the end cannot be taken: {error}"),
        }
    }
    drop(listener);
    if drains {
        let drained = timeout(drain_timeout, phases.no_connections());
        unless_ordered(&mut orders, drained).await;
    }
    // Counted before they are told.
    let n_cut = phases.n_connections();
    phases.enter(Phase::Stopping);
    let _ = timeout(STOP_TIMEOUT, phases.no_connections()).await;
    Ok(n_cut)
}

/// The future's value, or `None` when an order came first. A supervisor that is gone orders to stop.
async fn unless_ordered<F: Future>(orders: &mut watch::Receiver<Phase>, future: F) -> Option<F::Output> {
    let mut ordered = pin!(orders.changed());
    let mut future = pin!(future);
    poll_fn(|cx| {
        if ordered.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await
}
