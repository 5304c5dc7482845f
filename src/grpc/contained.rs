//! Panics that stay with their call.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the client is told. The panic's own message may hold secrets; the panic hook has printed it for the operator.
pub(crate) const PANICKED: &str = "the handler panicked";

/// The value of `work`; `None` when it panicked.
///
/// Its caller drops, unseen, whatever `work` may have left half done.
pub(crate) fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => Some(value),
        Err(payload) => {
            // What a panic carries may panic once more when it is dropped; then it is left alone.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                mem::forget(payload);
            }
            None
        }
    }
}
