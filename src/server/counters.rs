//! How often peers have reached each limit.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::http2::Violation;
#[cfg(feature = "tls")]
use crate::tls::TlsRefusal;

/// A counter for each [`Violation`], of all workers and connections of a server together. Those of HTTP/2 only the native engine counts.
pub struct Counters {
    violations: [AtomicU64; Violation::ALL.len()],
    #[cfg(feature = "tls")]
    tls_refusals: [AtomicU64; TlsRefusal::ALL.len()],
    stalls: AtomicU64,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            violations: [const { AtomicU64::new(0) }; Violation::ALL.len()],
            stalls: AtomicU64::new(0),
            #[cfg(feature = "tls")]
            tls_refusals: [const { AtomicU64::new(0) }; TlsRefusal::ALL.len()],
        }
    }

    pub(crate) fn count(&self, violation: Violation) {
        self.violations[violation as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_stall(&self) {
        self.stalls.fetch_add(1, Ordering::Relaxed);
    }

    /// How often a worker's loop has stood still for longer than [`Overload::stall_log`](crate::Overload::stall_log).
    pub fn stalls(&self) -> u64 {
        self.stalls.load(Ordering::Relaxed)
    }

    /// How often the limit was reached since the server was started.
    pub fn get(&self, violation: Violation) -> u64 {
        self.violations[violation as usize].load(Ordering::Relaxed)
    }

    /// All limits, and how often each was reached.
    pub fn all(&self) -> impl Iterator<Item = (Violation, u64)> {
        Violation::ALL.iter().map(|violation| (*violation, self.get(*violation)))
    }

    /// The limits that were reached, and how often.
    pub fn reached(&self) -> impl Iterator<Item = (Violation, u64)> {
        self.all().filter(|(_, n)| *n > 0)
    }
}

#[cfg(feature = "tls")]
impl Counters {
    pub(crate) fn count_tls(&self, refusal: TlsRefusal) {
        self.tls_refusals[refusal as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often TLS was refused for this reason since the server was started; on either engine.
    pub fn tls_refused(&self, refusal: TlsRefusal) -> u64 {
        self.tls_refusals[refusal as usize].load(Ordering::Relaxed)
    }

    /// The reasons for which TLS was refused, and how often.
    pub fn tls_refusals(&self) -> impl Iterator<Item = (TlsRefusal, u64)> {
        TlsRefusal::ALL.iter().map(|refusal| (*refusal, self.tls_refused(*refusal))).filter(|(_, n)| *n > 0)
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.reached().map(|(violation, n)| (violation.name(), n))).finish()
    }
}
