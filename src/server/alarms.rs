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
