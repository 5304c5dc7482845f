//! Time: tokio's timer wheel, which ticks at 1 ms and rounds up.

use std::time::Instant;

use loopswap_rt::Timer;

use crate::Tokio;

/// A sleep on tokio's timer wheel.
pub type Sleep = tokio::time::Sleep;

impl Timer for Tokio {
    type Sleep = Sleep;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        tokio::time::sleep_until(deadline.into())
    }
}
