//! How long a connection is idle, and how old it is: hyper does not count its calls for us.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use loopswap_rt::{Timer, now};

use crate::http2::Limits;
use crate::server::{Care, Due, PhaseWatch};

/// How many calls a connection has.
#[derive(Debug)]
pub(super) struct Open {
    n: Cell<usize>,
    /// When the last one ended, or the connection began.
    since: Cell<Instant>,
    has_begun: Cell<bool>,
}

/// A call that is counted until this is dropped.
pub(super) struct OneOpen(Rc<Open>);

impl Open {
    pub(super) fn none(now: Instant) -> Rc<Self> {
        Rc::new(Self { n: Cell::new(0), since: Cell::new(now), has_begun: Cell::new(false) })
    }

    pub(super) fn begin(self: &Rc<Self>) -> OneOpen {
        self.n.set(self.n.get() + 1);
        self.has_begun.set(true);
        OneOpen(Rc::clone(self))
    }

    /// Whether there has been one.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun.get()
    }
}

impl Drop for OneOpen {
    fn drop(&mut self) {
        let Self(open) = self;
        open.n.set(open.n.get() - 1);
        if open.n.get() == 0 {
            open.since.set(now());
        }
    }
}

/// Idleness and age of one connection.
pub(super) struct Life {
    care: Care,
    open: Rc<Open>,
    /// When something may be due. The worker's alarm wakes the task for it.
    next: Option<Instant>,
}

impl Life {
    /// Of a connection that begins now.
    pub(super) fn new(limits: &Limits, now: Instant, open: Rc<Open>) -> Self {
        // The first turn finds out.
        Self { care: Care::new(limits, now), open, next: Some(now) }
    }

    /// What is due now; and has the task woken for what is next. A connection that is drained is not idle. The clock is read only where something will be due.
    pub(super) fn due(&mut self, limits: &Limits, clock: &impl Timer, is_drained: bool, phases: &mut PhaseWatch) -> Option<Due> {
        let next = self.next?;
        let now = clock.now();
        if next > now {
            return None;
        }
        let idle_since = (!is_drained && self.open.n.get() == 0).then(|| self.open.since.get());
        let due = self.care.due(limits, now, idle_since);
        self.next = self.care.next(limits, now, idle_since.filter(|_| due.is_none()));
        phases.set_alarm(self.next);
        due
    }
}
