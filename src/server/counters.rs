//! How often peers have reached each limit.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::http2::Violation;
#[cfg(feature = "tls")]
use crate::tls::TlsRefusal;

/// Counters of one family, as metrics tell them.
pub(crate) struct Counted {
    /// Its name, without `_total`.
    pub(crate) family: &'static str,
    pub(crate) help: &'static str,
    /// What tells its counters apart, where there are several.
    pub(crate) label: Option<&'static str>,
    /// The label's value, and how often it was counted.
    pub(crate) samples: Vec<(&'static str, u64)>,
}

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

    /// All that is counted. Taken apart by its fields, so that one which comes along is told or does not compile.
    pub(crate) fn families(&self) -> Vec<Counted> {
        let Self {
            violations: _,
            #[cfg(feature = "tls")]
                tls_refusals: _,
            stalls: _,
        } = self;
        vec![
            Counted {
                family: "loopswap_limit_reached",
                help: "How often peers have reached each limit of the server.",
                label: Some("limit"),
                samples: self.all().map(|(violation, n)| (violation.name(), n)).collect(),
            },
            #[cfg(feature = "tls")]
            Counted {
                family: "loopswap_tls_refused",
                help: "How often TLS was not agreed with a client, or was broken off, by the reason.",
                label: Some("reason"),
                samples: TlsRefusal::ALL.iter().map(|refusal| (refusal.name(), self.tls_refused(*refusal))).collect(),
            },
            Counted {
                family: "loopswap_stalls",
                help: "How often a worker's loop has stood still.",
                label: None,
                samples: vec![("", self.stalls())],
            },
        ]
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
