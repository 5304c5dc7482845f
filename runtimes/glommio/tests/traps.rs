//! The traps of glommio 0.9 that its users meet nowhere else: what it leaks at the end of an executor, when it gives up, what it does too early.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::fs;
use std::future::{pending, poll_fn};
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use loopswap_glommio::Glommio;
use loopswap_rt::{
    Address, BoundListener, Connect, Connection, File, Listen, Listener, Offload, OpenOptions, Spawn, Start, Timer, Worker, live_tasks,
};

/// Descriptors, threads and limits belong to the process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    HARNESS.lock().unwrap_or_else(PoisonError::into_inner).push(current_thread());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The threads that run tests, or wait to be alone: the harness has one for each CPU.
static HARNESS: Mutex<Vec<OsString>> = Mutex::new(Vec::new());

fn current_thread() -> OsString {
    fs::read_link("/proc/thread-self").unwrap().file_name().unwrap().into()
}

fn run<F: Future + 'static>(main: impl FnOnce() -> F) -> F::Output {
    Glommio::default().run(&Worker::new(0), main).expect("these tests need io_uring")
}

fn listener() -> (BoundListener, Address) {
    let listener = BoundListener::Tcp(TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// What each open descriptor is, without the number of a socket or pipe.
fn descriptors() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let mut kinds: Vec<_> = links.map(|link| link.to_string_lossy().split(":[").next().unwrap_or_default().to_owned()).collect();
    kinds.sort();
    kinds
}

/// Threads of this process that are neither its first nor the harness's. One that the harness has just started is among them, for a moment.
fn other_threads() -> Vec<OsString> {
    let harness = HARNESS.lock().unwrap_or_else(PoisonError::into_inner);
    let first = OsString::from(std::process::id().to_string());
    let threads = fs::read_dir("/proc/self/task").unwrap().filter_map(|entry| Some(entry.ok()?.file_name()));
    threads.filter(|thread| *thread != first && !harness.contains(thread)).collect()
}

/// Counts what was dropped.
struct Guard(Rc<Cell<usize>>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Leaves all kinds of unfinished business behind. How many guards were made, and the cell that counts their end.
async fn leave_a_mess(file: std::path::PathBuf, wakers: mpsc::Sender<Waker>) -> (usize, Rc<Cell<usize>>) {
    let dropped = Rc::new(Cell::new(0));
    let made = Cell::new(0);
    let guard = || {
        made.set(made.get() + 1);
        Guard(Rc::clone(&dropped))
    };
    let glommio = Glommio::default();

    let sleeps = guard();
    glommio.spawn(async move {
        let _guard = sleeps;
        Glommio::default().sleep_until(Instant::now() + Duration::from_secs(3600)).await;
    });

    let never = guard();
    glommio.spawn(async move {
        let _guard = never;
        pending::<()>().await;
    });

    let (bound, address) = listener();
    let mut listener = glommio.listen(bound).unwrap();
    let mut client = glommio.connect(&address).await.unwrap();
    let mut served = listener.accept().await.unwrap().unwrap();
    let (accepts, receives, sends) = (guard(), guard(), guard());
    glommio.spawn(async move {
        let _guard = accepts;
        let _ = listener.accept().await;
    });
    glommio.spawn(async move {
        let _guard = receives;
        let _ = served.receive(|_| ()).await;
    });
    glommio.spawn(async move {
        let _guard = sends;
        // More than the sockets' buffers take.
        let _ = client.send(vec![0; 32 << 20]).await;
    });

    let (reads, elsewhere, spawns) = (guard(), guard(), guard());
    glommio.spawn(async move {
        let _guard = reads;
        let file = File::open(file, &OpenOptions::reading()).await.unwrap();
        loop {
            file.read_at(Vec::with_capacity(1 << 20), 0).await.0.unwrap();
        }
    });
    glommio.spawn(async move {
        let _guard = elsewhere;
        poll_fn(|cx| {
            wakers.send(cx.waker().clone()).unwrap();
            Poll::<()>::Pending
        })
        .await;
    });
    struct Spawns(Option<Guard>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let guard = self.0.take();
            Glommio::default().spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
        }
    }
    glommio.spawn(async move {
        let _spawns = Spawns(Some(spawns));
        pending::<()>().await;
    });

    loopswap_rt::sleep(Duration::from_millis(5)).await;
    // One that was never polled.
    let unborn = guard();
    glommio.spawn(async move {
        let _guard = unborn;
        pending::<()>().await;
    });
    (made.get(), dropped)
}

#[test]
fn nothing_outlives_a_run() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, vec![1; 1 << 20]).unwrap();
    let (sender, wakers) = mpsc::channel();

    let mut before = Vec::new();
    for round in 0..20 {
        let (made, dropped) = run(|| leave_a_mess(path.clone(), sender.clone()));
        assert_eq!((dropped.get(), live_tasks()), (made, 0), "guards dropped, and tasks alive, in round {round}");
        // A waker that another thread uses, and drops, after the end.
        let late = wakers.recv().unwrap();
        thread::spawn(move || late.wake()).join().unwrap();
        if round == 0 {
            before = descriptors();
        }
        assert_eq!(descriptors(), before, "descriptors after round {round}");
    }
    // The kernel shows a thread for a moment after it has been waited for.
    let patience = Instant::now() + Duration::from_secs(5);
    while !other_threads().is_empty() && Instant::now() < patience {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(other_threads().is_empty(), "left behind: {:?}", other_threads());
}

#[test]
fn workers_start_and_end_side_by_side() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, vec![1; 1 << 20]).unwrap();
    run(|| async {});
    let before = descriptors();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let (sender, _wakers) = mpsc::channel();
                for _ in 0..5 {
                    let (made, dropped) = run(|| leave_a_mess(path.clone(), sender.clone()));
                    assert_eq!(dropped.get(), made);
                }
            });
        }
    });
    assert_eq!(descriptors(), before);
}

#[test]
fn a_dropped_operation_leaves_no_descriptor() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, b"hello").unwrap();
    run(move || async move {
        let before = descriptors();
        let (bound, address) = listener();
        let mut listener = Glommio::default().listen(bound).unwrap();
        let reading = OpenOptions::reading();
        for _ in 0..50 {
            let mut opening = Box::pin(File::open(&path, &reading));
            poll_fn(|cx| Poll::Ready(opening.as_mut().poll(cx).is_ready())).await;
            drop(opening);
            poll_fn(|cx| Poll::Ready(listener.poll_accept(cx).is_ready())).await;
        }
        // Arrives at the armed accept, and is never asked for.
        let client = Glommio::default().connect(&address).await.unwrap();
        drop(listener);
        drop(client);
        let patience = Instant::now() + Duration::from_secs(5);
        while descriptors() != before && Instant::now() < patience {
            loopswap_rt::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn a_file_that_escapes_its_executor_is_closed() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    run(|| async {});
    let before = descriptors();
    let file = run(move || async move { File::open(path, &OpenOptions::creating()).await.unwrap() });
    assert_eq!(descriptors().len(), before.len() + 1);
    drop(file);
    assert_eq!(descriptors(), before);
}

#[test]
fn stop_hands_out_what_the_armed_accept_brought() {
    let _alone = alone();
    run(|| async {
        let (bound, address) = listener();
        let mut listener = Glommio::default().listen(bound).unwrap();
        assert!(poll_fn(|cx| Poll::Ready(listener.poll_accept(cx).is_pending())).await);
        loopswap_rt::sleep(Duration::from_millis(5)).await;
        let address = address.as_tcp().unwrap();
        let clients: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        listener.stop();
        listener.stop();
        let mut peers = Vec::new();
        while let Some(client) = listener.accept().await {
            peers.push(client.unwrap().peer_addr().as_tcp().unwrap());
        }
        assert!(listener.accept().await.is_none());
        assert_eq!(peers, clients.iter().map(|client| client.local_addr().unwrap()).collect::<Vec<_>>());
        assert_eq!(std::net::TcpStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn accepted_descriptors_are_close_on_exec() {
    let _alone = alone();
    run(|| async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (tcp, tcp_address) = listener();
        let unix = BoundListener::Unix(std::os::unix::net::UnixListener::bind(&path).unwrap());
        for (bound, address) in [(tcp, tcp_address), (unix, Address::Unix(Some(path.clone())))] {
            let mut listener = Glommio::default().listen(bound).unwrap();
            let mut client = Glommio::default().connect(&address).await.unwrap();
            // The connect came first, so the quick path of the accept takes it.
            let mut served = listener.accept().await.unwrap().unwrap();
            for entry in fs::read_dir("/proc/self/fdinfo").unwrap().flatten() {
                let number = entry.file_name().into_string().unwrap();
                let is_socket = fs::read_link(format!("/proc/self/fd/{number}"))
                    .is_ok_and(|link| link.starts_with("socket:") || link.to_string_lossy().starts_with("socket:"));
                let info = fs::read_to_string(entry.path()).unwrap_or_default();
                let flags =
                    info.lines().find_map(|line| line.strip_prefix("flags:")).map(|flags| u32::from_str_radix(flags.trim(), 8).unwrap());
                assert!(!is_socket || flags.is_none_or(|flags| flags & 0o2000000 != 0), "{number} survives exec: {info}");
            }
            client.send(b"hello".to_vec()).await.0.unwrap();
            assert_eq!(served.receive(<[u8]>::to_vec).await.unwrap(), b"hello");
            drop(served);
            assert_eq!(client.receive(<[u8]>::len).await.unwrap(), 0);
        }
    });
}

#[test]
fn spawn_does_not_poll() {
    let _alone = alone();
    run(|| async {
        let log = Rc::new(RefCell::new(Vec::new()));
        let in_task = Rc::clone(&log);
        let holding = log.borrow_mut();
        let task = loopswap_rt::spawn_local(async move { in_task.borrow_mut().push("task") });
        drop(holding);
        task.await.unwrap();
        assert_eq!(*log.borrow(), ["task"]);
    });
}

#[test]
fn a_task_may_have_more_wakers_than_glommio_counts() {
    let _alone = alone();
    run(|| async {
        let wakers: Vec<_> = poll_fn(|cx| Poll::Ready((0..40_000).map(|_| cx.waker().clone()).collect())).await;
        drop(wakers);
        let mut sleeps: Vec<_> = (0..40_000).map(|_| Box::pin(loopswap_rt::sleep(Duration::from_millis(300)))).collect();
        poll_fn(|cx| {
            sleeps.retain_mut(|sleep| sleep.as_mut().poll(cx).is_pending());
            if sleeps.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    });
}

#[test]
fn panics_are_contained_and_mains_is_passed_on() {
    let _alone = alone();
    struct PanicsWhenDropped;
    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("dropped (expected)");
        }
    }
    let caught = std::panic::catch_unwind(|| {
        run(|| async {
            Glommio::default().spawn(async { panic!("polled (expected)") });
            Glommio::default().spawn(async {
                let _panics = PanicsWhenDropped;
                pending::<()>().await;
            });
            Glommio::default().offload(Box::new(|| panic!("offloaded (expected)")));
            assert_eq!(loopswap_rt::offload(|| 1).await, 1);
            loopswap_rt::sleep(Duration::from_millis(1)).await;
            std::panic::panic_any(42_u8);
        })
    });
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&42_u8));
    assert_eq!(live_tasks(), 0);
    run(|| async {});
}

#[test]
fn the_first_sleep_is_like_the_others() {
    let _alone = alone();
    // Each loop is a new one, so that each sleep is its first; the best of some, because a machine that is held up makes any of them late.
    let first_sleep = || {
        run(|| async {
            let before = Instant::now();
            loopswap_rt::sleep(Duration::from_millis(10)).await;
            before.elapsed()
        })
    };
    let slept: Vec<_> = (0..10).map(|_| first_sleep()).collect();
    assert!(slept.iter().all(|slept| *slept >= Duration::from_millis(10)), "{slept:?}");
    assert!(slept.iter().any(|slept| *slept < Duration::from_millis(25)), "{slept:?}");
}

#[test]
fn offloaded_jobs_run_unawaited_and_side_by_side() {
    let _alone = alone();
    run(|| async {
        let (sender, done) = mpsc::channel();
        let barrier = std::sync::Arc::new(std::sync::Barrier::new(20));
        for _ in 0..20 {
            let (sender, barrier) = (sender.clone(), std::sync::Arc::clone(&barrier));
            Glommio::default().offload(Box::new(move || {
                barrier.wait();
                sender.send(()).unwrap();
            }));
        }
        for _ in 0..20 {
            done.recv_timeout(Duration::from_secs(10)).unwrap();
        }
    });
}

/// In a process of its own: a hard limit does not go up again.
#[test]
fn a_low_memlock_limit_is_explained() {
    const CHILD: &str = "LOOPSWAP_TEST_LOW_MEMLOCK";
    if std::env::var_os(CHILD).is_some() {
        let limit = rustix::process::Rlimit { current: Some(256 * 1024), maximum: Some(256 * 1024) };
        rustix::process::setrlimit(rustix::process::Resource::Memlock, limit).unwrap();
        let probed = Glommio::default().probe().unwrap_err();
        assert!(probed.cause().contains("512 KiB") && probed.cause().contains("256 KiB"), "{probed}");
        let ran = Glommio::default().run(&Worker::new(0), || async {}).unwrap_err();
        assert_eq!(ran, probed);
        return;
    }
    let _alone = alone();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_low_memlock_limit_is_explained", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
}

#[test]
fn affinity_is_left_alone() {
    let _alone = alone();
    thread::spawn(|| {
        let mut one = rustix::thread::CpuSet::new();
        one.set(0);
        rustix::thread::sched_setaffinity(None, &one).unwrap();
        let inside = run(|| async { rustix::thread::sched_getaffinity(None).unwrap() });
        assert_eq!(inside, one);
    })
    .join()
    .unwrap();
}

#[test]
fn the_probe_leaves_nothing() {
    let _alone = alone();
    Glommio::default().probe().unwrap();
    let before = descriptors();
    let start = Instant::now();
    for _ in 0..20 {
        Glommio::default().probe().unwrap();
    }
    eprintln!("a probe takes {:?}", start.elapsed() / 20);
    assert_eq!(descriptors(), before);
}

#[test]
fn tokios_tasks_and_timers_work_and_end_with_the_worker() {
    let _alone = alone();
    let ended = mpsc::channel::<()>();
    let (home, there) = run(move || async move {
        let there = tokio::spawn(async { thread::current().id() }).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let taken = tokio::time::timeout(Duration::from_millis(5), pending::<()>()).await;
        assert!(taken.is_err(), "a timer of tokio's wakes a task of glommio's");
        let for_ever = ended.0;
        tokio::spawn(async move {
            let _for_ever = for_ever;
            pending::<()>().await
        });
        (thread::current().id(), there)
    });
    assert_ne!(home, there, "what is spawned runs beside the loop");
    assert!(
        ended.1.recv_timeout(Duration::ZERO) == Err(mpsc::RecvTimeoutError::Disconnected),
        "a task that waits is dropped with its worker"
    );
}
