//! A loop from start to end: probing, running, running again, and what is left when the main future is done.

use std::cell::Cell;
use std::fs;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use loopswap_rt::{
    Connection, File, Listener, OpenOptions, Runtime, Task, TaskError, Worker, current_loop, live_tasks, now, offload, sleep, spawn_local,
    timeout,
};

use crate::descriptors;
use crate::peer::{pair, read_to_end, tcp};
use crate::support::{OnDrop, Signal, message, panic_of, within, yield_now};

fn worker() -> Worker {
    Worker::new(0)
}

/// Probing leaves nothing behind, and costs less than a millisecond, at least when the machine lets it.
pub fn probe<R: Runtime>(rt: R) {
    const PROBES: usize = 200;
    let threads = || fs::read_dir("/proc/self/task").unwrap().count();
    let before = (descriptors::count(), threads());
    let mut fastest = Duration::MAX;
    for _ in 0..PROBES {
        let started = Instant::now();
        rt.probe().unwrap();
        fastest = fastest.min(started.elapsed());
    }
    assert!(fastest < Duration::from_millis(1), "{fastest:?}");
    // The test harness may start threads meanwhile, but none for each probe.
    assert!(descriptors::count() <= before.0 && threads() < before.1 + PROBES, "{before:?} before, {:#?} now", descriptors::links());
}

/// `run` gives the value of its future, which need not be `Send`, on the thread that called it.
pub fn run_gives_the_value<R: Runtime>(rt: R) {
    let here = thread::current().id();
    let value = rt.run(&worker(), || async move {
        yield_now().await;
        assert_eq!(thread::current().id(), here);
        Rc::new(7)
    });
    assert_eq!(*value.unwrap(), 7);
}

/// A thread may run the loop again, a hundred times, each as fresh as the first.
pub fn run_again<R: Runtime>(rt: R) {
    for n in 0..100 {
        let main = || async move {
            assert_eq!(live_tasks(), 0);
            let value = spawn_local(async move {
                sleep(Duration::from_micros(100)).await;
                n
            });
            within("a task", value).await
        };
        assert_eq!(rt.run(&worker(), main).unwrap(), Ok(n));
    }
}

/// The ambient calls work in the closure that makes the main future.
pub fn ambient_calls_in_the_closure<R: Runtime>(rt: R) {
    let main = || {
        assert_eq!(current_loop(), Some(R::NAME));
        let (task, sleep) = (spawn_local(async { now() }), sleep(Duration::from_millis(1)));
        async move {
            sleep.await;
            task.await.unwrap()
        }
    };
    let then = rt.run(&worker(), main).unwrap();
    assert!(then <= Instant::now());
}

/// A thread knows the name of its loop while it runs one, in tasks too, and not before or after.
pub fn the_current_loop<R: Runtime>(rt: R) {
    assert_eq!(current_loop(), None);
    let main = || async {
        assert_eq!(within("a task", spawn_local(async { current_loop() })).await, Ok(Some(R::NAME)));
        assert_eq!(offload(current_loop).await, None, "a pool's thread runs no loop");
        current_loop()
    };
    assert_eq!(rt.run(&worker(), main).unwrap(), Some(R::NAME));
    assert_eq!(current_loop(), None);
}

/// Outside a loop, also after one, each ambient call panics and says which it was.
pub fn ambient_calls_outside_a_loop<R: Runtime>(rt: R) {
    for _ in 0..2 {
        says("now", now);
        says("sleep", || sleep(Duration::ZERO));
        says("sleep", || timeout(Duration::ZERO, pending::<()>()));
        says("spawn_local", || spawn_local(async {}));
        says("offload", || first_poll(offload(|| ())));
        says("File::open", || first_poll(File::open("/dev/null", &OpenOptions::reading())));
        rt.run(&worker(), || async {}).unwrap();
    }
}

fn says<T>(call: &str, f: impl FnOnce() -> T) {
    let message = panic_of(f);
    assert!(message.contains(&format!("loopswap::rt::{call} was called on a thread that runs no loop")), "{message}");
}

fn first_poll(future: impl Future) {
    let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
    let _ = std::pin::pin!(future).poll(&mut nobody);
}

/// A thread that runs a loop cannot run another; trying does not harm the first.
pub fn run_inside_a_running_loop<R: Runtime>(rt: R) {
    let inner = rt.clone();
    let main = || async move {
        for _ in 0..3 {
            let message = panic_of(|| inner.run(&Worker::new(1), || async {}));
            assert!(message.contains(R::NAME) && message.contains("already"), "{message}");
            assert_eq!(current_loop(), Some(R::NAME));
            sleep(Duration::from_millis(1)).await;
            assert_eq!(within("a task", spawn_local(async { 7 })).await, Ok(7));
        }
    };
    rt.run(&worker(), main).unwrap();
}

/// A panic of the main future, and of the closure that makes it, comes out of `run` with its payload; the thread can run the loop again.
pub fn a_panic_of_main<R: Runtime>(rt: R) {
    let dropped = Rc::new(Cell::new(0));
    for first_poll in [true, false] {
        let left = OnDrop(Rc::clone(&dropped));
        let main = || async move {
            spawn_local(async move {
                let _left = left;
                pending::<()>().await;
            });
            if !first_poll {
                sleep(Duration::from_millis(1)).await;
            }
            panic!("wanted by the test, in main")
        };
        let payload = catch_unwind(AssertUnwindSafe(|| rt.run(&worker(), main).map(|(): ()| ()))).unwrap_err();
        assert_eq!(message(&*payload), "wanted by the test, in main");
        assert_eq!((current_loop(), live_tasks()), (None, 0));
    }
    assert_eq!(dropped.get(), 2, "the tasks of a loop that panicked are dropped");

    let main = || -> std::future::Ready<()> { panic!("wanted by the test, in the closure") };
    assert_eq!(panic_of(|| rt.run(&worker(), main)), "wanted by the test, in the closure");
    assert_eq!(current_loop(), None);
    assert_eq!(rt.run(&worker(), || async { 7 }).unwrap(), 7);
}

/// Tasks that are left when the main future is done are dropped before `run` returns, whatever they wait for; peers see the end.
pub fn tasks_left_are_dropped<R: Runtime>(rt: R) {
    let dropped = Rc::new(Cell::new(0));
    let (waiting, guard) = (Rc::new(Cell::new(0)), Rc::clone(&dropped));
    let inner = rt.clone();
    let main = || async move {
        let task = |future: std::pin::Pin<Box<dyn Future<Output = ()>>>| {
            let (guard, waiting) = (OnDrop(Rc::clone(&guard)), Rc::clone(&waiting));
            inner.spawn(async move {
                let _guard = guard;
                waiting.set(waiting.get() + 1);
                future.await;
            });
        };
        let (mut receiving, socket) = pair(&inner).await;
        let (mut sending, unread) = pair(&inner).await;
        let mut listener = inner.listen(tcp()).unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        task(Box::pin(pending()));
        task(Box::pin(sleep(Duration::from_secs(3600))));
        task(Box::pin(async move { drop(receiving.receive(|_| ()).await) }));
        task(Box::pin(async move { drop(sending.send(vec![0; 8 << 20]).await) }));
        task(Box::pin(async move { drop(listener.accept().await) }));
        task(Box::pin(async move {
            // The job ends when the task is dropped, so that nothing hangs on the pool.
            let _release = release;
            let _ = offload(move || held.recv()).await;
        }));
        task(Box::pin(holds_its_own_waker()));
        while waiting.get() < 7 {
            yield_now().await;
        }
        yield_now().await;
        assert_eq!(guard.get(), 0);
        (socket, unread)
    };
    let (socket, _unread) = rt.run(&worker(), main).unwrap();
    assert_eq!((dropped.get(), live_tasks()), (7, 0));
    assert_eq!(read_to_end(&socket), b"");
}

async fn holds_its_own_waker() {
    let mut waker = None;
    poll_fn(|cx| {
        waker = Some(cx.waker().clone());
        Poll::Pending
    })
    .await
}

/// A handle that outlives the loop says that its task was aborted.
pub fn a_handle_that_outlives_the_loop<R: Runtime>(rt: R) {
    let [task]: [Task<()>; 1] = rt.run(&worker(), || async { [spawn_local(pending())] }).unwrap();
    assert_eq!(rt.run(&worker(), || async { within("the outcome", task).await }).unwrap(), Err(TaskError::Aborted));
}

/// The destructors of tasks that are left still run on the loop: they may ask for the time.
pub fn destructors_at_the_end<R: Runtime>(rt: R) {
    struct Asks(Rc<Cell<Option<&'static str>>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            self.0.set(current_loop());
            let _ = now();
        }
    }
    let found = Rc::new(Cell::new(None));
    let asks = Asks(Rc::clone(&found));
    let main = || async move {
        spawn_local(async move {
            let _asks = asks;
            pending::<()>().await;
        });
        yield_now().await;
    };
    rt.run(&worker(), main).unwrap();
    assert_eq!(found.get(), Some(R::NAME));
}

/// Two workers run on two threads at once, and wake each other's tasks.
pub fn two_at_once<R: Runtime>(rt: R) {
    const TURNS: usize = 500;
    let both_run = Arc::new(Barrier::new(2));
    let (ping, pong) = (Signal::default(), Signal::default());
    let other = {
        let (rt, both_run, ping, pong) = (rt.clone(), Arc::clone(&both_run), ping.clone(), pong.clone());
        let main = move || async move {
            both_run.wait();
            for _ in 0..TURNS {
                within("a ping", ping.wait()).await;
                pong.raise();
            }
            current_loop()
        };
        thread::spawn(move || rt.run(&Worker::new(1), main).unwrap())
    };
    let main = || async move {
        both_run.wait();
        for _ in 0..TURNS {
            ping.raise();
            within("a pong", pong.wait()).await;
        }
    };
    rt.run(&worker(), main).unwrap();
    assert_eq!(other.join().unwrap(), Some(R::NAME));
}
