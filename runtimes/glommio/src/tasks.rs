//! What lives on a worker's executor, so that all of it can be ended before the executor is.
//!
//! Two kinds: **tasks**, which are dropped when `main` is done, and **errands**, which are awaited then. An errand is an operation that nobody
//! waits for any more and that must not be cancelled: the kernel writes into its buffer, or hands out a descriptor at its end.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use glommio::TaskQueueHandle;
use loopswap_rt::catch_unwind;
use pin_project_lite::pin_project;

use crate::pool::Pool;
use crate::relay::Relayed;

thread_local! {
    static LOCAL: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

/// The state of this thread's executor that glommio does not keep. Nothing of it is shared with another thread.
pub(crate) struct Local {
    /// glommio's number for the executor.
    id: usize,
    /// Wakes each task that is not done; `None` where a place is free.
    tasks: RefCell<Vec<Option<Waker>>>,
    /// The free places in `tasks`.
    free: RefCell<Vec<usize>>,
    n_errands: Cell<usize>,
    /// Set when `main` is done: tasks are dropped at their next turn.
    ending: Cell<bool>,
    /// Who waits for the end of all tasks and errands.
    waiting: Cell<Option<Waker>>,
    pub(crate) pool: Pool,
}

/// The executor of this thread, for as long as this value lives.
pub(crate) struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        let left = LOCAL.take();
        drop(left);
    }
}

impl Local {
    /// To be called from the executor.
    pub(crate) fn enter(pool: Pool) -> Entered {
        let local = Self {
            id: glommio::executor().id(),
            tasks: RefCell::default(),
            free: RefCell::default(),
            n_errands: Cell::new(0),
            ending: Cell::new(false),
            waiting: Cell::new(None),
            pool,
        };
        LOCAL.set(Some(Rc::new(local)));
        Entered
    }

    /// The executor that runs this thread.
    #[track_caller]
    pub(crate) fn current() -> Rc<Self> {
        LOCAL.with_borrow(Clone::clone).expect("glommio is used on a thread that does not run it")
    }

    /// Drops all tasks, and those that their destructors spawn, and awaits all errands.
    pub(crate) async fn end(&self) {
        self.ending.set(true);
        poll_fn(|cx| {
            let tasks: Vec<_> = self.tasks.borrow().iter().flatten().cloned().collect();
            if tasks.is_empty() && self.n_errands.get() == 0 {
                return Poll::Ready(());
            }
            self.waiting.set(Some(cx.waker().clone()));
            tasks.iter().for_each(Waker::wake_by_ref);
            Poll::Pending
        })
        .await;
    }

    fn insert(&self, task: Waker) -> usize {
        let mut tasks = self.tasks.borrow_mut();
        match self.free.borrow_mut().pop() {
            Some(place) => {
                tasks[place] = Some(task);
                place
            }
            None => {
                tasks.push(Some(task));
                tasks.len() - 1
            }
        }
    }

    fn remove(&self, place: usize) {
        self.tasks.borrow_mut()[place] = None;
        self.free.borrow_mut().push(place);
        self.one_less();
    }

    fn one_less(&self) {
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }
}

/// The number of the executor that runs this thread, if one does.
pub(crate) fn current_id() -> Option<usize> {
    LOCAL.with_borrow(|local| local.as_ref().map(|local| local.id))
}

/// Starts a task, which is polled later.
#[track_caller]
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    let local = Local::current();
    let task = Relayed::new(Mortal { future: Some(task), local: Rc::clone(&local) });
    let place = local.insert(task.waker());
    detach(async move {
        task.await;
        local.remove(place);
    });
}

/// Starts an errand. Where there is no executor any more, it is dropped.
pub(crate) fn send_on_errand(errand: impl Future<Output = ()> + 'static) {
    let Some(local) = LOCAL.with_borrow(Clone::clone) else { return };
    local.n_errands.set(local.n_errands.get() + 1);
    detach(async move {
        let _ = catch_unwind(Relayed::new(errand)).await;
        local.n_errands.set(local.n_errands.get() - 1);
        local.one_less();
    });
}

fn detach(future: impl Future<Output = ()> + 'static) {
    let task = glommio::spawn_local_into(future, TaskQueueHandle::default());
    // A dropped `Task` would be cancelled, a dropped `JoinHandle` is not.
    drop(task.expect("every executor has the default queue").detach());
}

pin_project! {
    /// A task that ends when its loop does. Nothing that it does unwinds into glommio.
    struct Mortal<F> {
        #[pin]
        future: Option<F>,
        local: Rc<Local>,
    }
}

impl<F: Future<Output = ()>> Future for Mortal<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if !this.local.ending.get()
            && let Some(future) = this.future.as_mut().as_pin_mut()
            && let Ok(Poll::Pending) = panic::catch_unwind(AssertUnwindSafe(|| future.poll(cx)))
        {
            return Poll::Pending;
        }
        let _ = panic::catch_unwind(AssertUnwindSafe(|| this.future.set(None)));
        Poll::Ready(())
    }
}

/// An operation that goes on as an errand when it is dropped before its end.
pub(crate) struct Unabandoned<T: 'static> {
    operation: Option<Pin<Box<dyn Future<Output = T>>>>,
}

impl<T> Unabandoned<T> {
    pub(crate) fn new(operation: impl Future<Output = T> + 'static) -> Self {
        Self { operation: Some(Box::pin(Relayed::new(operation))) }
    }
}

impl<T> Future for Unabandoned<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // Where it panics, it is gone.
        let mut operation = self.operation.take().expect("not polled after its end");
        let polled = operation.as_mut().poll(cx);
        if polled.is_pending() {
            self.operation = Some(operation);
        }
        polled
    }
}

impl<T> Drop for Unabandoned<T> {
    fn drop(&mut self) {
        if let Some(operation) = self.operation.take() {
            send_on_errand(async move { drop(operation.await) });
        }
    }
}
