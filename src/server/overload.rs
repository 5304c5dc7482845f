//! What a worker does when it has more to do than it can: its limits, with their defaults and reasons. What they are kept by is elsewhere: `grpc` lets calls in
//! and bounds messages, the watchdog sees loops that stand still.

use std::time::Duration;

use crate::Error;
use crate::grpc::Capacity;

/// The least lag to refuse calls at: loops' timers are late by up to 1 ms with nothing to do.
const SHED_LAG_MIN: Duration = Duration::from_millis(2);

/// A worker's tick is a fraction of what it measures, within these bounds: it must be of use, and nobody should notice it.
const TICKS_A_LIMIT: u32 = 4;
const TICK_MIN: Duration = Duration::from_millis(1);
const TICK_MAX: Duration = Duration::from_secs(1);

/// When a worker has enough, in which case it refuses calls with RESOURCE_EXHAUSTED; and when its loop stands still, which it can only tell.
///
/// Each limit holds for each worker by itself: a worker shares nothing with the others, and that one of them is overloaded is no reason to refuse what another
/// can serve. Calls of health checks (`grpc.health.v1.Health`) are never refused by them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overload {
    /// Calls of a worker at a time, from the request's head to the end of the handler. Default: as many as there are streams.
    pub concurrent_calls_max: Option<usize>,
    /// Calls of a connection at a time. More are refused, not queued: the limit on streams ([`Limits::concurrent_streams_max`](crate::Limits::concurrent_streams_max)),
    /// which clients know and keep to, is what makes them wait. Default: as many as there are streams.
    pub concurrent_calls_per_connection_max: Option<usize>,
    /// By how much a worker's loop may be late. Beyond, the worker has fallen behind: calls that come, and such whose handlers have not begun, are refused until
    /// the loop has come round. At least 2 ms; a fifth of the deadlines that clients set is a good value. Default: no matter how late.
    pub shed_lag: Option<Duration>,
    /// Bytes of request messages that are not whole, of all calls of a worker together; the call that goes beyond is refused. It is to
    /// [`Limits::partial_messages_bytes_max`](crate::Limits::partial_messages_bytes_max), a connection's, what a worker is to a connection. Default: 256 MiB, four
    /// connections' worth.
    pub partial_messages_bytes_max: usize,
    /// A loop that has not come round for so long is logged, once, and once more when it has: a handler blocks it. Default: 1 s. `None`: nobody looks.
    pub stall_log: Option<Duration>,
}

impl Default for Overload {
    fn default() -> Self {
        Self {
            concurrent_calls_max: None,
            concurrent_calls_per_connection_max: None,
            shed_lag: None,
            partial_messages_bytes_max: 256 * 1024 * 1024,
            stall_log: Some(Duration::from_secs(1)),
        }
    }
}

impl Overload {
    /// # Errors
    ///
    /// A limit that would refuse every call, or that no loop can keep.
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = if self.concurrent_calls_max == Some(0) {
            "a maximum of 0 concurrent calls refuses every call; ask for 1 or more, or for no limit".into()
        } else if self.concurrent_calls_per_connection_max == Some(0) {
            "a maximum of 0 concurrent calls a connection refuses every call; ask for 1 or more, or for no limit".into()
        } else if let Some(lag) = self.shed_lag.filter(|lag| *lag < SHED_LAG_MIN) {
            format!("a lag of {lag:?} is less than timers are late without load; shed calls at {SHED_LAG_MIN:?} or more, or not at all")
        } else if self.stall_log == Some(Duration::ZERO) {
            "a loop cannot be watched for stalls of no time; ask for 1s, or for no watch".into()
        } else {
            return Ok(());
        };
        Err(Error::usage(wrong))
    }

    pub(super) fn capacity(&self) -> Capacity {
        Capacity {
            calls_max: self.concurrent_calls_max,
            calls_of_connection_max: self.concurrent_calls_per_connection_max,
            lag_max: self.shed_lag,
        }
    }

    /// How often a worker's loop says that it has come round.
    pub(super) fn tick(&self) -> Duration {
        let finest = self.shed_lag.into_iter().chain(self.stall_log).min();
        finest.map_or(TICK_MAX, |limit| (limit / TICKS_A_LIMIT).clamp(TICK_MIN, TICK_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_refuses_all_is_refused() {
        let good = Overload::default();
        assert!(good.check().is_ok());
        let wrong = [
            (Overload { concurrent_calls_max: Some(0), ..good.clone() }, "0 concurrent calls"),
            (Overload { concurrent_calls_per_connection_max: Some(0), ..good.clone() }, "0 concurrent calls a connection"),
            (Overload { shed_lag: Some(Duration::from_millis(1)), ..good.clone() }, "2ms or more"),
            (Overload { stall_log: Some(Duration::ZERO), ..good }, "no watch"),
        ];
        for (overload, words) in wrong {
            let error = overload.check().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn the_tick_is_as_fine_as_what_it_measures() {
        let tick = |shed_lag, stall_log| Overload { shed_lag, stall_log, ..Overload::default() }.tick();
        let ms = Duration::from_millis;
        assert_eq!(tick(None, Some(ms(1000))), ms(250));
        assert_eq!(tick(Some(ms(20)), Some(ms(1000))), ms(5));
        assert_eq!(tick(Some(ms(2)), None), ms(1));
        assert_eq!(tick(None, Some(ms(60_000))), ms(1000));
        assert_eq!(tick(None, None), ms(1000));
    }
}
