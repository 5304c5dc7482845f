//! Wake-ups from other threads.

use std::cell::RefCell;
use std::fs;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use loopswap_rt::{Runtime, Worker, spawn_local};

use crate::peer::peer;
use crate::support::{Signal, within, yield_now};

/// A loop that is parked, with nothing else to do, is woken by another thread, for its main future and for a task.
pub async fn a_parked_loop<R: Runtime>(_: R) {
    for _ in 0..20 {
        let loop_thread = rustix::thread::gettid();
        let wanted = Signal::default();
        let raise = wanted.clone();
        let waker = peer(move || {
            until_parked(loop_thread);
            raise.raise();
        });
        wanted.wait().await;
        waker.await;

        let raise = wanted.clone();
        let task = spawn_local(async move { wanted.wait().await });
        let waker = peer(move || {
            until_parked(loop_thread);
            raise.raise();
        });
        task.await.unwrap();
        waker.await;
    }
}

/// Waits until a thread of this process sleeps in the kernel; not for long, since a loop may spin before it parks, or never park.
fn until_parked(thread: rustix::thread::Pid) {
    let give_up = Instant::now() + Duration::from_millis(100);
    while Instant::now() < give_up {
        let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap();
        // The name, in parentheses, may contain anything.
        if stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S')) {
            return;
        }
        thread::yield_now();
    }
}

/// A thousand wake-ups in turn, there and back.
pub async fn a_thousand_in_turn<R: Runtime>(_: R) {
    const TURNS: usize = 1000;
    let (question, questions) = mpsc::channel();
    let answer = Signal::default();
    let raise = answer.clone();
    let peer = peer(move || questions.into_iter().map(|()| raise.raise()).count());
    for _ in 0..TURNS {
        question.send(()).unwrap();
        within("the wake-up", answer.wait()).await;
    }
    drop(question);
    assert_eq!(peer.await, TURNS);
}

/// A wake-up that comes just before the loop parks is not lost: the other thread spins, and wakes the moment it sees the waker.
pub async fn just_before_the_loop_parks<R: Runtime>(_: R) {
    const TURNS: usize = 10_000;
    let signal = Signal::default();
    let raise = signal.clone();
    let turn = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&turn);
    let peer = peer(move || {
        for n in 0..TURNS {
            while seen.load(Ordering::Acquire) == n && !raise.is_awaited() {
                thread::yield_now();
            }
            raise.raise();
            while seen.load(Ordering::Acquire) == n {
                thread::yield_now();
            }
        }
    });
    // Without a timer, which would wake the loop in any case: the bound is the harness's.
    for n in 0..TURNS {
        signal.wait().await;
        turn.store(n + 1, Ordering::Release);
    }
    peer.await;
}

/// Many threads wake one task at once; it sees all they did.
pub async fn many_threads_at_once<R: Runtime>(_: R) {
    const THREADS: usize = 8;
    const EACH: usize = 500;
    let (count, signal) = (Arc::new(AtomicUsize::new(0)), Signal::default());
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (count, signal) = (Arc::clone(&count), signal.clone());
            peer(move || {
                for _ in 0..EACH {
                    count.fetch_add(1, Ordering::AcqRel);
                    signal.raise();
                }
            })
        })
        .collect();
    while count.load(Ordering::Acquire) < THREADS * EACH {
        signal.wait().await;
    }
    for thread in threads {
        thread.await;
    }
}

/// A waker that is still held when the loop has ended may be used and dropped, on any thread.
pub fn after_the_loop_has_ended<R: Runtime>(rt: R) {
    let keep = || async {
        let kept = Rc::new(RefCell::new(vec![poll_fn(|cx| Poll::Ready(cx.waker().clone())).await]));
        let by_the_task = Rc::clone(&kept);
        spawn_local(poll_fn(move |cx| {
            by_the_task.borrow_mut().push(cx.waker().clone());
            Poll::<()>::Pending
        }));
        while kept.borrow().len() < 2 {
            yield_now().await;
        }
        kept.take()
    };
    let mut wakers = rt.run(&Worker::new(0), keep).unwrap();
    wakers.extend(rt.run(&Worker::new(0), keep).unwrap());
    for waker in &wakers {
        waker.wake_by_ref();
    }
    let elsewhere = wakers.split_off(2);
    thread::spawn(move || elsewhere.into_iter().for_each(Waker::wake)).join().unwrap();
    rt.run(&Worker::new(0), || async { within("a later loop", loopswap_rt::sleep(Duration::from_millis(1))).await }).unwrap();
    drop(wakers);
}
