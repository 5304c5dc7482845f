//! Time.

use std::future::Future;
use std::time::{Duration, Instant};

/// Clock and timers of a loop.
///
/// `now` is in the trait so that a simulated loop can own time; the real ones read the monotonic clock.
///
/// # What an implementor can get wrong
///
/// * Waking early: a sleep is never shorter than asked for, even by a nanosecond of rounding.
/// * Keeping a dropped sleep's entry until its deadline: a server drops thousands of 10 s deadlines a second.
/// * Overflow: the deadline may be decades away.
pub trait Timer {
    /// The future of [`sleep_until`](Self::sleep_until).
    type Sleep: Future<Output = ()> + 'static;

    /// The loop's idea of the present. It never goes back.
    fn now(&self) -> Instant;

    /// Waits until `deadline`. Ready at the first poll when that has passed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the timer; nothing stays behind in the loop.
    fn sleep_until(&self, deadline: Instant) -> Self::Sleep;
}

/// `duration` after `now`, or about thirty years after it where that would overflow.
pub fn deadline_after(now: Instant, duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);
    now.checked_add(duration.min(FAR)).unwrap_or(now)
}
