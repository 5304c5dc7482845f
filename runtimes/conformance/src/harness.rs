//! How a case is run: alone in the process, on a thread of its own, with a bound on its time and a look at what it left behind.
//!
//! The cases say what a loop must do; nothing here knows a case.

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use loopswap_rt::{Runtime, Worker, live_tasks, sleep};

use crate::descriptors;

/// A case takes seconds at most; one that is not over by then hangs.
const CASE_MAX: Duration = Duration::from_secs(120);

/// What a case leaves behind for a moment, because a kernel closes rings late and pool threads linger, is gone by then.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// Descriptors, limits and memory are the process's, so cases run one at a time. Holds the loops that have been warmed up.
static ALONE: Mutex<Vec<&str>> = Mutex::new(Vec::new());

/// Runs a case inside the loop. No task that it spawned may outlive it, and no descriptor the loop.
///
/// # Panics
///
/// When the case does, hangs, or leaves something behind; when the loop is not available.
pub fn inside<R, Case, Fut>(name: &str, rt: R, case: Case)
where
    R: Runtime,
    Case: FnOnce(R) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    outside(name, rt, |rt| run(&rt.clone(), || case(rt)));
}

/// Runs a case that starts the loop itself, on a thread that runs none. No descriptor may outlive it.
///
/// # Panics
///
/// As [`inside`].
pub fn outside<R, Case>(name: &str, rt: R, case: Case)
where
    R: Runtime,
    Case: FnOnce(R) + Send + 'static,
{
    // A case that failed leaves the lock poisoned, and nothing under it broken.
    let mut warm = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    rt.probe().unwrap_or_else(|unavailable| panic!("{} cannot run here: {unavailable}", R::NAME));
    if !warm.contains(&R::NAME) {
        // What a library opens once a process, at its first use, is no leak.
        let rt = rt.clone();
        on_a_thread("warm-up", move || run(&rt, || async {}));
        warm.push(R::NAME);
    }
    let before = descriptors::count();
    on_a_thread(name, move || case(rt));
    let give_up = Instant::now() + SETTLE_MAX;
    while descriptors::count() > before {
        assert!(Instant::now() < give_up, "{name} leaks descriptors: {before} were open before, and now {:#?}", descriptors::links());
        thread::sleep(Duration::from_millis(1));
    }
}

/// Runs `main` on this thread, and waits at its end for the tasks that it spawned.
fn run<R, Main, Fut>(rt: &R, main: Main)
where
    R: Runtime,
    Main: FnOnce() -> Fut,
    Fut: Future<Output = ()> + 'static,
{
    let main = || {
        let case = main();
        async move {
            case.await;
            let give_up = Instant::now() + SETTLE_MAX;
            while live_tasks() > 0 {
                assert!(Instant::now() < give_up, "tasks are left: {}", live_tasks());
                sleep(Duration::from_millis(1)).await;
            }
        }
    };
    rt.run(&Worker::new(0), main).unwrap_or_else(|unavailable| panic!("{} does not start: {unavailable}", R::NAME));
}

/// Runs `case` on a thread of that name; passes its panic on.
fn on_a_thread(name: &str, case: impl FnOnce() + Send + 'static) {
    let (ending, ended) = mpsc::channel::<()>();
    let case = move || {
        // Dropped at the end of the case, and when it panics.
        let _ending = ending;
        case();
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(case).expect("a thread can be started");
    if ended.recv_timeout(CASE_MAX) == Err(RecvTimeoutError::Timeout) {
        panic!("{name} hangs: it is not over after {CASE_MAX:?}");
    }
    thread.join().unwrap_or_else(|payload| resume_unwind(payload));
}
