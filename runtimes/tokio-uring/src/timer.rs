//! Time: a queue of deadlines, the earliest of which is a timeout of the ring, on the kernel's high-resolution timers.
//!
//! One timeout for many sleeps, rather than one each, because tokio-uring offers no way to cancel an operation: a sleep that is dropped only
//! leaves the queue, and a timeout that fires for nobody costs one completion.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use io_uring::opcode;
use io_uring::types::{TimeoutFlags, Timespec};
use loopswap_rt::Timer;
use rustix::time::{ClockId, clock_gettime};

use crate::TokioUring;
use crate::ring::{Op, Ring, submit_unawaited};

impl Timer for TokioUring {
    type Sleep = Sleep;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep { ring: Ring::current(), deadline, entry: None }
    }
}

/// A sleep on the ring's timer.
pub struct Sleep {
    ring: Rc<Ring>,
    deadline: Instant,
    /// Its place in the queue, once it was polled.
    entry: Option<Key>,
}

impl std::fmt::Debug for Sleep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.deadline {
            return Poll::Ready(());
        }
        let entry = self.entry.unwrap_or_else(|| self.ring.timers.key(self.deadline));
        self.entry = Some(entry);
        self.ring.timers.set(entry, cx.waker());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(entry) = self.entry {
            self.ring.timers.remove(entry);
        }
    }
}

/// A deadline, and a number that tells equal ones apart.
type Key = (Instant, u64);

/// The sleeps of a worker.
#[derive(Default)]
pub(crate) struct Timers {
    queue: RefCell<BTreeMap<Key, Waker>>,
    numbers: Cell<u64>,
    /// Timeouts in the ring, the earliest last: each new one is earlier than all before it.
    armed: RefCell<Vec<(Instant, Op<Box<Timespec>>)>>,
    timekeeper: Cell<Option<Waker>>,
}

impl Timers {
    fn key(&self, deadline: Instant) -> Key {
        self.numbers.set(self.numbers.get() + 1);
        (deadline, self.numbers.get())
    }

    fn set(&self, key: Key, waker: &Waker) {
        self.queue.borrow_mut().insert(key, waker.clone());
        if self.arm(key.0)
            && let Some(timekeeper) = self.timekeeper.take()
        {
            timekeeper.wake();
        }
    }

    fn remove(&self, key: Key) {
        // Dropped after the borrow has ended: a waker's destructor may drop a task, and with it another sleep.
        let removed = self.queue.borrow_mut().remove(&key);
        drop(removed);
    }

    /// Puts a timeout for `deadline` into the ring, unless an earlier one is there. Says whether it did.
    fn arm(&self, deadline: Instant) -> bool {
        let mut armed = self.armed.borrow_mut();
        if armed.last().is_some_and(|(earliest, _)| *earliest <= deadline) {
            return false;
        }
        // An absolute time, because the entry may wait before the kernel sees it. `Instant` is this clock, but does not show its value.
        let now = clock_gettime(ClockId::Monotonic);
        let at =
            std::time::Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32) + deadline.saturating_duration_since(Instant::now());
        let at = Box::new(Timespec::from(at));
        let entry = opcode::Timeout::new(&raw const *at).flags(TimeoutFlags::ABS).build();
        armed.push((deadline, submit_unawaited(at, entry)));
        true
    }

    /// The timekeeper's turn: wakes the sleeps that are over, and arms the next.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.timekeeper.set(Some(cx.waker().clone()));
        loop {
            self.armed.borrow_mut().retain_mut(|(_, timeout)| Pin::new(timeout).poll(cx).is_pending());
            self.wake_until(Instant::now());
            let earliest = self.queue.borrow().first_key_value().map(|(key, _)| key.0);
            // A timeout armed here must be polled once, to be told of its completion.
            if !earliest.is_some_and(|earliest| self.arm(earliest)) {
                return Poll::Pending;
            }
        }
    }

    fn wake_until(&self, now: Instant) {
        loop {
            // One at a time, and woken outside the borrow.
            let over = match self.queue.borrow_mut().first_entry() {
                Some(entry) if entry.key().0 <= now => entry.remove(),
                _ => return,
            };
            over.wake();
        }
    }
}
