//! The loop: its start, and its hands.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use loopswap_rt::{Ambient, Offload, Spawn, Start, Unavailable, Worker, contain};

use crate::tasks::Tasks;
use crate::timer::Timers;

/// The loop, as the traits of `loopswap-rt` want it: a name for the [`World`] of the current thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory;

/// What a thread's loop is made of.
pub(crate) struct Shared {
    pub(crate) tasks: Tasks,
    pub(crate) timers: RefCell<Timers>,
    pub(crate) now: Cell<Instant>,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Shared>>> = const { RefCell::new(None) };
}

/// The loop of this thread.
///
/// # Panics
///
/// When there is none.
pub(crate) fn current() -> Rc<Shared> {
    CURRENT.with_borrow(Clone::clone).expect("this thread has a World")
}

/// The loop of the current thread, for as long as this value lives, and its hands. Tasks that are left are dropped with it.
pub struct World {
    shared: Rc<Shared>,
    _ambient: Ambient,
}

impl World {
    /// Becomes the loop of this thread.
    ///
    /// # Panics
    ///
    /// When the thread runs a loop already.
    pub fn enter() -> Self {
        let ambient = Ambient::enter(Memory);
        let shared = Rc::new(Shared { tasks: Tasks::default(), timers: RefCell::default(), now: Cell::new(Instant::now()) });
        CURRENT.set(Some(Rc::clone(&shared)));
        Self { shared, _ambient: ambient }
    }

    /// Starts a task; its panic goes to whoever calls [`turn`](Self::turn).
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.shared.tasks.spawn(Box::pin(task));
    }

    /// Runs what is ready, and what becomes ready by that, until nothing is. Returns how many times a task was polled.
    pub fn turn(&self) -> usize {
        self.shared.tasks.turn(usize::MAX)
    }

    /// As [`turn`](Self::turn), but polls no more than `n` times.
    pub fn turn_at_most(&self, n: usize) -> usize {
        self.shared.tasks.turn(n)
    }

    /// Lets time pass: timers that become due fire, one after the other, and what they wake has its turn.
    pub fn pass(&self, duration: Duration) {
        let until = self.shared.now.get() + duration;
        loop {
            self.turn();
            let due = self.shared.timers.borrow_mut().take_due(until);
            let Some((at, waker)) = due else { break };
            self.shared.now.set(at.max(self.shared.now.get()));
            waker.wake();
        }
        self.shared.now.set(until);
    }

    /// The loop's present.
    pub fn now(&self) -> Instant {
        self.shared.now.get()
    }

    /// How many tasks there are.
    pub fn n_tasks(&self) -> usize {
        self.shared.tasks.len()
    }

    /// How many sleeps wait.
    pub fn n_timers(&self) -> usize {
        self.shared.timers.borrow().len()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // While the ambient calls still work: destructors may make them.
        self.shared.tasks.clear();
        CURRENT.set(None);
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("n_tasks", &self.n_tasks()).field("n_timers", &self.n_timers()).finish_non_exhaustive()
    }
}

impl Start for Memory {
    const NAME: &'static str = "memory";

    fn probe(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    /// Time passes when nothing else is left to do.
    ///
    /// # Panics
    ///
    /// Also when `main` waits for what can never come.
    fn run<Main, Fut>(&self, _worker: &Worker, main: Main) -> Result<Fut::Output, Unavailable>
    where
        Main: FnOnce() -> Fut,
        Fut: Future + 'static,
        Fut::Output: 'static,
    {
        let world = World::enter();
        let mut main = pin!(main());
        loop {
            // It is polled whenever anything has happened: nobody counts that.
            if let Poll::Ready(value) = main.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Ok(value);
            }
            if world.turn() == 0 {
                let next = world.shared.timers.borrow().next().expect("main waits for what can never come");
                world.pass(next.saturating_duration_since(world.now()));
            }
        }
    }
}

impl Spawn for Memory {
    fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + 'static,
    {
        current().tasks.spawn(Box::pin(contain(task)));
    }
}

impl Offload for Memory {
    fn offload(&self, job: Box<dyn FnOnce() + Send>) {
        let mut job = Some(job);
        current().tasks.spawn(Box::pin(poll_fn(move |_| {
            if let Some(job) = job.take() {
                job();
            }
            Poll::Ready(())
        })));
    }
}
