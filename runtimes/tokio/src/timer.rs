//! Time: tokio's timer wheel, which ticks at 1 ms and rounds up.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use loopswap_rt::Timer;
use pin_project_lite::pin_project;

use crate::Tokio;

pin_project! {
    /// A sleep on tokio's timer wheel.
    #[derive(Debug)]
    pub struct Sleep {
        #[pin]
        sleep: tokio::time::Sleep,
        is_on_the_wheel: bool,
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // The wheel would round a deadline that has just passed up to its next tick.
        if !*this.is_on_the_wheel && this.sleep.deadline().into_std() <= Instant::now() {
            return Poll::Ready(());
        }
        *this.is_on_the_wheel = true;
        this.sleep.poll(cx)
    }
}

impl Timer for Tokio {
    type Sleep = Sleep;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep { sleep: tokio::time::sleep_until(deadline.into()), is_on_the_wheel: false }
    }
}
