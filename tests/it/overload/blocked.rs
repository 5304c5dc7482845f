//! A handler that blocks its thread for ever. No thread can be ended from outside: its worker is left behind, is named, and the server ends none the less.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use loopswap::greeter::{Greeter, GreeterServer, HelloReply, HelloRequest};
use loopswap::{ErrorKind, Loop, Request, Response, Running, Server, Status};
use rustix::process::Signal;

use crate::raw::Connection;
use crate::support::{PATIENCE, Served, eventually};

use super::busy;

crate::on_every_loop!(
    the_end_of_the_drain_leaves_it_behind,
    a_second_signal_leaves_it_behind,
    while_the_server_leaves_too,
    waiting_for_the_server_ends_with_its_name,
    dropping_the_server_ends_too,
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
