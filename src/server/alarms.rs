//! One timer of the loop for whatever is not urgent of all connections of a worker: keepalive, idleness, age.
//!
//! These are seconds to hours away, and ten thousand idle connections have them all the time. A timer of the loop each would cost each of them memory, and
//! most would be set for nothing. An alarm is eight bytes in an ordered set instead, found in some ten comparisons. The keeper, one task a worker while there
//! are alarms, sleeps until the first and wakes the connections that are due; what is due of them they find out by themselves.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use loopswap_rt::{Sleep, deadline_after, now, sleep};

use crate::server::phase::Phases;

/// Alarms ring at multiples of this time, so that those which are nearly due together share a timer. It is their precision: they ring up to a tick late.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Connections that are woken before the loop's other tasks, and its sockets, have their turn.
const RINGS_A_TURN_MAX: usize = 64;

/// The alarms of a worker's connections.
#[derive(Default)]
pub(super) struct Alarms {
    /// Tick 0, when the first alarm was set.
    epoch: OnceCell<Instant>,
    /// When, and whose.
    set: RefCell<BTreeSet<(u32, u32)>>,
    keeper: Cell<Kept>,
}

/// What the alarms know of their keeper.
#[derive(Default)]
enum Kept {
    #[default]
    Not,
    /// It is about to look.
    Awake,
    /// It sleeps until this tick.
    Asleep(u32, Waker),
}

impl Alarms {
    /// Sets an alarm for a slot, and returns its tick, which is not 0.
    pub(super) fn insert(&self, at: Instant, slot: u32) -> u32 {
        let tick = self.tick_at(at);
        self.set.borrow_mut().insert((tick, slot));
        self.wake_keeper(|until| tick < until);
        tick
    }

    /// Forgets the slot's alarm, if it is set for this tick.
    pub(super) fn remove(&self, tick: u32, slot: u32) {
        let mut set = self.set.borrow_mut();
        if set.remove(&(tick, slot)) && set.is_empty() {
            self.wake_keeper(|_| true);
        }
    }

    /// Whether there is a keeper.
    pub(super) fn are_kept(&self) -> bool {
        let kept = self.keeper.take();
        let are_kept = !matches!(kept, Kept::Not);
        self.keeper.set(kept);
        are_kept
    }

    /// Wakes the keeper if it sleeps until a tick of which `is_wrong` says so.
    fn wake_keeper(&self, is_wrong: impl FnOnce(u32) -> bool) {
        match self.keeper.take() {
            Kept::Asleep(until, waker) if is_wrong(until) => {
                self.keeper.set(Kept::Awake);
                waker.wake();
            }
            kept => self.keeper.set(kept),
        }
    }

    /// The first tick that is not before this time.
    fn tick_at(&self, at: Instant) -> u32 {
        let epoch = *self.epoch.get_or_init(now);
        let ticks = at.saturating_duration_since(epoch).as_nanos().div_ceil(TICK.as_nanos());
        u32::try_from(ticks).unwrap_or(u32::MAX).max(1)
    }

    fn time_of(&self, tick: u32) -> Instant {
        deadline_after(*self.epoch.get_or_init(now), TICK * tick)
    }

    fn first(&self) -> Option<u32> {
        self.set.borrow().first().map(|(tick, _)| *tick)
    }

    /// Takes the first alarm if it is due.
    fn take_due(&self, now: Instant) -> Option<u32> {
        let mut set = self.set.borrow_mut();
        let (tick, _) = *set.first()?;
        (self.time_of(tick) <= now).then(|| set.pop_first()).flatten().map(|(_, slot)| slot)
    }
}

/// The task that rings. It ends when no alarm is set.
pub(super) struct Keeper {
    phases: Rc<Phases>,
    /// For the first alarm or an earlier one: it is not put off when that one is gone.
    timer: Option<(u32, Sleep)>,
}

impl Keeper {
    pub(super) fn new(phases: &Rc<Phases>) -> Self {
        phases.alarms.keeper.set(Kept::Awake);
        Self { phases: Rc::clone(phases), timer: None }
    }
}

impl Future for Keeper {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { phases, timer } = &mut *self;
        let alarms = &phases.alarms;
        let mut n_rung = 0;
        while let Some(first) = alarms.first() {
            let now = now();
            if timer.as_ref().is_none_or(|(until, _)| *until > first) {
                *timer = Some((first, sleep(alarms.time_of(first).saturating_duration_since(now))));
            }
            let (until, sleep) = timer.as_mut().expect("it was set above");
            if Pin::new(sleep).poll(cx).is_pending() {
                alarms.keeper.set(Kept::Asleep(*until, cx.waker().clone()));
                return Poll::Pending;
            }
            while let Some(slot) = alarms.take_due(now) {
                phases.wake(slot);
                n_rung += 1;
                if n_rung == RINGS_A_TURN_MAX {
                    // The timer has fired; it is not polled again.
                    *timer = None;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            *timer = None;
        }
        Poll::Ready(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.phases.alarms.keeper.set(Kept::Not);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use loopswap_memory::{Memory, Peer, World, pair};
    use loopswap_rt::live_tasks;

    use super::*;
    use crate::greeter::{GreeterServer, Hello};
    use crate::server::phase::PhaseWatch;
    use crate::{Http2, Limits, Lone, Router};

    /// A task that looks when it is woken, and sets its alarm for the next of these times until none is left; when it was woken for each.
    fn sleeper(world: &World, phases: &Rc<Phases>, times: Vec<Instant>) -> Rc<RefCell<Vec<Instant>>> {
        let woken = Rc::new(RefCell::new(Vec::new()));
        let (seen, mut watch) = (Rc::clone(&woken), phases.watch());
        world.spawn(async move {
            for time in times {
                ring(&mut watch, time).await;
                seen.borrow_mut().push(now());
            }
        });
        woken
    }

    async fn ring(watch: &mut PhaseWatch, time: Instant) {
        let mut is_set = false;
        poll_fn(|cx| {
            watch.poll(cx);
            if is_set {
                return Poll::Ready(());
            }
            is_set = true;
            watch.set_alarm(Some(time));
            Poll::Pending
        })
        .await;
    }

    #[test]
    fn ring_never_early_and_less_than_a_tick_late() {
        let world = World::enter();
        let (phases, start) = (Phases::new(None, None), now());
        let times =
            [[250, 1000], [120, 3000], [2, 2001], [100_000, 100_100]].map(|ms| ms.map(|ms| start + Duration::from_millis(ms)).to_vec());
        let sleepers: Vec<_> = times.iter().map(|times| sleeper(&world, &phases, times.clone())).collect();
        world.turn();
        assert_eq!(world.n_timers(), 1, "one for all");
        for _ in 0..110_000 {
            world.pass(Duration::from_millis(1));
        }
        for (times, woken) in times.iter().zip(&sleepers) {
            let woken = woken.borrow();
            assert_eq!(times.len(), woken.len());
            assert!(times.iter().zip(woken.iter()).all(|(time, woken)| woken >= time && *woken < *time + TICK), "{times:?}, {woken:?}");
        }
        assert_eq!((live_tasks(), world.n_timers()), (0, 0), "the keeper has ended");
    }

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, 0], payload].concat()
    }

    /// Connections whose handshake is done.
    fn connections(world: &World, lone: &Lone, n: usize) -> Vec<Peer> {
        let open = |_| {
            let (connection, peer) = pair();
            let served = lone.serve(Memory, connection, Http2::Native, Router::from(GreeterServer::new(Hello)));
            world.spawn(async move {
                let _ = served.await;
            });
            peer.send(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, &[]), &frame(4, 1, &[])].concat());
            world.turn();
            peer.take();
            peer
        };
        (0..n).map(open).collect()
    }

    /// More at once than ring in a turn; some answer and some do not.
    #[test]
    fn a_thousand_idle_connections_share_a_timer_and_each_is_asked_in_time() {
        let world = World::enter();
        let lone = Lone::new(Limits::default());
        let mut peers = connections(&world, &lone, 1000);
        world.pass(Duration::from_secs(3600));
        assert_eq!((world.n_tasks(), world.n_timers()), (1001, 1));
        world.pass(Duration::from_secs(3599));
        assert!(peers.iter().all(|peer| peer.take().is_empty()), "they need not be asked yet");
        world.pass(Duration::from_secs(1) + TICK);
        let ping = frame(6, 0, b"keepaliv");
        assert!(peers.iter().all(|peer| peer.take() == ping), "two hours have passed");
        for peer in peers.iter().step_by(2) {
            peer.send(&frame(6, 1, b"keepaliv"));
        }
        world.pass(Duration::from_secs(20) + TICK);
        let told = |peer: &Peer| peer.take().ends_with(b"keepalive_timeout");
        let given_up: Vec<_> = peers.iter().map(told).collect();
        assert!(given_up.chunks(2).all(|pair| pair == [false, true]));
        world.pass(Duration::from_secs(2));
        assert_eq!((world.n_tasks(), lone.n_connections()), (501, 500));
        peers.clear();
        world.turn();
        assert_eq!((world.n_tasks(), world.n_timers()), (0, 0), "nothing is left");
    }

    #[test]
    fn without_any_of_it_there_is_no_timer() {
        let world = World::enter();
        let lone = Lone::new(Limits { keepalive_time: None, ..Limits::default() });
        let peers = connections(&world, &lone, 10);
        world.pass(Duration::from_secs(15));
        assert_eq!((world.n_tasks(), world.n_timers()), (10, 0));
        drop(peers);
    }
}
