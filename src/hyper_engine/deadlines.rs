//! The deadlines of a connection's calls, kept by the connection's own task.
//!
//! hyper polls an answer only while the peer's window is open, and a handler whose time is over must not wait for that. One timer of the loop serves
//! all calls of a connection.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Instant;

use loopswap_rt::{Sleep, now, sleep};

/// What ends when its time is over.
pub(super) trait Expire {
    /// It is over.
    fn expire(&self);
}

/// The deadlines of one connection; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Deadlines {
    state: Rc<RefCell<State>>,
}

#[derive(Default)]
struct State {
    /// By their time, and then by their number.
    due: BTreeMap<(Instant, u64), Weak<dyn Expire>>,
    n_made: u64,
    /// For the first of them or earlier: it is not put off when that one is gone.
    timer: Option<(Instant, Sleep)>,
}

/// A deadline that is waited for until this is dropped.
pub(super) struct Deadline {
    key: (Instant, u64),
    of: Deadlines,
}

impl Deadlines {
    /// `call` is to be told at this time. [`poll`](Self::poll) must follow in the same turn of the connection's task, to set the timer.
    pub(super) fn add(&self, at: Instant, call: Weak<dyn Expire>) -> Deadline {
        let mut state = self.state.borrow_mut();
        state.n_made += 1;
        let key = (at, state.n_made);
        state.due.insert(key, call);
        Deadline { key, of: self.clone() }
    }

    /// Tells those whose time is over, and has the task woken for the next.
    pub(super) fn poll(&self, cx: &mut Context<'_>) {
        while let Some(call) = self.next_expired(cx) {
            if let Some(call) = call.upgrade() {
                call.expire();
            }
        }
    }

    /// Takes the first call if its time is over; sets the timer if not.
    fn next_expired(&self, cx: &mut Context<'_>) -> Option<Weak<dyn Expire>> {
        let mut state = self.state.borrow_mut();
        loop {
            let (at, _) = *state.due.first_key_value()?.0;
            if state.timer.as_ref().is_none_or(|(set_for, _)| *set_for > at) {
                let now = now();
                if at <= now {
                    return state.due.pop_first().map(|(_, call)| call);
                }
                state.timer = Some((at, sleep(at.saturating_duration_since(now))));
            }
            let (_, timer) = state.timer.as_mut()?;
            if Pin::new(timer).poll(cx) == Poll::Pending {
                return None;
            }
            state.timer = None;
        }
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.of.state.borrow_mut().due.remove(&self.key);
    }
}
