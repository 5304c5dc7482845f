//! The figures of one worker. The worker's thread alone writes them, so that nothing is locked and no cache line goes to and fro; whoever gathers reads
//! them at any time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tonic::Code;

use crate::grpc::Kind;

/// The number of gRPC's status codes.
pub(super) const N_CODES: usize = 17;

/// The upper bounds of the histogram of handling times: Prometheus' own default buckets, and below them those of a server whose calls take microseconds.
pub(super) const BOUNDS: [Duration; 16] = {
    const fn us(n: u64) -> Duration {
        Duration::from_micros(n)
    }
    [
        us(100),
        us(250),
        us(500),
        us(1000),
        us(2500),
        us(5000),
        us(10_000),
        us(25_000),
        us(50_000),
        us(100_000),
        us(250_000),
        us(500_000),
        us(1_000_000),
        us(2_500_000),
        us(5_000_000),
        us(10_000_000),
    ]
};

/// The same in nanoseconds: one comparison each.
const BOUNDS_NS: [u64; BOUNDS.len()] = {
    let mut all = [0; BOUNDS.len()];
    let mut place = 0;
    while place < all.len() {
        all[place] = BOUNDS[place].as_nanos() as u64;
        place += 1;
    }
    all
};

/// A figure that one thread writes and others read.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// Adds to it, on the thread that writes it. A load and a store: nobody comes in between.
    #[inline]
    pub(super) fn add(&self, n: u64) {
        self.0.store(self.get().wrapping_add(n), Ordering::Relaxed);
    }

    /// As `add`.
    pub(super) fn subtract(&self, n: u64) {
        self.0.store(self.get().wrapping_sub(n), Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a worker's calls are counted under.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) service: String,
    pub(super) method: String,
    pub(super) kind: Kind,
}

impl Name {
    /// Of all calls whose method is none that is known.
    pub(super) fn unknown() -> Self {
        Self { service: "unknown".into(), method: "unknown".into(), kind: Kind::Unknown }
    }

    /// Of a path: `/package.Service/Method`.
    pub(super) fn of(path: &[u8], kind: Kind) -> Self {
        let path = String::from_utf8_lossy(path);
        let (service, method) = path.trim_start_matches('/').rsplit_once('/').unwrap_or(("unknown", "unknown"));
        Self { service: service.into(), method: method.into(), kind }
    }
}

/// The calls of one method on one worker. Of an alignment that no two share a cache line, nor a pair of them, which processors fetch together.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct MethodCounts {
    pub(super) name: Name,
    pub(super) started: Count,
    /// By their codes.
    pub(super) handled: [Count; N_CODES],
    pub(super) messages_received: Count,
    pub(super) messages_sent: Count,
    /// How many took no longer than each of [`BOUNDS`] and longer than the one before; the last took longer than all of them.
    pub(super) took: [Count; BOUNDS.len() + 1],
    pub(super) took_ns: Count,
}

impl MethodCounts {
    pub(super) fn new(name: Name) -> Self {
        Self {
            name,
            started: Count::default(),
            handled: Default::default(),
            messages_received: Count::default(),
            messages_sent: Count::default(),
            took: Default::default(),
            took_ns: Count::default(),
        }
    }

    /// A call has ended so, after this time.
    #[inline]
    pub(super) fn ended(&self, code: Code, took: Duration) {
        self.handled[code as usize].add(1);
        let took_ns = took.as_nanos() as u64;
        let bucket = BOUNDS_NS.iter().position(|bound| took_ns <= *bound).unwrap_or(BOUNDS.len());
        self.took[bucket].add(1);
        self.took_ns.add(took_ns);
    }

    /// How many have ended.
    pub(super) fn n_handled(&self) -> u64 {
        self.handled.iter().map(Count::get).sum()
    }
}

/// All figures of one worker.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct WorkerCounts {
    /// Its loop's word, and its number.
    pub(super) runtime: &'static str,
    pub(super) worker: usize,
    /// Calls under way whose method is not known yet.
    pub(super) n_unnamed: Count,
    pub(super) connections_accepted: Count,
    pub(super) connections_closed: Count,
    pub(super) bytes_received: Count,
    pub(super) bytes_sent: Count,
    /// The first is of unknown methods.
    methods: Mutex<Vec<Arc<MethodCounts>>>,
}

impl WorkerCounts {
    pub(super) fn new(runtime: &'static str, worker: usize) -> Self {
        Self {
            runtime,
            worker,
            n_unnamed: Count::default(),
            connections_accepted: Count::default(),
            connections_closed: Count::default(),
            bytes_received: Count::default(),
            bytes_sent: Count::default(),
            methods: Mutex::default(),
        }
    }

    /// The methods that are counted. Locked for as long as it takes to add one, or to gather.
    pub(super) fn methods(&self) -> MutexGuard<'_, Vec<Arc<MethodCounts>>> {
        self.methods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_the_first_bucket_that_holds_it() {
        for (took, bucket) in [(0, 0), (100, 0), (101, 1), (250, 1), (10_000_000, 15), (10_000_001, 16)] {
            let counts = MethodCounts::new(Name::unknown());
            counts.ended(Code::NotFound, Duration::from_micros(took));
            let filled: Vec<_> = counts.took.iter().map(Count::get).enumerate().filter(|(_, n)| *n > 0).collect();
            assert_eq!(filled, [(bucket, 1)], "{took} µs");
            assert_eq!((counts.handled[5].get(), counts.n_handled(), counts.took_ns.get()), (1, 1, took * 1000));
        }
    }

    #[test]
    fn the_figures_of_two_methods_share_no_cache_line() {
        assert_eq!(size_of::<MethodCounts>() % 128, 0);
        assert_eq!(align_of::<WorkerCounts>(), 128);
    }
}
