//! How long to wait between attempts to connect: gRPC's doc/connection-backoff.md.

use std::time::{Duration, Instant};

use loopswap_rt::deadline_after;
use tonic::Status;

use crate::jitter::{jittered, random};

/// The wait after the first failure.
const INITIAL: Duration = Duration::from_secs(1);

/// Each wait is so much longer than the one before.
const FACTOR: f64 = 1.6;

/// A wait differs from its plan by this share at most, either way, so that clients do not come all at once.
const JITTER: f64 = 0.2;

/// The longest wait, before its jitter.
const MAX: Duration = Duration::from_secs(120);

/// The attempts that have failed since the last success.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    n_failures: u32,
    failed: Option<Failed>,
}

/// The last of them.
#[derive(Debug)]
struct Failed {
    why: Status,
    retry_at: Instant,
}

impl Backoff {
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// An attempt has just failed. The wait counts from now, so that an attempt which took long is not followed by the next at once.
    pub(super) fn failed(&mut self, why: Status, now: Instant) {
        let wait = jittered(planned(self.n_failures), JITTER, random());
        self.n_failures = self.n_failures.saturating_add(1);
        self.failed = Some(Failed { why, retry_at: deadline_after(now, wait) });
    }

    /// Why calls fail now, and when to try again; `None` where an attempt may be made.
    pub(super) fn refusal(&self, now: Instant) -> Option<(&Status, Instant)> {
        self.failed.as_ref().filter(|failed| failed.retry_at > now).map(|failed| (&failed.why, failed.retry_at))
    }

    /// Why the last attempt failed, if it did.
    pub(super) fn last(&self) -> Option<&Status> {
        self.failed.as_ref().map(|failed| &failed.why)
    }
}

/// The wait after so many failures before this one.
fn planned(n_failures: u32) -> Duration {
    let wait = INITIAL.as_secs_f64() * FACTOR.powi(n_failures.min(32) as i32);
    Duration::from_secs_f64(wait.min(MAX.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_from_1_s_by_1_6_to_120_s() {
        let waits: Vec<_> = (0..12).map(|n| planned(n).as_millis()).collect();
        assert_eq!(waits, [1000, 1600, 2560, 4096, 6553, 10485, 16777, 26843, 42949, 68719, 109951, 120_000]);
        assert_eq!(planned(u32::MAX), MAX);
    }

    #[test]
    fn refuses_until_the_wait_is_over_and_forgets_at_a_success() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        assert!(backoff.refusal(now).is_none());
        backoff.failed(Status::unavailable("nobody"), now);
        assert_eq!(backoff.refusal(now).unwrap().0.message(), "nobody");
        assert!(backoff.refusal(now + Duration::from_millis(799)).is_some());
        assert!(backoff.refusal(now + Duration::from_millis(1201)).is_none());
        backoff.failed(Status::unavailable("again"), now);
        assert!(backoff.refusal(now + Duration::from_millis(1279)).is_some());
        backoff.reset();
        assert!(backoff.refusal(now).is_none() && backoff.last().is_none());
    }
}
