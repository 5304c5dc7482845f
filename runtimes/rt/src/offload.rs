//! Blocking work, away from the loop.

/// Running a closure on a thread that may block.
///
/// # What an implementor can get wrong
///
/// * Running the job on the loop's own thread.
/// * A pool without a bound on its threads.
/// * A job that panics and takes its thread, or the pool, with it: jobs that come from [`offload`](crate::offload) do not
///   panic, but those of others may.
pub trait Offload {
    /// Queues `job`; returns at once. Jobs that were queued run even when nobody waits for them any more, unless the loop ends.
    ///
    /// # Panics
    ///
    /// Outside this loop.
    fn offload(&self, job: Box<dyn FnOnce() + Send>);
}
