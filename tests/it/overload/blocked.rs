//! A handler that blocks its thread for ever. No thread can be ended from outside: its worker is left behind, is named, and the server ends none the less. And a start that
//! blocks its thread: it is waited for, and its worker is named.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use loopswap::greeter::{Greeter, GreeterServer, Hello, HelloReply, HelloRequest};
use loopswap::rt::Worker;
use loopswap::{ErrorKind, Loop, Request, Response, Running, Server, Started, Status};
use rustix::process::Signal;

use crate::examples::example;
use crate::raw::Connection;
use crate::support::{PATIENCE, Served, eventually, starting};

use super::busy;

crate::on_every_loop!(
    the_end_of_the_drain_leaves_it_behind,
    a_second_signal_leaves_it_behind,
    while_the_server_leaves_too,
    waiting_for_the_server_ends_with_its_name,
    dropping_the_server_ends_too,
    a_worker_that_does_not_start_is_named,
    a_worker_that_starts_late_serves,
    a_start_that_fails_leaves_a_worker_behind_that_does_not,
);

const FOR_EVER_MS: i32 = 600_000;

/// How much longer than it is given a blocked worker is waited for: a second to close its connections, and five.
const WAITED_FOR: Duration = Duration::from_secs(6);

/// How long a drain may take unless told otherwise.
const DEFAULT_DRAIN: Duration = Duration::from_secs(25);

/// A server whose only worker is blocked, and who has it so.
fn blocked(runtime: &str, args: &[&str]) -> (Served, Connection) {
    let server = busy(runtime, "native", &[args, &["--stall-log-ms", "500", "--compute-us", "0"]].concat());
    let mut connection = Connection::open(server.addr(), &[]);
    connection.hello("block", FOR_EVER_MS);
    server.stderr().wait_for("stands still").expect("it is said");
    (server, connection)
}

/// It ends by the exit code of a server that did not end well, after this time, and says which worker it was.
fn is_left_behind(server: &mut Served, since: Instant, waited: Duration) {
    assert_eq!(server.wait().code(), Some(1));
    let took = since.elapsed();
    assert!(took >= waited && took < waited + WAITED_FOR + PATIENCE / 4, "ended after {took:?}");
    let log = server.stderr_at_the_end();
    assert!(log.contains("left behind: worker 0, whose handlers block it"), "{log}");
}

fn the_end_of_the_drain_leaves_it_behind(runtime: &str) {
    let (mut server, _connection) = blocked(runtime, &["--drain-timeout-ms", "1000"]);
    let ordered = Instant::now();
    server.signal(Signal::TERM);
    is_left_behind(&mut server, ordered, Duration::from_secs(1) + WAITED_FOR);
}

fn a_second_signal_leaves_it_behind(runtime: &str) {
    let (mut server, _connection) = blocked(runtime, &[]);
    server.signal(Signal::TERM);
    server.stderr().wait_for("draining").expect("it says so");
    let ordered = Instant::now();
    server.signal(Signal::INT);
    is_left_behind(&mut server, ordered, WAITED_FOR);
    assert!(ordered.elapsed() < DEFAULT_DRAIN, "it did not wait for the drain's end");
}

/// The worker that is to begin the drain when the delay is over is the one that is blocked.
fn while_the_server_leaves_too(runtime: &str) {
    let (mut server, _connection) = blocked(runtime, &["--drain-timeout-ms", "500", "--drain-delay-ms", "500"]);
    let ordered = Instant::now();
    server.signal(Signal::TERM);
    is_left_behind(&mut server, ordered, Duration::from_secs(1) + WAITED_FOR);
}

/// Its handlers wait until they are released, and their thread with them.
#[derive(Clone)]
struct Stuck {
    worker: usize,
    begun: Sender<usize>,
    released: Arc<Mutex<Receiver<()>>>,
}

impl Greeter for Stuck {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        self.begun.send(self.worker).expect("the case listens");
        // An error says that it is released.
        let _ = self.released.lock().unwrap().recv();
        Ok(Response::new(HelloReply::default()))
    }
}

/// Runs a case with a server of two workers, of which the one of this number is blocked. Released afterwards, that one ends by itself.
fn with_a_stuck_worker(runtime: &str, case: impl FnOnce(Running, usize)) {
    let (begun, begins) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let released = Arc::new(Mutex::new(released));
    let stuck = Stuck { worker: 0, begun, released: Arc::clone(&released) };
    let builder = Server::builder().listen("127.0.0.1:0").workers(2).drain_timeout(Duration::from_secs(1));
    let running = builder
        .start(Loop::choose(runtime).expect("it is built in"), move |worker| {
            GreeterServer::new(Stuck { worker: worker.index, ..stuck.clone() })
        })
        .expect("the loop runs here");
    let mut connection = Connection::open(running.local_addr().as_tcp().expect("it listens on TCP"), &[]);
    connection.hello("Joe", 0);
    case(running, begins.recv_timeout(PATIENCE).expect("the handler begins"));
    drop(release);
    eventually("its worker ends", || (Arc::strong_count(&released) == 1).then_some(()));
}

fn waiting_for_the_server_ends_with_its_name(runtime: &str) {
    with_a_stuck_worker(runtime, |running, worker| {
        running.handle().drain();
        let error = running.wait().expect_err("it is told");
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::Worker, 1), "{error}");
        assert!(error.to_string().ends_with(&format!("left behind: worker {worker}, whose handlers block it")), "{error}");
    });
}

fn dropping_the_server_ends_too(runtime: &str) {
    with_a_stuck_worker(runtime, |running, _| {
        let start = Instant::now();
        drop(running);
        let took = start.elapsed();
        assert!(took >= WAITED_FOR && took < WAITED_FOR + PATIENCE / 4, "after {took:?}");
    });
}

/// The last of two workers blocks its thread for so long while it starts.
fn starts_after(runtime: &str, ms: i32) -> Served {
    starting(example("busy_server").args(["--runtime", runtime, "--workers", "2", "--start-block-ms", &ms.to_string()]))
}

/// Again and again, but each time after twice the time. A signal ends the process.
fn a_worker_that_does_not_start_is_named(runtime: &str) {
    let mut server = starts_after(runtime, FOR_EVER_MS);
    for after in ["5s", "10s"] {
        let line = server.stderr().wait_for(&format!("has not started after {after}")).expect("it is said");
        assert!(line.contains("WARN") && line.contains("worker 1 "), "{line}");
    }
    server.signal(Signal::TERM);
    assert_eq!(server.wait().signal(), Some(Signal::TERM.as_raw()));
    let log = server.stderr_at_the_end();
    assert_eq!((log.matches("has not started").count(), log.contains("worker 0")), (2, false), "{log}");
}

/// Though it took longer than hooks may: nothing has waited in it.
fn a_worker_that_starts_late_serves(runtime: &str) {
    let mut server = starts_after(runtime, 11_000);
    server.stdout().wait_for("listening").expect("it starts in the end");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(server.stderr_at_the_end().matches("has not started").count(), 2);
}

fn a_start_that_fails_leaves_a_worker_behind_that_does_not(runtime: &str) {
    let (block, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let blocks = Arc::clone(&blocked);
    let builder = Server::builder().listen("127.0.0.1:0").workers(2);
    let failed = builder.start_with(Loop::choose(runtime).expect("it is built in"), async move |worker: &Worker| {
        if worker.index == 1 {
            return Err("the database is not there".to_owned());
        }
        // An error says that it is released.
        let _ = blocks.lock().unwrap().recv();
        Ok(Started::new(GreeterServer::new(Hello)))
    });
    let error = failed.expect_err("it cannot start");
    assert!(error.to_string().contains("worker 1 cannot start: its start hook failed: the database is not there"), "{error}");
    drop(block);
    eventually("the other's thread ends", || (Arc::strong_count(&blocked) == 1).then_some(()));
}
