//! Where in its life a worker is, and how its connections learn of it.
//!
//! The supervisor tells a worker by a channel between threads; the worker tells its connections by a cell and their wakers, because each of
//! them looks at every turn.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::observe::Observer;

/// The phases, in order; none is left for an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Accepting and serving.
    Serving,
    /// The same, but health says otherwise, so that load balancers go elsewhere before the drain. Connections are not told.
    Leaving,
    /// No longer accepting; calls under way go on.
    Draining,
    /// Closing everything now.
    Stopping,
}

/// The phase of a worker, and its open connections.
pub(crate) struct Phases {
    phase: Cell<Phase>,
    /// A connection each; the waker once it has looked.
    watches: RefCell<BTreeMap<u64, Option<Waker>>>,
    numbers: Cell<u64>,
    /// Who waits for the last connection to end.
    at_none: Cell<Option<Waker>>,
    observer: Option<Rc<Observer>>,
}

impl Phases {
    /// An observer is told of connections that come and go.
    pub(crate) fn new(observer: Option<Rc<Observer>>) -> Rc<Self> {
        Rc::new(Self {
            phase: Cell::new(Phase::Serving),
            watches: RefCell::default(),
            numbers: Cell::new(0),
            at_none: Cell::new(None),
            observer,
        })
    }

    /// Enters a phase, and wakes the connections.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.set(self.phase.get().max(phase));
        let wakers: Vec<_> = self.watches.borrow().values().flatten().cloned().collect();
        for waker in wakers {
            waker.wake();
        }
    }

    /// A connection's view. It counts as open until the view is dropped.
    pub(crate) fn watch(self: &Rc<Self>) -> PhaseWatch {
        let number = self.numbers.get();
        self.numbers.set(number + 1);
        self.watches.borrow_mut().insert(number, None);
        if let Some(observer) = &self.observer {
            observer.connection_opened();
        }
        PhaseWatch { phases: Rc::clone(self), number, waker: None }
    }

    /// How many connections are open.
    pub(crate) fn n_connections(&self) -> usize {
        self.watches.borrow().len()
    }

    /// Waits until no connection is open. One waiter at a time.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub(crate) async fn no_connections(&self) {
        poll_fn(|cx| {
            if self.n_connections() == 0 {
                return Poll::Ready(());
            }
            self.at_none.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// One connection's view of its worker's phase.
pub(crate) struct PhaseWatch {
    phases: Rc<Phases>,
    number: u64,
    /// The waker that the worker knows.
    waker: Option<Waker>,
}

impl PhaseWatch {
    /// The phase now; the task is woken when it changes.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Phase {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
            self.phases.watches.borrow_mut().insert(self.number, self.waker.clone());
        }
        self.phases.phase.get()
    }
}

impl Drop for PhaseWatch {
    fn drop(&mut self) {
        self.phases.watches.borrow_mut().remove(&self.number);
        if let Some(observer) = &self.phases.observer {
            observer.connection_closed();
        }
        if self.phases.n_connections() == 0
            && let Some(waiting) = self.phases.at_none.take()
        {
            waiting.wake();
        }
    }
}
