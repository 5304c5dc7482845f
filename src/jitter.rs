//! Chance, to keep apart what began together.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// `time`, longer or shorter by up to this share of it; `random` is between 0 and 1.
pub(crate) fn jittered(time: Duration, share: f64, random: f64) -> Duration {
    let factor = 1.0 - share + 2.0 * share * random;
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(time)
}

/// From 0 to 1. The standard library's hashers are seeded at random, which is enough to spread peers.
pub(crate) fn random() -> f64 {
    RandomState::new().hash_one(0_u8) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differs_by_its_share_either_way() {
        let time = Duration::from_secs(10);
        assert_eq!([0.0, 0.5, 1.0].map(|random| jittered(time, 0.2, random).as_millis()), [8000, 10_000, 12_000]);
        assert_eq!(jittered(Duration::MAX, 0.1, 1.0), Duration::MAX, "too long to be lengthened");
    }

    #[test]
    fn chance_is_within_its_bounds_and_not_always_the_same() {
        assert!((0..1000).map(|_| random()).all(|random| (0.0..=1.0).contains(&random)));
        assert_ne!(random().to_bits(), random().to_bits());
    }
}
