//! Which calls of a connection were woken: a bit each, set from any thread.
//!
//! A call has a waker of its own, so that of a hundred calls those are polled that can go on. All of them wake the connection's task, which polls
//! whatever was woken by then and sends their answers together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;

/// The woken calls of a connection.
#[derive(Debug)]
pub(crate) struct Ready {
    words: Box<[AtomicU64]>,
    /// The task was woken and has not looked since.
    notified: AtomicBool,
    task: AtomicWaker,
}

/// Wakes the call in a slot; after that call, the next one there, for which it then is a waking too many.
struct SlotWaker {
    ready: Arc<Ready>,
    slot: usize,
}

impl Ready {
    /// For slots below `n_slots`.
    pub(crate) fn new(n_slots: usize) -> Arc<Self> {
        let words = (0..n_slots.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { words, notified: AtomicBool::new(false), task: AtomicWaker::new() })
    }

    /// The waker of a slot.
    pub(crate) fn waker(self: &Arc<Self>, slot: usize) -> Waker {
        Waker::from(Arc::new(SlotWaker { ready: Arc::clone(self), slot }))
    }

    /// Says whom to wake from now on. To be called at the beginning of the task's turn, before [`take`](Self::take).
    pub(crate) fn listen(&self, task: &Waker) {
        self.task.register(task);
        self.notified.store(false, Ordering::SeqCst);
    }

    /// Wakes the connection's task.
    pub(crate) fn notify(&self) {
        if !self.notified.swap(true, Ordering::SeqCst) {
            self.task.wake();
        }
    }

    /// Calls `each` with every slot that was woken since the last time.
    pub(crate) fn take(&self, mut each: impl FnMut(usize)) {
        for (i, word) in self.words.iter().enumerate() {
            if word.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let mut bits = word.swap(0, Ordering::SeqCst);
            while bits != 0 {
                each(i * 64 + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
    }

    fn wake_slot(&self, slot: usize) {
        self.words[slot / 64].fetch_or(1 << (slot % 64), Ordering::SeqCst);
        self.notify();
    }
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.ready.wake_slot(self.slot);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.wake_slot(self.slot);
    }
}
