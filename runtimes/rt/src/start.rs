//! Starting a loop on a thread, and saying why it cannot be.

use std::fmt;
use std::future::Future;

/// One worker: a thread that runs one loop and owns every connection it accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its number, from 0.
    pub index: usize,
    /// The thread's name, for logs and debuggers.
    pub name: String,
    /// The CPU its thread is pinned to. Whoever starts the thread has pinned it before [`Start::run`]; a loop that does its own
    /// placement must keep to this one.
    pub cpu: Option<usize>,
}

impl Worker {
    /// The worker with this number, on any CPU.
    pub fn new(index: usize) -> Self {
        Self { index, name: format!("worker-{index}"), cpu: None }
    }
}

/// Why a loop cannot run here, and what would change that. One line when displayed: `cause; remedy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    cause: String,
    remedy: String,
}

impl Unavailable {
    /// `cause` says what is missing or refused; `remedy` is an imperative: what the operator can do.
    pub fn new(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { cause: cause.into(), remedy: remedy.into() }
    }

    /// What is missing or refused.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// What the operator can do about it.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.cause, self.remedy)
    }
}

impl std::error::Error for Unavailable {}

/// Probing for a loop, and running it.
///
/// # What an implementor can get wrong
///
/// * A probe that panics, exits or leaves a ring, a limit or a thread behind. Some libraries end the process on an old kernel:
///   probe by means of your own before touching them.
/// * A probe that asks for less than `run` will need: it must try the same ring size and the same operations.
/// * Returning from `run` while the kernel still writes into a buffer, or with tasks alive: both end first.
/// * The first timer of a fresh loop, where it is slower than the later ones: run one before `main`.
pub trait Start {
    /// The word for this loop on command lines, in logs and benches.
    const NAME: &'static str;

    /// Whether this loop can run on this machine, in this process, now.
    ///
    /// Costs less than a millisecond where it can; waits up to 1 s for a shortage that is known to be transient.
    ///
    /// # Errors
    ///
    /// The cause and the remedy, fit to be shown to an operator.
    fn probe(&self) -> Result<(), Unavailable>;

    /// Runs the future that `main` makes, on this thread, until it is done, and returns its value.
    ///
    /// The [ambient calls](crate#) work in `main`, in its future and in every task. When the future is done, tasks that are left are
    /// dropped, and operations that the kernel still holds are awaited or cancelled, before `run` returns. A thread may call `run`
    /// again afterwards.
    ///
    /// # Errors
    ///
    /// The loop could not be built; `main` was not called.
    ///
    /// # Panics
    ///
    /// When the thread already runs a loop, and with the payload of `main` when that panics.
    fn run<Main, Fut>(&self, worker: &Worker, main: Main) -> Result<Fut::Output, Unavailable>
    where
        Main: FnOnce() -> Fut,
        Fut: Future + 'static,
        Fut::Output: 'static;
}
