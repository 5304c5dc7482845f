//! How late a loop is.
//!
//! A worker's tick says when it will be back. While that time is past, the loop has not come round: what its sockets and timers have for it waits. The worker
//! itself looks, when it lets calls in, and the watchdog does, from another thread.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When a loop's tick is due, to be read on any thread.
pub(crate) struct Pulse {
    start: Instant,
    /// Microseconds after `start`.
    due_us: AtomicU64,
}

/// Nothing is expected of a loop that rests.
const RESTING: u64 = u64::MAX;

impl Pulse {
    /// Of a loop that rests.
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), due_us: AtomicU64::new(RESTING) }
    }

    /// The loop has come round, and is to be back at this time.
    pub(crate) fn beat(&self, next: Instant) {
        self.due_us.store(self.us_at(next), Ordering::Relaxed);
    }

    /// The loop's tick has ended.
    pub(crate) fn rest(&self) {
        self.due_us.store(RESTING, Ordering::Relaxed);
    }

    /// By how much the loop is overdue; zero when it is not.
    pub(crate) fn late(&self, now: Instant) -> Duration {
        Duration::from_micros(self.us_at(now).saturating_sub(self.due_us.load(Ordering::Relaxed)))
    }

    fn us_at(&self, time: Instant) -> u64 {
        // 64 bits of microseconds are half a million years.
        time.saturating_duration_since(self.start).as_micros() as u64
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulse").field("due_us", &self.due_us).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_late_behind_its_beat_alone() {
        let pulse = Pulse::new();
        let at = |ms| pulse.start + Duration::from_millis(ms);
        assert_eq!(pulse.late(at(1000)), Duration::ZERO, "it has not begun");
        pulse.beat(at(100));
        assert_eq!(pulse.late(at(100)), Duration::ZERO);
        assert_eq!(pulse.late(at(130)), Duration::from_millis(30));
        pulse.beat(at(140));
        assert_eq!(pulse.late(at(130)), Duration::ZERO);
        pulse.rest();
        assert_eq!(pulse.late(at(10_000)), Duration::ZERO);
    }
}
