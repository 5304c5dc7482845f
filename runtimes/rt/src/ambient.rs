//! The ambient calls: one loop a thread, found by whoever runs there.
//!
//! An adapter says once, in its `run`, which loop the thread runs ([`Ambient::enter`]); from then on the calls of this file reach it
//! through one erased value. Engines and servers, which are generic over the loop, do not come this way.

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::path::Path;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::file::ErasedFile;
use crate::{Address, AnyConnection, OnThread, OpenOptions, Runtime, Task, deadline_after, task};

/// A boxed future that stays on its thread.
pub(crate) type LocalBoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

thread_local! {
    static CURRENT: RefCell<Option<Rc<dyn ErasedLoop>>> = const { RefCell::new(None) };
}

/// The roles that the ambient calls use, with the types of the loop erased.
pub(crate) trait ErasedLoop {
    fn name(&self) -> &'static str;
    fn spawn(&self, task: LocalBoxFuture<'static, ()>);
    fn offload(&self, job: Box<dyn FnOnce() + Send>);
    fn now(&self) -> Instant;
    fn sleep_until(&self, deadline: Instant) -> LocalBoxFuture<'static, ()>;
    fn open<'a>(&'a self, path: &'a Path, options: &'a OpenOptions) -> LocalBoxFuture<'a, io::Result<Rc<dyn ErasedFile>>>;
    fn connect<'a>(&'a self, address: &'a Address) -> LocalBoxFuture<'a, io::Result<AnyConnection>>;
}

impl<R: Runtime> ErasedLoop for R {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn spawn(&self, task: LocalBoxFuture<'static, ()>) {
        crate::Spawn::spawn(self, task);
    }

    fn offload(&self, job: Box<dyn FnOnce() + Send>) {
        crate::Offload::offload(self, job);
    }

    fn now(&self) -> Instant {
        crate::Timer::now(self)
    }

    fn sleep_until(&self, deadline: Instant) -> LocalBoxFuture<'static, ()> {
        Box::pin(crate::Timer::sleep_until(self, deadline))
    }

    fn open<'a>(&'a self, path: &'a Path, options: &'a OpenOptions) -> LocalBoxFuture<'a, io::Result<Rc<dyn ErasedFile>>> {
        Box::pin(async move { Ok(Rc::new(crate::Files::open(self, path, options).await?) as Rc<dyn ErasedFile>) })
    }

    fn connect<'a>(&'a self, address: &'a Address) -> LocalBoxFuture<'a, io::Result<AnyConnection>> {
        Box::pin(async move { Ok(AnyConnection::new(crate::Connect::connect(self, address).await?)) })
    }
}

/// The loop of the current thread, for as long as this value lives. Adapters hold one while they run.
#[derive(Debug)]
pub struct Ambient {
    _stays_on_its_thread: std::marker::PhantomData<*const ()>,
}

impl Ambient {
    /// Makes `runtime` the loop that the ambient calls of this thread use.
    ///
    /// # Panics
    ///
    /// When the thread runs a loop already.
    pub fn enter<R: Runtime>(runtime: R) -> Self {
        CURRENT.with_borrow_mut(|current| {
            if let Some(running) = current {
                panic!("this thread runs the loop {} already: {} needs a thread of its own", running.name(), R::NAME);
            }
            *current = Some(Rc::new(runtime));
        });
        Self { _stays_on_its_thread: std::marker::PhantomData }
    }
}

impl Drop for Ambient {
    fn drop(&mut self) {
        let left = CURRENT.take();
        drop(left);
    }
}

/// The loop of this thread.
#[track_caller]
pub(crate) fn current(call: &str) -> Rc<dyn ErasedLoop> {
    match CURRENT.with_borrow(Clone::clone) {
        Some(current) => current,
        None => panic!(
            "loopswap::rt::{call} was called on a thread that runs no loop; \
             call it from a service, a task or a start hook, which a worker runs"
        ),
    }
}

/// The name of the loop that runs this thread, if one does.
pub fn current_loop() -> Option<&'static str> {
    CURRENT.with_borrow(|current| current.as_ref().map(|current| current.name()))
}

/// The loop's clock.
///
/// # Panics
///
/// Outside a loop.
#[track_caller]
pub fn now() -> Instant {
    current("now").now()
}

/// Waits for `duration` on the timer of the loop that runs this thread. Never shorter; how much longer is the loop's quality
/// (tokio rounds up to whole milliseconds).
///
/// The future is [`Send`], so that services which must be can await it; it must be polled on the thread that made it.
///
/// # Panics
///
/// Outside a loop; and when polled on another thread.
///
/// # Cancel safety
///
/// Dropping it forgets the timer.
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    let current = current("sleep");
    let deadline = deadline_after(current.now(), duration);
    Sleep { timer: OnThread::new(current.sleep_until(deadline)) }
}

/// The future of [`sleep`].
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    timer: OnThread<LocalBoxFuture<'static, ()>>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.timer.get_mut() {
            Some(timer) => timer.as_mut().poll(cx),
            None => panic!("loopswap::rt::sleep was polled on another thread than the worker's that made it"),
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

/// `future`, but no longer than `duration`.
///
/// # Errors
///
/// [`Elapsed`] when the time was over first; the future is dropped then.
///
/// # Panics
///
/// As [`sleep`].
///
/// # Cancel safety
///
/// That of `future`.
#[track_caller]
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep(duration) }
}

pin_project_lite::pin_project! {
    /// The future of [`timeout`].
    #[must_use = "a future does nothing unless it is awaited"]
    #[derive(Debug)]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        sleep: Sleep,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(value) = this.future.poll(cx) {
            return Poll::Ready(Ok(value));
        }
        pin!(this.sleep).poll(cx).map(|()| Err(Elapsed))
    }
}

/// The time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time allowed is over")
    }
}

impl std::error::Error for Elapsed {}

/// Starts a task on the loop that runs this thread. It need not be `Send`, and goes on when the handle is dropped. Its panic ends only
/// itself.
///
/// # Panics
///
/// Outside a loop.
#[track_caller]
pub fn spawn_local<F>(future: F) -> Task<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let current = current("spawn_local");
    let (task, handle) = task::with_handle(future);
    current.spawn(Box::pin(task));
    handle
}

/// Runs a closure that may block, or that computes for long, on the loop's thread pool.
///
/// # Panics
///
/// Outside a loop. A panic of the closure is passed on to whoever awaits it.
///
/// # Cancel safety
///
/// Dropping the future does not stop the closure, whose value is then dropped on the pool's thread.
pub async fn offload<T, F>(job: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    struct Shared<T> {
        outcome: Option<std::thread::Result<T>>,
        waiting: Option<Waker>,
    }

    let shared = Arc::new(Mutex::new(Shared { outcome: None, waiting: None }));
    // Nothing panics under the lock, so it is never poisoned.
    let sender = Arc::clone(&shared);
    current("offload").offload(Box::new(move || {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
        let mut shared = sender.lock().expect("never poisoned");
        shared.outcome = Some(outcome);
        if let Some(waiting) = shared.waiting.take() {
            waiting.wake();
        }
    }));
    let outcome = poll_fn(|cx| {
        let mut shared = shared.lock().expect("never poisoned");
        match shared.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                shared.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    })
    .await;
    outcome.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}
