//! Where in its life a worker is, and how its connections learn of it.
//!
//! The supervisor tells a worker by a channel between threads; the worker tells its connections by a cell and their wakers, because each of
//! them looks at every turn. The same wakers serve the worker's alarms.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use loopswap_rt::{Connection, spawn_local};

use crate::observe::Observer;
use crate::server::alarms::{Alarms, Keeper};
use crate::server::channelz::WorkerSockets;

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

/// The phase of a worker, its open connections, and their alarms.
pub(crate) struct Phases {
    phase: Cell<Phase>,
    watches: RefCell<Watches>,
    pub(super) alarms: Alarms,
    /// Who waits for the last connection to end.
    at_none: Cell<Option<Waker>>,
    observer: Option<Rc<Observer>>,
    /// Where connections are told of, if anybody may ask.
    sockets: Option<WorkerSockets>,
}

/// A slot for each connection.
#[derive(Default)]
struct Watches {
    slots: Vec<Watch>,
    /// The slot that was left last, if one is free.
    free: Option<u32>,
    n_open: usize,
}

enum Watch {
    /// Of an open connection: its waker, once it has looked.
    Open(Option<Waker>),
    /// And the one that was left before.
    Free(Option<u32>),
}

impl Phases {
    /// An observer is told of connections that come and go, and so are sockets.
    pub(crate) fn new(observer: Option<Rc<Observer>>, sockets: Option<WorkerSockets>) -> Rc<Self> {
        Rc::new(Self {
            phase: Cell::new(Phase::Serving),
            watches: RefCell::default(),
            alarms: Alarms::default(),
            at_none: Cell::new(None),
            observer,
            sockets,
        })
    }

    /// Enters a phase, and wakes the connections.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.set(self.phase.get().max(phase));
        let wakers: Vec<_> = self.watches.borrow().slots.iter().filter_map(Watch::waker).cloned().collect();
        for waker in wakers {
            waker.wake();
        }
    }

    /// A connection's view. It counts as open until the view is dropped.
    pub(crate) fn watch(self: &Rc<Self>) -> PhaseWatch {
        let slot = self.watches.borrow_mut().open();
        if let Some(observer) = &self.observer {
            observer.connection_opened();
        }
        PhaseWatch { phases: Rc::clone(self), slot, alarm: 0, waker: None }
    }

    /// The worker accepts no more.
    pub(super) fn stops_listening(&self) {
        self.sockets.iter().for_each(WorkerSockets::stops_listening);
    }

    /// How many connections are open.
    pub(crate) fn n_connections(&self) -> usize {
        self.watches.borrow().n_open
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

    /// Wakes the connection in a slot.
    pub(super) fn wake(&self, slot: u32) {
        let waker = self.watches.borrow().slots[slot as usize].waker().cloned();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Watches {
    fn open(&mut self) -> u32 {
        self.n_open += 1;
        let Some(slot) = self.free else {
            self.slots.push(Watch::Open(None));
            return u32::try_from(self.slots.len() - 1).expect("a process has fewer descriptors");
        };
        if let Watch::Free(next) = std::mem::replace(&mut self.slots[slot as usize], Watch::Open(None)) {
            self.free = next;
        }
        slot
    }

    fn close(&mut self, slot: u32) {
        self.slots[slot as usize] = Watch::Free(self.free.replace(slot));
        self.n_open -= 1;
        if self.n_open == 0 {
            *self = Self::default();
        }
    }
}

impl Watch {
    fn waker(&self) -> Option<&Waker> {
        match self {
            Self::Open(waker) => waker.as_ref(),
            Self::Free(_) => None,
        }
    }
}

/// One connection's view of its worker's phase.
pub(crate) struct PhaseWatch {
    phases: Rc<Phases>,
    slot: u32,
    /// The tick of its alarm; 0 for none.
    alarm: u32,
    /// The waker that the worker knows.
    waker: Option<Waker>,
}

impl PhaseWatch {
    /// The phase now; the task is woken when it changes, and by its alarm.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Phase {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
            self.phases.watches.borrow_mut().slots[self.slot as usize] = Watch::Open(self.waker.clone());
        }
        self.phases.phase.get()
    }

    /// Tells those of the connection who may ask about sockets.
    pub(super) fn introduce(&self, connection: &impl Connection) {
        if let Some(sockets) = &self.phases.sockets
            && let Ok(local) = connection.local_addr()
        {
            sockets.opened(self.slot, local, connection.peer_addr().clone());
        }
    }

    /// Has the task woken at this time, and at no other that was said before: never early, and late by a tick of the [alarms](super::alarms) at most. It
    /// must have looked at the phase.
    pub(crate) fn set_alarm(&mut self, at: Option<Instant>) {
        let alarms = &self.phases.alarms;
        alarms.remove(self.alarm, self.slot);
        self.alarm = at.map_or(0, |at| alarms.insert(at, self.slot));
        if self.alarm != 0 && !alarms.are_kept() {
            drop(spawn_local(Keeper::new(&self.phases)));
        }
    }
}

impl Drop for PhaseWatch {
    fn drop(&mut self) {
        self.set_alarm(None);
        self.phases.watches.borrow_mut().close(self.slot);
        if let Some(observer) = &self.phases.observer {
            observer.connection_closed();
        }
        if let Some(sockets) = &self.phases.sockets {
            sockets.closed(self.slot);
        }
        if self.phases.n_connections() == 0
            && let Some(waiting) = self.phases.at_none.take()
        {
            waiting.wake();
        }
    }
}
