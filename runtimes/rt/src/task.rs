//! What a task is made of, the same on every loop: a future that cannot panic, is counted, can be awaited and aborted.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{self, AssertUnwindSafe};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

/// How many tasks live on this thread's loop: spawned, and neither done nor dropped.
pub fn live_tasks() -> usize {
    LIVE.get()
}

/// Wraps a task so that its panic ends only itself, and so that it is counted by [`live_tasks`]. Each adapter's `spawn` applies it, once.
///
/// The panic's message has been printed by the panic hook by the time it is caught.
pub fn contain<F>(task: F) -> impl Future<Output = ()> + 'static
where
    F: Future<Output = ()> + 'static,
{
    LIVE.set(LIVE.get() + 1);
    Contained { task: catch_unwind(task), counted: Some(Counted) }
}

pin_project! {
    /// The future of [`contain`]. Named, because an `async` block would keep room for its task twice.
    struct Contained<F> {
        #[pin]
        task: CatchUnwind<F>,
        // Until the task is done, or dropped.
        counted: Option<Counted>,
    }
}

impl<F: Future> Future for Contained<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let done = this.task.poll(cx).map(drop);
        if done.is_ready() {
            *this.counted = None;
        }
        done
    }
}

struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        LIVE.set(LIVE.get() - 1);
    }
}

/// A future whose panic is a value, with the payload, instead of unwinding through whoever polls it.
pub fn catch_unwind<F: Future>(future: F) -> CatchUnwind<F> {
    CatchUnwind { future: Some(future) }
}

pin_project! {
    /// The future of [`catch_unwind`].
    #[derive(Debug)]
    pub struct CatchUnwind<F> {
        // Taken when it is done, so that a panic of its destructor is caught too.
        #[pin]
        future: Option<F>,
    }
}

impl<F: Future> Future for CatchUnwind<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut future = self.project().future;
        // A future that panicked is not polled again, so nobody sees what it left half done.
        let polled = panic::catch_unwind(AssertUnwindSafe(|| {
            let polled = future.as_mut().as_pin_mut().expect("a future is not polled after its end").poll(cx);
            if polled.is_ready() {
                future.set(None);
            }
            polled
        }));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(payload) => {
                // The destructor of what panicked may panic once more, which adds nothing.
                let _ = panic::catch_unwind(AssertUnwindSafe(|| future.set(None)));
                Poll::Ready(Err(payload))
            }
        }
    }
}

/// Why a task has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskError {
    /// It panicked; the panic hook printed the message.
    Panicked,
    /// It was aborted, or its loop ended.
    Aborted,
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Panicked => "the task panicked",
            Self::Aborted => "the task was aborted",
        })
    }
}

impl std::error::Error for TaskError {}

/// A handle to a task of [`spawn_local`](crate::spawn_local): a future of its value.
///
/// # Cancel safety
///
/// Dropping the handle detaches the task, which goes on.
pub struct Task<T> {
    shared: Rc<Shared<T>>,
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}

/// What a task and its handle know of each other. Both live on one thread.
struct Shared<T> {
    /// Set by the task when it ends; taken by the handle.
    outcome: Cell<Option<Result<T, TaskError>>>,
    /// Set by the handle; the task looks before each poll.
    aborted: Cell<bool>,
    /// Who waits for the outcome.
    handle: RefCell<Option<Waker>>,
    /// Who is to be woken to see `aborted`.
    task: RefCell<Option<Waker>>,
}

impl<T> Shared<T> {
    fn end(&self, outcome: Result<T, TaskError>) {
        self.outcome.set(Some(outcome));
        if let Some(handle) = self.handle.take() {
            handle.wake();
        }
    }
}

impl<T> Task<T> {
    /// Drops the task's future at its next turn, which comes at once. Without effect on a task that has ended.
    pub fn abort(&self) {
        self.shared.aborted.set(true);
        if let Some(task) = self.shared.task.take() {
            task.wake();
        }
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.shared.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                self.shared.handle.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }
}

/// A future to be spawned, and the handle to it.
pub(crate) fn with_handle<F>(future: F) -> (impl Future<Output = ()> + 'static, Task<F::Output>)
where
    F: Future + 'static,
    F::Output: 'static,
{
    let shared =
        Rc::new(Shared { outcome: Cell::new(None), aborted: Cell::new(false), handle: RefCell::new(None), task: RefCell::new(None) });
    let handle = Task { shared: Rc::clone(&shared) };
    // Says `Aborted` when the loop drops the task before its end.
    let ending = Ending { shared: Some(shared) };
    let task = async move {
        let mut ending = ending;
        let outcome = {
            let mut future = pin!(catch_unwind(future));
            let shared = ending.shared();
            poll_fn(|cx| {
                if shared.aborted.get() {
                    return Poll::Ready(Err(TaskError::Aborted));
                }
                let polled = future.as_mut().poll(cx);
                if polled.is_pending() {
                    if shared.aborted.get() {
                        // By the task itself, in this very poll.
                        return Poll::Ready(Err(TaskError::Aborted));
                    }
                    shared.task.replace(Some(cx.waker().clone()));
                }
                polled.map(|caught| caught.map_err(|_| TaskError::Panicked))
            })
            .await
        };
        ending.end(outcome);
    };
    (task, handle)
}

struct Ending<T> {
    shared: Option<Rc<Shared<T>>>,
}

impl<T> Ending<T> {
    fn shared(&self) -> &Shared<T> {
        self.shared.as_ref().expect("taken by `end` alone, which comes last")
    }

    fn end(&mut self, outcome: Result<T, TaskError>) {
        if let Some(shared) = self.shared.take() {
            shared.end(outcome);
        }
    }
}

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        self.end(Err(TaskError::Aborted));
    }
}
