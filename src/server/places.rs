//! The connections that are open: how many each worker has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The open connections of one worker, those that wait to be handed over to it among them.
#[derive(Debug, Default)]
pub(super) struct Share {
    n_open: AtomicUsize,
}

impl Share {
    /// How many there are.
    pub(super) fn n_open(&self) -> usize {
        self.n_open.load(Ordering::Relaxed)
    }

    /// A place for one more.
    pub(super) fn take(self: &Arc<Self>) -> Place {
        self.n_open.fetch_add(1, Ordering::Relaxed);
        Place { share: Arc::clone(self) }
    }
}

/// The place of one connection. Dropped with it, however it ends.
#[derive(Debug)]
pub(super) struct Place {
    share: Arc<Share>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.share.n_open.fetch_sub(1, Ordering::Relaxed);
    }
}
