//! Threads for blocking work, started as they are needed.
//!
//! glommio's own pool will not do: see the crate's documentation. This one behaves as tokio's: threads come and go with the work, a panic ends only its
//! job, and at the end the jobs that have begun are awaited and the others dropped.

use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Blocking jobs that may run at once for one worker: tokio's default, so that the loops are alike.
const THREADS_MAX: usize = 512;

/// How long a thread waits for its next job: tokio's default.
const IDLE_MAX: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// The pool of one worker. Dropping it waits for the jobs that have begun.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    thread_name: String,
}

struct Shared {
    // Nothing panics under the lock, so it is never poisoned.
    state: Mutex<State>,
    /// Signalled for each job, and at the end.
    work: Condvar,
    /// Signalled when the last thread ends.
    gone: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    n_threads: usize,
    n_idle: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn new(thread_name: String) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::default(), work: Condvar::new(), gone: Condvar::new() }), thread_name }
    }

    /// Queues a job.
    ///
    /// # Panics
    ///
    /// When the system refuses the pool's first thread.
    pub(crate) fn run(&self, job: Job) {
        let mut state = self.shared.state.lock().expect("never poisoned");
        state.jobs.push_back(job);
        if state.n_idle >= state.jobs.len() {
            self.shared.work.notify_one();
        } else if state.n_threads < THREADS_MAX {
            let shared = Arc::clone(&self.shared);
            match thread::Builder::new().name(self.thread_name.clone()).spawn(move || shared.work()) {
                Ok(_) => state.n_threads += 1,
                Err(_) if state.n_threads > 0 => {}
                Err(error) => {
                    drop(state);
                    panic!("no thread can be started for blocking work ({error}); raise ulimit -u");
                }
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock().expect("never poisoned");
        state.closed = true;
        let dropped = std::mem::take(&mut state.jobs);
        self.shared.work.notify_all();
        while state.n_threads > 0 {
            state = self.shared.gone.wait(state).expect("never poisoned");
        }
        drop(state);
        drop(dropped);
    }
}

impl Shared {
    /// The life of a thread.
    fn work(&self) {
        while let Some(job) = self.next() {
            // The panic hook has printed it.
            let _ = panic::catch_unwind(AssertUnwindSafe(job));
        }
    }

    /// The next job; `None` when the thread is to end, which is counted already.
    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock().expect("never poisoned");
        let mut timed_out = false;
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed || timed_out {
                state.n_threads -= 1;
                if state.n_threads == 0 {
                    self.gone.notify_all();
                }
                return None;
            }
            state.n_idle += 1;
            let waited = self.work.wait_timeout(state, IDLE_MAX).expect("never poisoned");
            state = waited.0;
            timed_out = waited.1.timed_out();
            state.n_idle -= 1;
        }
    }
}
