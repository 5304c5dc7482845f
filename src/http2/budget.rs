//! How often a peer may do what costs us and brings it nothing: a token bucket.

use std::time::Instant;

/// A budget's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many at once.
    pub burst: u32,
    /// How many more each second, up to `burst`.
    pub per_second: u32,
}

/// What is left of a budget.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    left: u32,
    since: Instant,
}

impl Budget {
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        Self { left: rate.burst, since: now }
    }

    /// Takes one; `false` when there is none.
    pub(super) fn spend(&mut self, rate: Rate, now: Instant) -> bool {
        if self.left == 0 {
            self.refill(rate, now);
        }
        let had_one = self.left > 0;
        self.left = self.left.saturating_sub(1);
        had_one
    }

    /// Adds what good conduct has earned.
    pub(super) fn earn(&mut self, rate: Rate, n: u32) {
        self.left = self.left.saturating_add(n).min(rate.burst);
    }

    /// Done only when the bucket is empty, so that a frame in good standing costs no arithmetic on time.
    fn refill(&mut self, rate: Rate, now: Instant) {
        let earned = now.saturating_duration_since(self.since).as_millis().saturating_mul(u128::from(rate.per_second)) / 1000;
        if earned > 0 {
            self.left = u32::try_from(earned).unwrap_or(u32::MAX).min(rate.burst);
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let (rate, start) = (Rate { burst: 3, per_second: 2 }, Instant::now());
        let mut budget = Budget::new(rate, start);
        let spend = |budget: &mut Budget, ms| budget.spend(rate, start + Duration::from_millis(ms));
        assert!((0..3).all(|_| spend(&mut budget, 0)));
        assert!(!spend(&mut budget, 499));
        assert!(spend(&mut budget, 500));
        assert!(!spend(&mut budget, 501));
        // A long pause refills no more than the burst.
        assert!((0..3).all(|_| spend(&mut budget, 60_000)));
        assert!(!spend(&mut budget, 60_000));
        budget.earn(rate, 1);
        assert!(spend(&mut budget, 60_000));
        assert!(!spend(&mut budget, 60_000));
    }
}
