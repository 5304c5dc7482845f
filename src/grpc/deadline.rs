//! The deadline of the call whose handler is running: what calls made on its behalf go by.

use std::cell::Cell;
use std::time::Instant;

thread_local! {
    static CURRENT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// When the client of the call gives up whose handler, or whose stream, is being polled on this thread; `None` outside a call, and of one without a
/// deadline. A [`Channel`](crate::client::Channel) goes by it unless told otherwise; for other clients, `tokio::time` and the like it is here to be asked.
/// A task that a handler spawns is no part of its call.
pub fn current_deadline() -> Option<Instant> {
    CURRENT.get()
}

/// While this lives, the call's deadline is the current one.
pub(super) struct Within {
    is_set: bool,
}

impl Within {
    #[inline]
    pub(super) fn enter(deadline: Option<Instant>) -> Self {
        if deadline.is_some() {
            CURRENT.set(deadline);
        }
        Self { is_set: deadline.is_some() }
    }
}

impl Drop for Within {
    #[inline]
    fn drop(&mut self) {
        if self.is_set {
            CURRENT.set(None);
        }
    }
}
