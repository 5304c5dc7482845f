//! Tasks of a worker.

use std::future::Future;

/// Running a task on the loop of the current thread.
///
/// # What an implementor can get wrong
///
/// * A panic in a task that ends the loop, or another task. [`contain`](crate::contain) makes a future that cannot.
/// * Tasks that are not counted: [`contain`](crate::contain) counts them, so wrap each task in it exactly once.
/// * A handle that cancels its task when dropped: tasks here are detached.
/// * Polling the task inside `spawn`: the caller may hold a borrow.
pub trait Spawn {
    /// Starts a task. It runs until it is done, or until the loop ends.
    ///
    /// # Panics
    ///
    /// Outside this loop.
    fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + 'static;
}
