//! One worker: accepts on its loop, serves each connection in a task, drains.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use loopswap_rt::{BoundListener, Listener as _, Runtime, timeout};

use crate::http2::Limits;
use crate::hyper_engine::HyperEngine;
use crate::native_engine::NativeEngine;
use crate::observe::{Observer, Wanted};
use crate::pulse::Pulse;
use crate::server::accept::Backoff;
use crate::server::channelz::{Sockets, WorkerSockets};
use crate::server::engine::{Engine, House, Http2};
use crate::server::orders::Orders;
use crate::server::phase::{Phase, Phases};
use crate::server::watchdog::Ticking;
use crate::server::{Counters, Overload};
use crate::service::Router;

/// Connections that are told to stop have no more to do than to be dropped; a worker waits for them no longer than this.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// What a worker serves with.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) http2: Http2,
    pub(super) limits: Limits,
    pub(super) overload: Overload,
    pub(super) counters: Arc<Counters>,
    pub(super) drain_timeout: Duration,
    pub(super) observe: Wanted,
    pub(super) sockets: Option<Arc<Sockets>>,
}

/// Serves until the supervisor says otherwise, and all connections have ended. Returns how many of them were cut.
///
/// # Errors
///
/// The loop refuses the listener.
pub(super) async fn serve<R: Runtime>(
    runtime: R,
    listener: BoundListener,
    router: Router,
    setup: Setup,
    pulse: Arc<Pulse>,
    observer: Option<Rc<Observer>>,
    mut orders: Orders,
) -> io::Result<usize> {
    let local = listener.local_addr().ok();
    let mut listener = runtime.listen(listener)?;
    let Setup { http2, limits, overload, counters, drain_timeout, sockets, .. } = setup;
    let sockets = sockets.zip(local).map(|(sockets, local)| WorkerSockets::new(sockets, local));
    let phases = Phases::new(observer.clone(), sockets);
    let house = House::new(limits, &overload, counters, Arc::clone(&pulse), observer);
    let ticking = Ticking::start(pulse, Rc::clone(&house), overload.tick());
    let start = |connection: R::Connection| {
        let (on, router, house, watch) = (runtime.clone(), router.clone(), Rc::clone(&house), phases.watch());
        watch.introduce(&connection);
        // A task of its own type for each engine, so that neither is as large as the other.
        match http2 {
            Http2::Native => runtime.spawn(NativeEngine.serve(on, connection, router, house, watch).map(drop)),
            Http2::Hyper => runtime.spawn(HyperEngine.serve(on, connection, router, house, watch).map(drop)),
        }
    };

    let mut backoff = Backoff::default();
    while orders.phase() < Phase::Draining {
        // An order interrupts the wait, not the accept, which lives in the listener.
        let accepted = orders.unless_ordered(poll_fn(|cx| listener.poll_accept(cx))).await;
        match accepted {
            None => {}
            Some(Some(Ok(connection))) => {
                backoff.reset();
                start(connection);
            }
            Some(Some(Err(error))) => {
                if let Some(pause) = backoff.pause(&error) {
                    tracing::warn!(?pause, "cannot accept: {error}");
                    orders.unless_ordered(loopswap_rt::sleep(pause)).await;
                }
            }
            Some(None) => return Err(io::Error::other("the listener ended by itself")),
        }
    }

    // Read once: a later order is noticed by those who wait for it.
    let drains = orders.phase() == Phase::Draining;
    listener.stop();
    phases.stops_listening();
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
        orders.unless_ordered(drained).await;
    }
    // Counted before they are told.
    let n_cut = phases.n_connections();
    phases.enter(Phase::Stopping);
    let _ = timeout(STOP_TIMEOUT, phases.no_connections()).await;
    ticking.end().await;
    Ok(n_cut)
}
