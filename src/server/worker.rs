//! One worker: accepts on its loop, serves each connection in a task, drains.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Either, maybe_done, select, try_join, try_join_all};
use loopswap_rt::{Address, BoundListener, Listener, Runtime, timeout};
use tokio::sync::mpsc;

use crate::http2::Limits;
use crate::hyper_engine::{HyperEngine, Origins};
use crate::native_engine::NativeEngine;
use crate::observe::{Observer, Wanted};
use crate::pulse::Pulse;
use crate::server::accept::Backoff;
use crate::server::acceptor::Handed;
use crate::server::channelz::{Sockets, WorkerSockets};
use crate::server::engine::{Engine, House, Http2};
use crate::server::orders::Orders;
use crate::server::phase::{Phase, Phases};
use crate::server::places::{Place, Share};
use crate::server::security::Security;
use crate::server::watchdog::Ticking;
use crate::server::{Counters, Handle, Overload};
use crate::service::Router;

/// Connections that are told to stop have no more to do than to be dropped; a worker waits for them no longer than this.
pub(super) const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// What a worker serves with.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) http2: Http2,
    pub(super) limits: Limits,
    pub(super) overload: Overload,
    pub(super) counters: Arc<Counters>,
    pub(super) security: Security,
    pub(super) origins: Option<Arc<Origins>>,
    pub(super) drain_timeout: Duration,
    pub(super) observe: Wanted,
    pub(super) sockets: Option<Arc<Sockets>>,
}

/// By which ways connections come to a worker.
#[derive(Debug)]
pub(super) struct Entrance {
    /// Its own listeners.
    pub(super) listeners: Vec<BoundListener>,
    /// Where the server listens besides, of which this worker tells.
    pub(super) also_at: Vec<Address>,
    /// What the acceptor hands over, where there is one.
    pub(super) handed: Option<mpsc::Receiver<Handed>>,
    pub(super) share: Arc<Share>,
}

/// Serves until the supervisor says otherwise, and all connections have ended. Returns how many of them were cut.
///
/// # Errors
///
/// The loop refuses a listener.
pub(super) async fn serve<R: Runtime>(
    runtime: R,
    entrance: Entrance,
    router: Router,
    setup: Setup,
    pulse: Arc<Pulse>,
    observer: Option<Rc<Observer>>,
    handle: Handle,
) -> io::Result<usize> {
    let Entrance { listeners, also_at, handed, share } = entrance;
    let listens_at = listeners.iter().filter_map(|listener| listener.local_addr().ok()).chain(also_at).collect::<Vec<_>>();
    let listeners = listeners.into_iter().map(|listener| runtime.listen(listener)).collect::<io::Result<Vec<_>>>()?;
    let Setup { http2, limits, overload, counters, security, origins, drain_timeout, sockets, .. } = setup;
    let sockets = sockets.map(|sockets| WorkerSockets::new(sockets, listens_at));
    let phases = Phases::new(observer.clone(), sockets);
    let house = House::new(limits, &overload, counters, Arc::clone(&pulse), observer, security, origins);
    let ticking = Ticking::start(pulse, Rc::clone(&house), overload.tick());
    let start = |connection: R::Connection, place: Place| {
        let (on, router, house, watch) = (runtime.clone(), router.clone(), Rc::clone(&house), phases.watch());
        watch.introduce(&connection);
        let connection = house.security.put_on(connection, &house.counters);
        // The connection's place is given back when its task is dropped, behind the connection.
        let ended = move |_| drop(place);
        // A task of its own type for each engine, so that neither is as large as the other.
        match http2 {
            Http2::Native => runtime.spawn(NativeEngine.serve(on, connection, router, house, watch).map(ended)),
            Http2::Hyper => runtime.spawn(HyperEngine.serve(on, connection, router, house, watch).map(ended)),
        }
    };

    let mut orders = Orders::new(handle.clone());
    let mut handed = pin!(maybe_done(take_over(&runtime, handed, &start)));
    let accepting = listeners.into_iter().map(|listener| accept(listener, Orders::new(handle.clone()), &share, &start));
    let entering = async {
        // Without listeners of its own, a worker waits for the drain alone.
        let (stopped, ()) = try_join(try_join_all(accepting), orders.until_drained().map(Ok)).await?;
        // Read once: a later order is noticed by those who wait for it.
        let drains = orders.phase() == Phase::Draining;
        phases.stops_listening();
        if drains {
            phases.enter(Phase::Draining);
        }
        for mut listener in stopped {
            while let Some(accepted) = listener.accept().await {
                match accepted {
                    Ok(connection) => start(connection, share.take_beyond()),
                    Err(error) => tracing::info!("a client that came before the end cannot be taken: {error}"),
                }
            }
        }
        io::Result::Ok(drains)
    };
    let drains = match select(pin!(entering), handed.as_mut()).await {
        Either::Left((drains, _)) => drains?,
        Either::Right(((), entering)) => entering.await?,
    };
    if drains {
        // The acceptor drains too, which is the end of what it hands over.
        let drained = timeout(drain_timeout, async {
            handed.await;
            phases.no_connections().await;
        });
        orders.unless_ordered(drained).await;
    }
    // Counted before they are told.
    let n_cut = phases.n_connections();
    phases.enter(Phase::Stopping);
    let _ = timeout(STOP_TIMEOUT, phases.no_connections()).await;
    ticking.end().await;
    Ok(n_cut)
}

/// Accepts until the drain; then the listener, which is stopped, hands out what had come.
///
/// It does not accept while there is no place. Where several listeners wait for clients the last place may be gone when this one's comes, and an accept that is under
/// way cannot be taken back: such a client waits for a place here, unread, and not in the kernel. Of a server's listeners all but one can hold a client so.
async fn accept<L: Listener>(
    mut listener: L,
    mut orders: Orders,
    share: &Arc<Share>,
    start: &impl Fn(L::Connection, Place),
) -> io::Result<L> {
    let mut backoff = Backoff::default();
    let mut newcomer = None;
    while orders.phase() < Phase::Draining {
        if let Some(connection) = newcomer.take() {
            match orders.unless_ordered(share.take()).await {
                Some(place) => start(connection, place),
                None => newcomer = Some(connection),
            }
            continue;
        }
        if orders.unless_ordered(share.places().room()).await.is_none() {
            continue;
        }
        // An order interrupts the wait, not the accept, which lives in the listener.
        let accepted = orders.unless_ordered(poll_fn(|cx| listener.poll_accept(cx))).await;
        match accepted {
            None => {}
            Some(Some(Ok(connection))) => {
                backoff.reset();
                newcomer = Some(connection);
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
    listener.stop();
    if let Some(connection) = newcomer {
        start(connection, share.take_beyond());
    }
    Ok(listener)
}

/// Takes over what the acceptor hands over, until it has ended.
async fn take_over<R: Runtime>(runtime: &R, handed: Option<mpsc::Receiver<Handed>>, start: &impl Fn(R::Connection, Place)) {
    let Some(mut handed) = handed else { return };
    while let Some(Handed { client, place }) = handed.recv().await {
        match runtime.adopt(client) {
            Ok(connection) => start(connection, place),
            Err(error) => tracing::warn!("a client that was accepted cannot be taken over: {error}"),
        }
    }
}
