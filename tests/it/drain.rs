//! SIGTERM and SIGINT: the running calls finish, within bounds.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tonic::Code;

use crate::support::{block_on, client, eventually, hello, serve};

crate::on_every_loop!(
    sigterm_lets_running_calls_finish,
    sigint_does_too,
    no_more_clients_are_taken,
    the_drain_timeout_cuts,
    a_second_signal_stops_at_once,
    an_idle_server_ends_at_once,
    silent_clients_do_not_hold_it_up,
);

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
        // A later call on the same connection has been answered, so the others are in their handlers.
        assert!(hello(&mut client.clone(), "first", 0).await.is_ok());
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
    block_on(async {
        let mut client = client(addr).await;
        assert!(hello(&mut client, "first", 0).await.is_ok());
        let call = ::tokio::spawn(async move { hello(&mut client, "Joe", 500).await });
        server.signal(Signal::TERM);
        eventually("the port is closed", || TcpStream::connect(addr).is_err().then_some(()));
        assert!(server.is_running(), "the call is still running");
        assert!(call.await.unwrap().is_ok());
    });
    assert_eq!(server.wait().code(), Some(0));
}

fn the_drain_timeout_cuts(runtime: &str) {
    let mut server = serve(runtime, &["--drain-timeout", "200ms"]);
    let took = block_on(async {
        let mut client = client(server.addr()).await;
        assert!(hello(&mut client, "first", 0).await.is_ok());
        let call = ::tokio::spawn(async move { hello(&mut client, "Joe", 60_000).await });
        ::tokio::time::sleep(Duration::from_millis(50)).await;
        let start = Instant::now();
        server.signal(Signal::TERM);
        let status = call.await.unwrap().unwrap_err();
        assert!(matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled), "{status}");
        start.elapsed()
    });
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(5), "cut after {took:?}");
    assert_eq!(server.wait().code(), Some(1));
    let last = server.stderr().wait_for("error:").expect("it says so");
    assert!(last.contains("1 connection was cut"), "{last}");
}

fn a_second_signal_stops_at_once(runtime: &str) {
    let mut server = serve(runtime, &[]);
    block_on(async {
        let mut client = client(server.addr()).await;
        assert!(hello(&mut client, "first", 0).await.is_ok());
        let call = ::tokio::spawn(async move { hello(&mut client, "Joe", 60_000).await });
        ::tokio::time::sleep(Duration::from_millis(50)).await;
        server.signal(Signal::TERM);
        server.stderr().wait_for("draining").expect("it says so");
        assert!(server.is_running());
        let start = Instant::now();
        server.signal(Signal::INT);
        assert!(call.await.unwrap().is_err());
        assert_eq!(server.wait().code(), Some(1));
        assert!(start.elapsed() < Duration::from_secs(5), "stopped after {:?}", start.elapsed());
    });
}

fn an_idle_server_ends_at_once(runtime: &str) {
    let mut server = serve(runtime, &[]);
    block_on(async { hello(&mut client(server.addr()).await, "Joe", 0).await.unwrap() });
    let start = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "ended after {:?}", start.elapsed());
}

/// A client that never said a word has no call to finish.
fn silent_clients_do_not_hold_it_up(runtime: &str) {
    let mut server = serve(runtime, &["--handshake-timeout", "500ms"]);
    let silent = TcpStream::connect(server.addr()).unwrap();
    block_on(async { hello(&mut client(server.addr()).await, "Joe", 0).await.unwrap() });
    let start = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "ended after {:?}", start.elapsed());
    drop(silent);
}
