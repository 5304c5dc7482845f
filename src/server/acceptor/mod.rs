//! The acceptor: a thread that accepts for all workers, and hands each connection over to the one that has the fewest.
//!
//! It is there for listeners that cannot be bound once a worker, and for those that are not to be, because the kernel's choice is not good enough. It is a
//! plain thread, and no worker, so that a worker which is busy with a handler keeps no client from the others; it runs no loop, so that it does the same
//! beside each. Every worker has a queue with a bound, and each connection in it has its place already.

mod poller;

use std::io;
use std::os::fd::AsFd as _;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select, select_all};
use loopswap_rt::{AcceptedSocket, accept_now, drain_backlog, take_backlog};
use socket2::SockRef;
use tokio::sync::{mpsc, watch};

use crate::server::accept::Backoff;
use crate::server::listen::Shared;
use crate::server::phase::Phase;
use crate::server::places::{Place, Share};
use poller::{Bell, Poller};

/// Connections that wait for one worker. One that is stuck in a handler keeps no more clients from the others than these; one that is not empties it at
/// each turn.
const QUEUE_MAX: usize = 64;

/// A connection that is handed over, and its place.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) client: AcceptedSocket,
    pub(super) place: Place,
}

/// A worker, as the acceptor sees it.
#[derive(Debug)]
struct Target {
    share: Arc<Share>,
    queue: mpsc::Sender<Handed>,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Acceptor {
    listeners: Vec<Shared>,
    targets: Vec<Target>,
    ordered: watch::Receiver<Phase>,
    bell: Arc<Bell>,
}

impl Acceptor {
    /// One that accepts from these listeners, for the workers with these shares; and the queues of those.
    ///
    /// # Errors
    ///
    /// There is no descriptor left for what wakes it.
    pub(super) fn new(
        listeners: Vec<Shared>,
        shares: &[Arc<Share>],
        ordered: watch::Receiver<Phase>,
    ) -> io::Result<(Self, Vec<mpsc::Receiver<Handed>>)> {
        for shared in &listeners {
            SockRef::from(&shared.listener).set_nonblocking(true)?;
        }
        let (queues, ends): (Vec<_>, _) = shares.iter().map(|_| mpsc::channel(QUEUE_MAX)).unzip();
        let targets = shares.iter().zip(queues).map(|(share, queue)| Target { share: Arc::clone(share), queue }).collect();
        Ok((Self { listeners, targets, ordered, bell: Arc::new(Bell::new()?) }, ends))
    }

    /// Accepts until the server drains, hands out what has come by then, and closes the queues.
    ///
    /// # Errors
    ///
    /// poll(2) fails.
    pub(super) fn run(self) -> io::Result<()> {
        let Self { listeners, targets, mut ordered, bell } = self;
        let poller = Poller::new(bell, listeners.iter().map(|shared| shared.listener.as_fd()).collect());
        poller.run(async {
            accept(&listeners, &targets, &mut ordered, &poller).await?;
            // Of a server that stops, as of one that drains, later clients are refused.
            let rest: Vec<_> = listeners.iter().map(Shared::end).collect();
            for client in rest.into_iter().flatten() {
                // One that nobody takes any more is closed.
                let Some(Some(target)) = before(Phase::Stopping, &mut ordered, least_busy(&targets, 0)).await else { break };
                target.hand_over(client, target.share.take_beyond());
            }
            Ok(())
        })?
    }
}

/// Accepts until the drain, or until no worker is left.
async fn accept(listeners: &[Shared], targets: &[Target], ordered: &mut watch::Receiver<Phase>, poller: &Poller<'_>) -> io::Result<()> {
    let mut backoff = Backoff::default();
    let mut turn = 0;
    while let Some(ready) = before(Phase::Draining, ordered, poller.client()).await {
        let listener = listeners[ready?].listener.as_fd();
        // All that a connection needs is there before it is accepted; until then it waits in the kernel.
        let Some(()) = before(Phase::Draining, ordered, targets[0].share.places().room()).await else { break };
        let Some(Some(target)) = before(Phase::Draining, ordered, least_busy(targets, turn)).await else { break };
        // A worker with a listener of its own may have been faster.
        let Some(place) = target.share.try_take() else { continue };
        match accept_now(listener) {
            Ok(client) => {
                backoff.reset();
                turn += 1;
                target.hand_over(client, place);
            }
            // The client has left, or another holder of the socket has taken it.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                if let Some(pause) = backoff.pause(&error) {
                    tracing::warn!(?pause, "cannot accept: {error}");
                    drop(place);
                    before(Phase::Draining, ordered, poller.sleep(pause)).await;
                }
            }
        }
    }
    Ok(())
}

impl Shared {
    /// Accepts from it for the last time.
    fn end(&self) -> Vec<AcceptedSocket> {
        let listener = self.listener.as_fd();
        if self.is_inherited { take_backlog(listener) } else { drain_backlog(listener) }
    }
}

impl Target {
    fn hand_over(&self, client: AcceptedSocket, place: Place) {
        // Only this thread sends, so there is still the room that was seen. A worker that has ended meanwhile takes none: the connection is closed.
        let _ = self.queue.try_send(Handed { client, place });
    }

    fn has_room(&self) -> bool {
        !self.queue.is_closed() && self.queue.capacity() > 0
    }
}

/// The worker with the fewest connections, among those whose queues have room; waits until there is one. Where several have as few, each has its `turn`. `None` when
/// no worker takes any.
async fn least_busy(targets: &[Target], turn: usize) -> Option<&Target> {
    loop {
        let in_turn = targets.iter().cycle().skip(turn % targets.len()).take(targets.len());
        if let Some(best) = in_turn.filter(|target| target.has_room()).min_by_key(|target| target.share.n_open()) {
            return Some(best);
        }
        let open = targets.iter().filter(|target| !target.queue.is_closed());
        let rooms: Vec<_> = open.map(|target| Box::pin(target.queue.reserve())).collect();
        if rooms.is_empty() {
            return None;
        }
        // What it gives is given back: only this thread takes any.
        drop(select_all(rooms).await);
    }
}

/// The future's value, or `None` when this phase, or a later one, was ordered first. A supervisor that is gone orders to stop.
async fn before<F: Future>(phase: Phase, ordered: &mut watch::Receiver<Phase>, future: F) -> Option<F::Output> {
    let told = pin!(ordered.wait_for(|now| *now >= phase));
    match select(told, pin!(future)).await {
        Either::Left(_) => None,
        Either::Right((value, _)) => Some(value),
    }
}
