//! What the supervisor orders, as a worker sees it; and the one order that a worker gives itself: when it has been leaving for as long as was asked,
//! the drain begins.
//!
//! That wait is each worker's, because it is the loops that have timers. Whoever's is over first orders the drain for all.

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use loopswap_rt::Sleep;
use tokio::sync::watch;

use crate::server::Handle;
use crate::server::phase::Phase;

/// The orders to one worker.
pub(super) struct Orders {
    ordered: watch::Receiver<Phase>,
    handle: Handle,
    /// While leaving.
    delay: Option<Pin<Box<Sleep>>>,
}

impl Orders {
    pub(super) fn new(handle: Handle) -> Self {
        Self { ordered: handle.phase(), handle, delay: None }
    }

    /// The last order. Those that wait are told of later ones.
    pub(super) fn phase(&mut self) -> Phase {
        *self.ordered.borrow_and_update()
    }

    /// Waits for the order to drain, or to stop.
    pub(super) async fn until_drained(&mut self) {
        while self.phase() < Phase::Draining {
            self.unless_ordered(pending::<()>()).await;
        }
    }

    /// The future's value, or `None` when an order came first.
    pub(super) async fn unless_ordered<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let Self { ordered, handle, delay } = self;
        if *ordered.borrow() == Phase::Leaving {
            delay.get_or_insert_with(|| Box::pin(loopswap_rt::sleep(handle.drain_delay())));
        } else {
            *delay = None;
        }
        let mut changed = pin!(ordered.changed());
        let mut future = pin!(future);
        poll_fn(|cx| {
            // The handle keeps the channel open.
            if changed.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            if delay.as_mut().is_some_and(|delay| delay.as_mut().poll(cx).is_ready()) {
                *delay = None;
                if handle.order(Phase::Draining) {
                    tracing::info!("draining: the drain delay is over");
                }
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }
}
