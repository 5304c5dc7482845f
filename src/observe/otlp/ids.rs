//! Numbers of traces and spans, by chance.

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};

/// Makes them, for one worker.
///
/// The standard library's hasher is keyed by the system's random numbers, 128 bits a thread, and what it makes of a counter cannot be told from chance by those who do
/// not know the key.
pub(super) struct Ids {
    key: RandomState,
    n_made: Cell<u64>,
}

impl Ids {
    pub(super) fn new() -> Self {
        Self { key: RandomState::new(), n_made: Cell::new(0) }
    }

    /// Of a span: not 0.
    pub(super) fn span(&self) -> [u8; 8] {
        loop {
            let n = self.n_made.get();
            self.n_made.set(n.wrapping_add(1));
            let id = self.key.hash_one(n);
            if id != 0 {
                return id.to_be_bytes();
            }
        }
    }

    /// Of a trace.
    pub(super) fn trace(&self) -> [u8; 16] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.span());
        id[8..].copy_from_slice(&self.span());
        id
    }
}

/// Whether a trace of this number is among those of which this share is recorded: by its last seven bytes, which are random in all traces that say so, so that who
/// decides by the same rule decides the same (OpenTelemetry, "TraceIdRatioBased").
pub(super) fn is_among(trace_id: [u8; 16], ratio: f64) -> bool {
    const RANGE: f64 = (1_u64 << 56) as f64;
    let [.., a, b, c, d, e, f, g] = trace_id;
    // The share of those that are recorded is taken from the top, as OpenTelemetry's consistent probability has it.
    let from = (RANGE * (1.0 - ratio)) as u64;
    u64::from_be_bytes([0, a, b, c, d, e, f, g]) >= from
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_number_comes_twice_and_half_of_all_bits_are_set() {
        let all: [Ids; 2] = [Ids::new(), Ids::new()];
        let made: HashSet<_> = all.iter().flat_map(|ids| (0..10_000).map(|_| ids.span())).collect();
        assert_eq!(made.len(), 20_000);
        let n_set: u32 = made.iter().map(|id| u64::from_be_bytes(*id).count_ones()).sum();
        let share = f64::from(n_set) / (20_000.0 * 64.0);
        assert!((0.49..0.51).contains(&share), "{share}");
        assert_ne!(all[0].trace()[..8], all[0].trace()[8..]);
    }

    #[test]
    fn a_share_of_traces_is_recorded_by_their_last_bytes() {
        let id = |last: u64| {
            let mut id = [0xff; 16];
            id[9..].copy_from_slice(&last.to_be_bytes()[1..]);
            id
        };
        let half = 1 << 55;
        assert!(is_among(id(half), 0.5) && !is_among(id(half - 1), 0.5));
        assert!(is_among(id(0), 1.0) && !is_among(id((1 << 56) - 1), 0.0));
        let ids = Ids::new();
        let n = (0..10_000).filter(|_| is_among(ids.trace(), 0.25)).count();
        assert!((2300..2700).contains(&n), "{n}");
    }
}
