//! Blocking work away from the loop.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use loopswap_rt::{Runtime, catch_unwind, offload, spawn_local};

use crate::support::{BOUND, Signal, message, poll_once, within};

/// The value comes back, from another thread.
pub async fn a_value_from_another_thread<R: Runtime>(_: R) {
    let (value, there) = within("the job", offload(|| (7, thread::current().id()))).await;
    assert_eq!(value, 7);
    assert_ne!(there, thread::current().id());
}

/// The loop goes on while a job blocks: here the job waits for a task of the loop.
pub async fn the_loop_goes_on_meanwhile<R: Runtime>(_: R) {
    let (go, waits) = mpsc::channel();
    let started = Signal::default();
    let running = started.clone();
    let task = spawn_local(async move {
        started.wait().await;
        go.send(7).unwrap();
    });
    let job = move || {
        running.raise();
        waits.recv_timeout(BOUND)
    };
    assert_eq!(within("the job", offload(job)).await, Ok(7));
    within("the task", task).await.unwrap();
}

/// A panic is passed on to whoever awaits, with its payload; the pool lives on.
pub async fn a_panic_is_passed_on<R: Runtime>(_: R) {
    for n in 0..20 {
        let outcome = within("the job", catch_unwind(offload(move || panic!("wanted by the test, in job {n}")))).await;
        let payload = outcome.map(|()| "a job that panics has no value").unwrap_err();
        assert_eq!(message(&*payload), format!("wanted by the test, in job {n}"));
    }
    assert_eq!(within("a later job", offload(|| 7)).await, 7);
}

/// A raw job that panics, which nobody awaits, takes neither its pool nor the loop with it.
pub async fn a_raw_job_that_panics<R: Runtime>(rt: R) {
    for _ in 0..20 {
        rt.offload(Box::new(|| panic!("wanted by the test, in a raw job")));
    }
    assert_eq!(within("a later job", offload(|| 7)).await, 7);
}

/// A job runs although nobody awaits it any more.
pub async fn a_dropped_future_still_runs_the_job<R: Runtime>(_: R) {
    let ran = Signal::default();
    let raise = ran.clone();
    // Ready already, if the job was very fast.
    let _ = poll_once(pin!(offload(move || raise.raise()))).await;
    within("the job", ran.wait()).await;
}

/// A hundred jobs at once: each gives its own value, to its own task.
pub async fn a_hundred_at_once<R: Runtime>(_: R) {
    let sum = Rc::new(Cell::new(0));
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let sum = Rc::clone(&sum);
            spawn_local(async move {
                assert_eq!(offload(move || n * n).await, n * n);
                sum.set(sum.get() + n);
            })
        })
        .collect();
    for task in tasks {
        within("a job", task).await.unwrap();
    }
    assert_eq!(sum.get(), 99 * 100 / 2);
}
