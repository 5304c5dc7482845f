//! Time: glommio's timers, a sorted map that is looked at each turn; the next one is a ring timeout while the executor sleeps.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use loopswap_rt::Timer;

use crate::Glommio;

/// A sleep on glommio's timers.
#[derive(Debug)]
pub struct Sleep {
    timer: glommio::timer::Timer,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.timer).poll(cx).map(|_| ())
    }
}

impl Timer for Glommio {
    type Sleep = Sleep;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        // glommio adds the duration to a later `now`, so it is never early: by some 50 ns late.
        Sleep { timer: glommio::timer::Timer::new(deadline.saturating_duration_since(Instant::now())) }
    }
}
