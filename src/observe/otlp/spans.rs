//! Spans between the workers that make them and the thread that exports them; and what became of each.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use loopswap_rt::Address;
use tokio::sync::Notify;
use tonic::Code;

use crate::observe::TraceContext;
use crate::observe::otlp::Otlp;

/// The span of a call that has ended.
pub(super) struct Span {
    pub(super) context: TraceContext,
    pub(super) parent: Option<[u8; 8]>,
    pub(super) path: Box<str>,
    /// There is a method of this path.
    pub(super) is_known: bool,
    pub(super) code: Code,
    pub(super) began: SystemTime,
    pub(super) ended: SystemTime,
    pub(super) remote: Option<Address>,
    pub(super) local: Option<Address>,
    pub(super) runtime: &'static str,
    pub(super) worker: usize,
}

/// Why a span was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Too many waited: the collector is away or slow.
    QueueFull,
    /// The collector will not have it.
    Refused,
    /// It could not be delivered in time.
    Undelivered,
}

impl Loss {
    pub(crate) const ALL: [Self; 3] = [Self::QueueFull, Self::Refused, Self::Undelivered];

    /// Its name, as counters and logs have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Refused => "refused",
            Self::Undelivered => "undelivered",
        }
    }
}

/// The spans that wait, of all workers of a server. The lock is held for as long as it takes to move one, or to take a batch out; no worker waits for the
/// collector.
pub(crate) struct Spans {
    waiting: Mutex<VecDeque<Span>>,
    queue_max: usize,
    batch_max: usize,
    root_ratio: f64,
    /// Told when a batch is full.
    full: Notify,
    exported: AtomicU64,
    lost: [AtomicU64; Loss::ALL.len()],
}

impl Spans {
    pub(crate) fn new(otlp: &Otlp) -> Self {
        Self {
            waiting: Mutex::default(),
            queue_max: otlp.queue_max,
            batch_max: otlp.batch_max.min(otlp.queue_max),
            root_ratio: otlp.root_ratio,
            full: Notify::new(),
            exported: AtomicU64::new(0),
            lost: Default::default(),
        }
    }

    pub(super) fn root_ratio(&self) -> f64 {
        self.root_ratio
    }

    /// One more, on any thread. Where too many wait, it is dropped.
    pub(super) fn push(&self, span: Span) {
        let mut waiting = self.waiting();
        if waiting.len() == self.queue_max {
            drop(waiting);
            return self.lose(Loss::QueueFull, 1);
        }
        waiting.push_back(span);
        let is_batch = waiting.len().is_multiple_of(self.batch_max);
        drop(waiting);
        if is_batch {
            self.full.notify_one();
        }
    }

    /// Waits until a batch is full, or has been since this was last asked.
    pub(super) async fn is_full(&self) {
        self.full.notified().await;
    }

    /// The next batch; empty, if none wait.
    pub(super) fn take(&self) -> Vec<Span> {
        let mut waiting = self.waiting();
        let n = waiting.len().min(self.batch_max);
        waiting.drain(..n).collect()
    }

    /// Takes all away. How many they were.
    pub(super) fn clear(&self) -> usize {
        std::mem::take(&mut *self.waiting()).len()
    }

    /// So many have reached the collector.
    pub(super) fn arrived(&self, n: usize) {
        self.exported.fetch_add(n as u64, Ordering::Relaxed);
    }

    /// So many are dropped.
    pub(super) fn lose(&self, why: Loss, n: usize) {
        self.lost[why as usize].fetch_add(n as u64, Ordering::Relaxed);
    }

    /// How many wait.
    pub(crate) fn n_waiting(&self) -> usize {
        self.waiting().len()
    }

    /// How many have reached the collector.
    pub(crate) fn n_exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// How many were dropped, by the reason.
    pub(crate) fn lost(&self) -> impl Iterator<Item = (Loss, u64)> {
        Loss::ALL.into_iter().map(|why| (why, self.lost[why as usize].load(Ordering::Relaxed)))
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Span>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").field("n_waiting", &self.n_waiting()).finish_non_exhaustive()
    }
}
