//! Time, which passes when [`World::pass`](crate::World::pass) says so.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use loopswap_rt::Timer;

use crate::Memory;
use crate::world::current;

/// The sleeps that wait, by deadline and then in the order in which they began.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    waiting: BTreeMap<(Instant, u64), Waker>,
    n_made: u64,
}

impl Timers {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the earliest that is due by then.
    pub(crate) fn take_due(&mut self, by: Instant) -> Option<(Instant, Waker)> {
        self.next().filter(|at| *at <= by)?;
        self.waiting.pop_first().map(|((at, _), waker)| (at, waker))
    }
}

/// The future of [`sleep_until`](Timer::sleep_until).
#[derive(Debug)]
pub struct MemorySleep {
    deadline: Instant,
    number: Option<u64>,
}

impl Timer for Memory {
    type Sleep = MemorySleep;

    fn now(&self) -> Instant {
        current().now.get()
    }

    fn sleep_until(&self, deadline: Instant) -> MemorySleep {
        MemorySleep { deadline, number: None }
    }
}

impl Future for MemorySleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let world = current();
        if self.deadline <= world.now.get() {
            return Poll::Ready(());
        }
        let mut timers = world.timers.borrow_mut();
        let number = *self.number.get_or_insert_with(|| {
            timers.n_made += 1;
            timers.n_made
        });
        timers.waiting.insert((self.deadline, number), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for MemorySleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            current().timers.borrow_mut().waiting.remove(&(self.deadline, number));
        }
    }
}
