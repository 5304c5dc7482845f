//! Tasks: they run by themselves, their panics are their own, and none outlives the loop.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::io::Write;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use loopswap_rt::{Runtime, Task, TaskError, live_tasks, offload, sleep, spawn_local};

use crate::peer::{pair, peer, read_exact, receive_exact, send};
use crate::support::{OnDrop, Signal, poll_once, within, yield_now};

/// A spawned task runs, and what it spawns does.
pub async fn spawned_tasks_run<R: Runtime>(rt: R) {
    let ran = Signal::default();
    let (inner, raise) = (rt.clone(), ran.clone());
    rt.spawn(async move { inner.spawn(async move { raise.raise() }) });
    within("the inner task", ran.wait()).await;
}

/// A handle gives the value, whether it is awaited before the task ends or after.
pub async fn a_handle_gives_the_value<R: Runtime>(_: R) {
    // Not `Send`, on purpose.
    let task = spawn_local(async {
        sleep(Duration::from_millis(1)).await;
        Rc::new(7)
    });
    assert_eq!(*within("the value", task).await.unwrap(), 7);
    let ended = Signal::default();
    let raise = ended.clone();
    let task = spawn_local(async move { raise.raise() });
    within("the task", ended.wait()).await;
    assert_eq!(within("the value", task).await, Ok(()));
}

/// Dropping the handle detaches the task.
pub async fn a_dropped_handle_detaches<R: Runtime>(_: R) {
    let (go, went) = (Signal::default(), Signal::default());
    let (go_on, raise) = (go.clone(), went.clone());
    let task = spawn_local(async move {
        go_on.wait().await;
        yield_now().await;
        raise.raise();
    });
    drop(task);
    yield_now().await;
    go.raise();
    within("the detached task", went.wait()).await;
}

/// A task is not polled while it is spawned: who spawns it may hold a borrow.
pub async fn spawn_does_not_poll<R: Runtime>(rt: R) {
    let shared = Rc::new(RefCell::new(0));
    let ended = Signal::default();
    {
        let borrowed = shared.borrow_mut();
        let (shared, raise) = (Rc::clone(&shared), ended.clone());
        rt.spawn(async move {
            *shared.borrow_mut() += 1;
            raise.raise();
        });
        assert_eq!(*borrowed, 0);
    }
    within("the task", ended.wait()).await;
    assert_eq!(*shared.borrow(), 1);
}

/// Tasks are counted while they live, each once.
pub async fn live_tasks_counts<R: Runtime>(rt: R) {
    assert_eq!(live_tasks(), 0, "the main future is no task");
    let go = Signal::default();
    let waits = go.clone();
    rt.spawn(async move { waits.wait().await });
    let task = spawn_local(pending::<()>());
    assert_eq!(live_tasks(), 2);
    yield_now().await;
    assert_eq!(live_tasks(), 2);
    go.raise();
    task.abort();
    within("no tasks", async {
        while live_tasks() > 0 {
            yield_now().await;
        }
    })
    .await;
}

/// A panic ends the task, and nothing else; its handle says so.
pub async fn a_panic_is_contained<R: Runtime>(rt: R) {
    let go = Signal::default();
    let waits = go.clone();
    let bystander = spawn_local(async move { waits.wait().await });
    yield_now().await;
    for _ in 0..10 {
        rt.spawn(async { panic!("wanted by the test, in a task") });
        rt.spawn(async {
            yield_now().await;
            panic!("wanted by the test, at a second poll");
        });
        let task = spawn_local(async { panic!("wanted by the test, in an ambient task") });
        assert_eq!(within("the outcome", task).await, Err::<(), _>(TaskError::Panicked));
    }
    go.raise();
    assert_eq!(within("the bystander", bystander).await, Ok(()));
    assert_eq!(within("a later task", spawn_local(async { 7 })).await, Ok(7));
    sleep(Duration::from_millis(1)).await;
}

/// So does the panic of a destructor, when the task has ended.
pub async fn a_panic_of_a_destructor_is_contained<R: Runtime>(rt: R) {
    struct Bomb(Signal);
    impl Future for Bomb {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.raise();
            panic!("wanted by the test, in a destructor");
        }
    }

    let dropped = Signal::default();
    rt.spawn(Bomb(dropped.clone()));
    within("the destructor", dropped.wait()).await;
    assert_eq!(within("a later task", spawn_local(async { 7 })).await, Ok(7));
}

/// Aborting drops the future at once, and the handle says so; a task that has ended keeps its value.
pub async fn abort_drops_the_future<R: Runtime>(rt: R) {
    let dropped = Rc::new(Cell::new(0));
    let (connection, _socket) = pair(&rt).await;
    let (release, held) = mpsc::channel::<()>();
    let tasks: [Task<()>; 4] = [
        spawn_local(guarded(&dropped, pending())),
        spawn_local(guarded(&dropped, sleep(Duration::from_secs(3600)))),
        spawn_local(guarded(&dropped, async move {
            // The job ends when the task is dropped, and not before.
            let _release = release;
            let _ = offload(move || held.recv()).await;
        })),
        spawn_local(guarded(&dropped, async {
            let mut connection = connection;
            let _ = loopswap_rt::Connection::receive(&mut connection, |_| ()).await;
        })),
    ];
    // Aborted before its first poll.
    let unpolled = spawn_local(guarded(&dropped, pending()));
    unpolled.abort();
    assert_eq!(within("the outcome", unpolled).await, Err(TaskError::Aborted));
    assert_eq!(dropped.get(), 1);
    tasks.iter().for_each(Task::abort);
    for task in tasks {
        assert_eq!(within("the outcome", task).await, Err(TaskError::Aborted));
    }
    assert_eq!(dropped.get(), 5);

    let ended = Signal::default();
    let raise = ended.clone();
    let task = spawn_local(async move { raise.raise() });
    within("the task", ended.wait()).await;
    yield_now().await;
    task.abort();
    assert_eq!(within("the value", task).await, Ok(()));
}

/// A task that aborts itself does not get another turn, not even in its first poll.
pub async fn abort_from_inside<R: Runtime>(_: R) {
    let dropped = Rc::new(Cell::new(0));
    let handle = Rc::new(RefCell::new(None::<Task<()>>));
    let inner = Rc::clone(&handle);
    let task = spawn_local(guarded(&dropped, async move {
        inner.borrow().as_ref().expect("stored before the first poll").abort();
        pending().await
    }));
    handle.replace(Some(task));
    within("the abort", async {
        while dropped.get() == 0 {
            yield_now().await;
        }
    })
    .await;
    let task = handle.take().expect("stored above");
    assert_eq!(within("the outcome", task).await, Err(TaskError::Aborted));
}

fn guarded(dropped: &Rc<Cell<usize>>, future: impl Future<Output = ()> + 'static) -> impl Future<Output = ()> + 'static {
    let guard = OnDrop(Rc::clone(dropped));
    async move {
        let _guard = guard;
        future.await;
    }
}

/// A task that is always ready starves neither timers, nor sockets, nor wake-ups from other threads.
pub async fn a_busy_task_starves_nobody<R: Runtime>(rt: R) {
    const STARVED: Duration = Duration::from_secs(30);
    let done = Rc::new(Cell::new(false));
    let is_done = Rc::clone(&done);
    let busy = spawn_local(async move {
        let started = Instant::now();
        while !is_done.get() && started.elapsed() < STARVED {
            yield_now().await;
        }
        is_done.get()
    });
    let others = spawn_local(everything(rt));
    // Not within a bound by a timer, which may be what starves.
    others.await.unwrap();
    done.set(true);
    assert_eq!(busy.await, Ok(true), "the others had to wait for the busy task to give up");
}

/// Nor does the main future.
pub async fn a_busy_main_starves_nobody<R: Runtime>(rt: R) {
    const STARVED: Duration = Duration::from_secs(30);
    let mut others = pin!(spawn_local(everything(rt)));
    let started = Instant::now();
    while poll_once(others.as_mut()).await.is_pending() {
        assert!(started.elapsed() < STARVED, "the tasks starve");
        yield_now().await;
    }
}

/// Something of everything that a loop waits for.
async fn everything<R: Runtime>(rt: R) {
    for _ in 0..5 {
        sleep(Duration::from_millis(2)).await;
        let (mut connection, mut socket) = pair(&rt).await;
        let client = peer(move || {
            socket.write_all(b"hello").unwrap();
            read_exact(&socket, 5)
        });
        let bytes = receive_exact(&mut connection, 5).await;
        send(&mut connection, bytes).await;
        assert_eq!(client.await, b"hello");
        offload(|| ()).await;
    }
}
