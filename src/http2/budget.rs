//! How often a peer may do what costs us and brings it nothing: a token bucket.

/// A budget's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many at once.
    pub burst: u32,
    /// How many more each second, up to `burst`.
    pub per_second: u32,
}

/// What is left of a budget. Times are milliseconds since the connection's start, modulo 2^32: a bucket that nobody touched for 49 days gets less than it might.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Above the burst only by what was [earned](Self::earn) since the last spending.
    left: u32,
    /// Until when it was refilled.
    since: u32,
}

impl Budget {
    /// A full one, at the connection's start.
    pub(super) fn new(rate: Rate) -> Self {
        Self { left: rate.burst, since: 0 }
    }

    /// Takes one; `false` when there is none.
    pub(super) fn spend(&mut self, rate: Rate, now: u32) -> bool {
        self.refill(rate, now);
        let had_one = self.left > 0;
        self.left = self.left.saturating_sub(1);
        had_one
    }

    /// Adds what good conduct has earned. Every call does this, so the burst, which bounds it, is looked at by who spends: nothing is taken meanwhile, and
    /// so it comes to the same.
    #[inline]
    pub(super) fn earn(&mut self, n: u32) {
        self.left = self.left.saturating_add(n);
    }

    /// Adds what time has brought since the last refill. What is less than a token stays with the time, and a full bucket gains nothing by waiting.
    fn refill(&mut self, rate: Rate, now: u32) {
        let earned = u64::from(now.wrapping_sub(self.since)) * u64::from(rate.per_second) / 1000;
        let left = u64::from(self.left) + earned;
        if left >= u64::from(rate.burst) {
            *self = Self { left: rate.burst, since: now };
        } else if earned > 0 {
            self.left = left as u32;
            self.since = self.since.wrapping_add((earned * 1000 / u64::from(rate.per_second)) as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, per_second: 2 };

    #[test]
    fn a_burst_then_the_rate() {
        let mut budget = Budget::new(RATE);
        assert!((0..3).all(|_| budget.spend(RATE, 0)));
        assert!(!budget.spend(RATE, 499));
        assert!(budget.spend(RATE, 500));
        assert!(!budget.spend(RATE, 501));
        // A long pause refills no more than the burst.
        assert!((0..3).all(|_| budget.spend(RATE, 60_000)));
        assert!(!budget.spend(RATE, 60_000));
        budget.earn(1);
        assert!(budget.spend(RATE, 60_000));
        assert!(!budget.spend(RATE, 60_000));
    }

    /// Time that passed while the bucket was full is no credit: in no interval is more to be had than the burst and what the interval brings.
    #[test]
    fn a_pause_before_a_burst_gives_no_second_one() {
        let mut budget = Budget::new(RATE);
        let n_had = (0..10).filter(|_| budget.spend(RATE, 60_000)).count();
        assert_eq!(n_had, 3);
        let mut budget = Budget::new(RATE);
        assert!(budget.spend(RATE, 10_000));
        let n_had = (0..10).filter(|_| budget.spend(RATE, 20_000)).count();
        assert_eq!(n_had, 3);
        let n_had = (20_000..30_000).filter(|ms| budget.spend(RATE, *ms)).count();
        assert_eq!(n_had, 19, "2 a second for 9.999 s");
    }

    #[test]
    fn what_is_less_than_a_token_is_not_lost() {
        let rate = Rate { burst: 100, per_second: 30 };
        let mut budget = Budget::new(rate);
        assert!((0..100).all(|_| budget.spend(rate, 0)));
        // Asked each millisecond, it gives as much as when it is asked once.
        let n_had = (1..=1000).filter(|ms| budget.spend(rate, *ms)).count();
        assert!((29..=30).contains(&n_had), "{n_had}");
    }

    #[test]
    fn what_is_earned_fills_no_more_than_the_bucket() {
        let mut budget = Budget::new(RATE);
        (0..1000).for_each(|_| budget.earn(10));
        budget.earn(u32::MAX);
        assert_eq!((0..10).filter(|_| budget.spend(RATE, 0)).count(), 3);
        // A rate of nothing refills nothing.
        let rate = Rate { burst: 1, per_second: 0 };
        let mut budget = Budget::new(rate);
        assert!(budget.spend(rate, 0));
        assert!(!budget.spend(rate, u32::MAX));
    }
}
