//! Faults for which the engines differ in what ends them, on every loop: the native one has deadlines of its own, hyper is ended by those around it.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::raw::*;

crate::on_every_loop_and_engine!(
    a_client_whose_kernel_takes_nothing,
    a_client_whose_kernel_takes_nothing_and_tcp_user_timeout,
    a_drain_whose_ping_nobody_acknowledges,
    a_second_signal,
    a_call_between_the_goaways,
);

/// Far longer than any deadline of these cases.
const LONG: Duration = Duration::from_secs(20);

/// Native: closed by the stall's deadline. hyper has none: it is kept, costs no more than its answers, and keeps nobody waiting, until the client is gone.
fn a_client_whose_kernel_takes_nothing(runtime: &'static str, engine: &'static str) {
    let mut server = Target { runtime, engine }.serve(&["--stall-timeout", "1s"]);
    let (grown, (connection, _)) = server.memory_for("VmHWM", || server.open_deaf());
    assert!(grown < 64 << 20, "{grown} bytes for 9 MB of answers");
    if engine == "hyper" {
        let kept = server.process().n_fds();
        server.open().greets();
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(server.process().n_fds(), kept, "three times the deadline that the other engine has");
        server.open().greets();
        drop(connection);
    }
    let begun = Instant::now();
    server.lets_go_of_all();
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    server.is_well();
}

/// What ends it on hyper: the kernel's own deadline, where it is set.
fn a_client_whose_kernel_takes_nothing_and_tcp_user_timeout(runtime: &'static str, engine: &'static str) {
    let mut server = Target { runtime, engine }.serve(&["--tcp-user-timeout", "1s"]);
    let (connection, _) = server.open_deaf();
    let begun = Instant::now();
    server.lets_go_of_all();
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    drop(connection);
    server.is_well();
}

/// An idle client that answers no PING: closed by native after 5 s, and the server ends well; on hyper it is waited for until the drain's time is over, and counts
/// as cut.
fn a_drain_whose_ping_nobody_acknowledges(runtime: &'static str, engine: &'static str) {
    let (drain, code, least) = match engine {
        "native" => ("25s", 0, Duration::from_secs(4)),
        _ => ("7s", 1, Duration::from_secs(7)),
    };
    let mut server = Target { runtime, engine }.serve(&["--drain-timeout", drain]);
    let mut connection = server.open();
    connection.greets();
    connection.polite = false;
    let begun = Instant::now();
    server.process().signal(Signal::TERM);
    connection.until("the connection is closed", |connection| connection.closed.then_some(()));
    assert_eq!(server.process().wait().code(), Some(code), "{}", server.process().stderr().so_far());
    assert!(begun.elapsed() >= least && begun.elapsed() < LONG, "{:?}", begun.elapsed());
}

fn a_second_signal(runtime: &'static str, engine: &'static str) {
    let mut server = Target { runtime, engine }.serve(&[]);
    let mut connection = server.open();
    connection.hello("Joe", 60_000);
    connection.greets();
    server.process().signal(Signal::TERM);
    connection.until("GOAWAY comes", |connection| (!connection.goaways.is_empty()).then_some(()));
    let begun = Instant::now();
    server.process().signal(Signal::TERM);
    connection.until("the connection is closed", |connection| connection.closed.then_some(()));
    assert_eq!(server.process().wait().code(), Some(1));
    assert!(begun.elapsed() < LONG, "the drain has 25 s: {:?}", begun.elapsed());
}

fn a_call_between_the_goaways(runtime: &'static str, engine: &'static str) {
    let mut server = Target { runtime, engine }.serve(&[]);
    let mut connection = server.open();
    connection.polite = false;
    let before = connection.hello("before", 300);
    connection.greets();
    server.process().signal(Signal::TERM);
    connection.until("GOAWAY and PING come", |connection| (!connection.goaways.is_empty() && !connection.pings.is_empty()).then_some(()));
    let between = connection.hello("between", 0);
    let ping = connection.pings[0];
    connection.send([ping_ack(ping)]);
    connection.is_greeted(before, "before");
    connection.is_greeted(between, "between");
    connection.until("the connection is closed", |connection| connection.closed.then_some(()));
    assert_eq!(connection.goaways.iter().map(|goaway| goaway.last).collect::<Vec<_>>(), [MAX_31_BITS, between]);
    assert_eq!(server.process().wait().code(), Some(0));
}
