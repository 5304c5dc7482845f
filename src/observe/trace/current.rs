//! The context of the call whose handler is running: what calls made on its behalf go by, as by its deadline.

use std::cell::Cell;

use crate::observe::TraceContext;

thread_local! {
    static CURRENT: Cell<Option<TraceContext>> = const { Cell::new(None) };
}

/// The trace of the call whose handler, or whose stream, is being polled on this thread, as calls made on its behalf are to tell it; `None` outside a call, of one
/// that came without a trace on a server that begins none, and where neither [spans](crate::Builder::call_spans) nor an export of them was asked for.
///
/// A [`Channel`](crate::client::Channel) tells it to its server unless told otherwise; for other clients it is here to be asked. A task that a handler spawns
/// is no part of its call.
pub fn current_trace() -> Option<TraceContext> {
    let current = CURRENT.take();
    CURRENT.set(current.clone());
    current
}

/// While this lives, the call's context is the current one.
pub(in crate::observe) struct Current {
    is_set: bool,
}

impl Current {
    pub(in crate::observe) fn enter(context: Option<&TraceContext>) -> Self {
        if context.is_some() {
            CURRENT.set(context.cloned());
        }
        Self { is_set: context.is_some() }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        if self.is_set {
            CURRENT.set(None);
        }
    }
}
