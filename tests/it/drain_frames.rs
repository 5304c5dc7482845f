//! A drain as a client sees it, frame by frame (RFC 9113, 6.8): GOAWAY that names no stream, PING, and behind its answer GOAWAY that names the last.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::raw::*;

on_every_engine!(with crate::drain_frames::until_it_ends;
    goaway_twice_and_calls_in_between_are_served,
    calls_behind_the_second_goaway_are_not_begun,
    a_client_that_has_just_connected_is_served,
    idle_connections_are_closed_at_once,
    an_unanswered_ping_is_waited_for_5_s("hyper: waits for ever"),
    an_idle_client_that_answers_no_ping("hyper: waits for ever"),
    a_half_open_request_is_waited_for,
    a_second_signal_closes_at_once,
);

/// The wait for the answer to PING, as grpc-go has it.
const PING_WAIT: Duration = Duration::from_secs(5);
/// What this project adds to a wait on a busy machine.
const LATE: Duration = Duration::from_secs(4);

/// Runs a case that ends with the server's end.
fn until_it_ends(target: Target, case: impl FnOnce(&mut Server)) {
    case(&mut target.serve(&[]));
}

/// A connection that answers no PING of its own accord.
fn open(server: &Server) -> Connection {
    let mut connection = server.open();
    connection.polite = false;
    connection
}

/// Waits for the first GOAWAY and for PING.
fn is_warned(connection: &mut Connection) {
    connection.until("GOAWAY and PING come", |connection| (!connection.goaways.is_empty() && !connection.pings.is_empty()).then_some(()));
    let warning = &connection.goaways[0];
    assert_eq!((warning.last, warning.code), (MAX_31_BITS, code::NO_ERROR), "{warning:?}");
    assert_eq!((connection.goaways.len(), connection.pings.len()), (1, 1), "{:?}", connection.goaways);
}

/// Waits for the second GOAWAY, which names this stream.
fn is_told_the_last(connection: &mut Connection, stream: u32) {
    connection.until("the second GOAWAY comes", |connection| (connection.goaways.len() == 2).then_some(()));
    let goaway = &connection.goaways[1];
    assert_eq!((goaway.last, goaway.code), (stream, code::NO_ERROR), "{goaway:?}");
}

/// The connection is closed, with nothing else said; the server ends well.
fn ends_well(server: &mut Server, connection: &mut Connection) {
    connection.until("the connection is closed", |connection| connection.closed.then_some(()));
    assert_eq!(connection.goaways.len(), 2, "{:?}", connection.goaways);
    assert_eq!(server.process().wait().code(), Some(0));
}

fn goaway_twice_and_calls_in_between_are_served(server: &mut Server) {
    let mut connection = open(server);
    let before = connection.hello("before", 300);
    connection.greets();
    server.process().signal(Signal::TERM);
    is_warned(&mut connection);
    let between = connection.hello("between", 300);
    connection.greets();
    let last = connection.hello("last", 300);
    let ping = connection.pings[0];
    connection.send([ping_ack(ping)]);
    is_told_the_last(&mut connection, last);
    for (stream, name) in [(before, "before"), (between, "between"), (last, "last")] {
        connection.is_greeted(stream, name);
    }
    ends_well(server, &mut connection);
}

/// Ignored or refused, so that the client knows it may try elsewhere.
fn calls_behind_the_second_goaway_are_not_begun(server: &mut Server) {
    let mut connection = open(server);
    let running = connection.hello("running", 500);
    connection.greets();
    server.process().signal(Signal::TERM);
    is_warned(&mut connection);
    let ping = connection.pings[0];
    connection.send([ping_ack(ping)]);
    connection.until("the second GOAWAY comes", |connection| (connection.goaways.len() == 2).then_some(()));
    let late = connection.hello("late", 0);
    connection.is_greeted(running, "running");
    ends_well(server, &mut connection);
    let response = connection.so_far(late);
    assert!(response.blocks.is_empty(), "{response:?}");
    assert!(matches!(response.reset, None | Some(code::REFUSED_STREAM)), "{response:?}");
    assert!(connection.goaways[1].last < late);
}

/// It may have begun its call before it could know; a proxy would not begin it anew elsewhere.
fn a_client_that_has_just_connected_is_served(server: &mut Server) {
    let mut connection = Connection::silent(server.addr());
    // Accepted after that one.
    let mut other = open(server);
    server.process().signal(Signal::TERM);
    is_warned(&mut other);
    // Before it looks at what the server says.
    connection.send_bytes(PREFACE);
    connection.send([settings(&[])]);
    connection.greets();
    connection.until("the connection is closed", |connection| connection.closed.then_some(()));
    assert!(connection.error().is_none(), "{:?}", connection.goaways);
    other.send([ping_ack(other.pings[0])]);
    assert_eq!(server.process().wait().code(), Some(0));
}

fn idle_connections_are_closed_at_once(server: &mut Server) {
    let mut connections = [(); 5].map(|()| server.open());
    let begun = Instant::now();
    server.process().signal(Signal::TERM);
    for connection in &mut connections {
        connection.until("the connection is closed", |connection| connection.closed.then_some(()));
        assert!(connection.error().is_none(), "{:?}", connection.goaways);
    }
    assert_eq!(server.process().wait().code(), Some(0));
    assert!(begun.elapsed() < PING_WAIT, "took {:?}", begun.elapsed());
}

fn an_unanswered_ping_is_waited_for_5_s(server: &mut Server) {
    let mut connection = open(server);
    let running = connection.hello("running", 7000);
    server.process().signal(Signal::TERM);
    is_warned(&mut connection);
    let warned = Instant::now();
    // Another PING's answer is none to this.
    connection.send([ping_ack(*b"nonsense")]);
    is_told_the_last(&mut connection, running);
    let waited = warned.elapsed();
    assert!(waited + Duration::from_millis(500) >= PING_WAIT && waited < PING_WAIT + LATE, "told after {waited:?}");
    connection.is_greeted(running, "running");
    ends_well(server, &mut connection);
}

fn an_idle_client_that_answers_no_ping(server: &mut Server) {
    let mut connection = open(server);
    connection.greets();
    let begun = Instant::now();
    server.process().signal(Signal::TERM);
    connection.until("the connection is closed", |connection| connection.closed.then_some(()));
    assert!(connection.error().is_none(), "{:?}", connection.goaways);
    assert_eq!(server.process().wait().code(), Some(0));
    assert!(begun.elapsed() < PING_WAIT + LATE, "took {:?}", begun.elapsed());
}

/// Its head came before the drain, so it is a call under way.
fn a_half_open_request_is_waited_for(server: &mut Server) {
    let mut connection = server.open();
    connection.greets();
    let stream = connection.begin(&Fields::hello());
    connection.greets();
    server.process().signal(Signal::TERM);
    connection.until("both GOAWAYs come", |connection| (connection.goaways.len() == 2).then_some(()));
    connection.send([data(stream, hello("Joe", 0)).end()]);
    connection.is_greeted(stream, "Joe");
    ends_well(server, &mut connection);
}

fn a_second_signal_closes_at_once(server: &mut Server) {
    let mut connection = open(server);
    connection.hello("Joe", 60_000);
    connection.greets();
    server.process().signal(Signal::TERM);
    is_warned(&mut connection);
    let begun = Instant::now();
    server.process().signal(Signal::TERM);
    connection.until("the connection is closed", |connection| connection.closed.then_some(()));
    assert_eq!(server.process().wait().code(), Some(1));
    assert!(begun.elapsed() < PING_WAIT, "took {:?}", begun.elapsed());
}
