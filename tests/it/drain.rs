//! SIGTERM and SIGINT: the running calls finish, within bounds.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::raw::{Connection, Fields, data, hello as message};
use crate::support::{Served, block_on, client, eventually, hello, serve};

crate::on_every_loop!(
    sigterm_lets_running_calls_finish,
    sigint_does_too,
    no_more_clients_are_taken,
    the_drain_timeout_cuts,
    a_second_signal_stops_at_once,
    an_idle_server_ends_at_once,
    silent_clients_do_not_hold_it_up,
);

/// How long a drain may take unless told otherwise; what does not wait for calls is sooner.
const DEFAULT_DRAIN: Duration = Duration::from_secs(25);

fn running_calls_finish(runtime: &str, signal: Signal) {
    let mut server = serve(runtime, &[]);
    block_on(async {
        let client = client(server.addr()).await;
        let calls: Vec<_> = (0..50)
            .map(|n| {
                let mut client = client.clone();
                ::tokio::spawn(async move { hello(&mut client, "Joe", 300 + n).await })
            })
            .collect();
        // When a call has been answered the others have reached the connection, and when a later one has, their handlers.
        for name in ["first", "second"] {
            assert!(hello(&mut client.clone(), name, 0).await.is_ok());
        }
        server.signal(signal);
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), "Hello, Joe!");
        }
    });
    assert_eq!(server.wait().code(), Some(0));
}

fn sigterm_lets_running_calls_finish(runtime: &str) {
    running_calls_finish(runtime, Signal::TERM);
}

fn sigint_does_too(runtime: &str) {
    running_calls_finish(runtime, Signal::INT);
}

fn no_more_clients_are_taken(runtime: &str) {
    let mut server = serve(runtime, &[]);
    let addr = server.addr();
    let mut connection = Connection::open(addr, &[]);
    // A call under way, for as long as its request is.
    let stream = connection.begin(&Fields::hello());
    connection.greets();
    server.signal(Signal::TERM);
    eventually("the port is closed", || TcpStream::connect(addr).is_err().then_some(()));
    assert!(server.is_running(), "the call is still running");
    connection.send([data(stream, message("Joe", 0)).end()]);
    connection.is_greeted(stream, "Joe");
    drop(connection);
    assert_eq!(server.wait().code(), Some(0));
}

/// Serves a client whose call would last a minute, and has begun.
fn with_a_long_call(runtime: &str, args: &[&str]) -> (Served, Connection) {
    let server = serve(runtime, args);
    let mut connection = Connection::open(server.addr(), &[]);
    connection.hello("Joe", 60_000);
    connection.greets();
    (server, connection)
}

fn is_cut(connection: &mut Connection) {
    connection.until("the connection is closed", |connection| connection.closed.then_some(()));
}

fn the_drain_timeout_cuts(runtime: &str) {
    let (mut server, mut connection) = with_a_long_call(runtime, &["--drain-timeout", "200ms"]);
    let start = Instant::now();
    server.signal(Signal::TERM);
    is_cut(&mut connection);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(200) && took < DEFAULT_DRAIN, "cut after {took:?}");
    assert_eq!(server.wait().code(), Some(1));
    let last = server.stderr().wait_for("error:").expect("it says so");
    assert!(last.contains("1 connection was cut"), "{last}");
}

fn a_second_signal_stops_at_once(runtime: &str) {
    let (mut server, mut connection) = with_a_long_call(runtime, &[]);
    server.signal(Signal::TERM);
    server.stderr().wait_for("draining").expect("it says so");
    assert!(server.is_running());
    let start = Instant::now();
    server.signal(Signal::INT);
    is_cut(&mut connection);
    assert_eq!(server.wait().code(), Some(1));
    assert!(start.elapsed() < DEFAULT_DRAIN, "stopped after {:?}", start.elapsed());
}

fn an_idle_server_ends_at_once(runtime: &str) {
    let mut server = serve(runtime, &[]);
    block_on(async { hello(&mut client(server.addr()).await, "Joe", 0).await.unwrap() });
    let start = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(start.elapsed() < DEFAULT_DRAIN, "ended after {:?}", start.elapsed());
}

/// A client that never said a word has no call to finish.
fn silent_clients_do_not_hold_it_up(runtime: &str) {
    let mut server = serve(runtime, &["--handshake-timeout", "2s"]);
    let silent = TcpStream::connect(server.addr()).unwrap();
    block_on(async { hello(&mut client(server.addr()).await, "Joe", 0).await.unwrap() });
    let start = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(start.elapsed() < DEFAULT_DRAIN, "ended after {:?}", start.elapsed());
    drop(silent);
}
