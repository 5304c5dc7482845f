//! Wakers of our own, between glommio's and everyone else's.
//!
//! glommio counts a task's wakers in 16 bits, and never frees a task one of whose wakers is dropped on a thread that does not run its executor,
//! any more or at all. Its operations collect a waker for every poll, however often they are polled. So a [`Relayed`] future is polled with a waker of its
//! own, only when that was woken; it wakes who polled last, and nobody once the future is dropped. Costs two short locks a turn.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use pin_project_lite::pin_project;

/// Whom to wake.
pub(crate) struct Relay {
    // Nothing panics under the lock, so it is never poisoned.
    state: Mutex<State>,
}

struct State {
    /// Set by wakers, cleared by the poll it leads to.
    woken: bool,
    /// Who polled last; set by polls, cleared when the future is dropped. A waker of glommio's is cloned and dropped on its own thread
    /// only; others wake it by reference, under the lock.
    to: Option<Waker>,
}

impl Relay {
    /// Remembers who polls. Whether there is reason to.
    fn begin(&self, by: &Waker) -> bool {
        let mut state = self.state.lock().expect("never poisoned");
        let woken = std::mem::take(&mut state.woken);
        if !state.to.as_ref().is_some_and(|to| to.will_wake(by)) {
            let before = state.to.replace(by.clone());
            // A foreign waker's destructor may do anything: not under the lock.
            drop(state);
            drop(before);
        }
        woken
    }

    fn cut(&self) {
        let before = self.state.lock().expect("never poisoned").to.take();
        drop(before);
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.state.lock().expect("never poisoned");
        if !std::mem::replace(&mut state.woken, true)
            && let Some(to) = &state.to
        {
            to.wake_by_ref();
        }
    }
}

pin_project! {
    /// A future behind a relay.
    pub(crate) struct Relayed<F> {
        #[pin]
        future: F,
        relay: Arc<Relay>,
        waker: Waker,
    }

    impl<F> PinnedDrop for Relayed<F> {
        fn drop(this: Pin<&mut Self>) {
            this.relay.cut();
        }
    }
}

impl<F> Relayed<F> {
    pub(crate) fn new(future: F) -> Self {
        let relay = Arc::new(Relay { state: Mutex::new(State { woken: true, to: None }) });
        Self { future, waker: Arc::clone(&relay).into(), relay }
    }

    /// Wakes the future, for as long as it lives.
    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

impl<F: Future> Future for Relayed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if this.relay.begin(cx.waker()) { this.future.poll(&mut Context::from_waker(this.waker)) } else { Poll::Pending }
    }
}
