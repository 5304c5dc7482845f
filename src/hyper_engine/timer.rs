//! hyper's timers, on the loop of the worker.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use loopswap_rt::{now, sleep};

/// hyper's timer: it wants its sleeps to be `Send`, as the ambient ones are.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoopTimer {
    _private: (),
}

impl hyper::rt::Timer for LoopTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(LoopSleep { sleep: sleep(duration) })
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep(deadline.saturating_duration_since(now()))
    }

    fn now(&self) -> Instant {
        now()
    }
}

struct LoopSleep {
    sleep: loopswap_rt::Sleep,
}

impl hyper::rt::Sleep for LoopSleep {}

impl Future for LoopSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.sleep).poll(cx)
    }
}
