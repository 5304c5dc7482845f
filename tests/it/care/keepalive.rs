//! The server's own PINGs, and what it thinks of the clients'.

use std::thread;
use std::time::{Duration, Instant};

use super::{LATE, impolite, with};
use crate::raw::*;

on_every_engine!(with crate::care::keepalive::alone;
    a_silent_client_is_asked_and_closed,
    a_client_that_answers_stays,
    a_dead_client_with_a_call,
    whatever_comes_is_a_sign_of_life("hyper: hears no frames but those of streams"),
    a_client_that_reads_nothing("hyper: ends no connection whose send is under way"),
    no_keepalive,
    often_with_a_call("hyper: answers every PING"),
    often_without_a_call("hyper: answers every PING"),
    often_without_a_call_is_permitted,
);

const TIME: Duration = Duration::from_millis(300);
const TIMEOUT: Duration = Duration::from_millis(400);
const FLAGS: [&str; 4] = ["--keepalive-time", "300ms", "--keepalive-timeout", "400ms"];
const MIN_TIME: [&str; 2] = ["--keepalive-min-time", "100ms"];

/// Each case starts its own server.
fn alone(target: Target, case: impl FnOnce(Target)) {
    case(target);
}

/// It is closed after the timeout, not before and not long after.
fn is_given_up(server: &Server, connection: &mut Connection, heard: Instant) {
    connection.until("PING comes", |connection| (!connection.pings.is_empty()).then_some(()));
    assert!(heard.elapsed() >= TIME, "asked after {:?}", heard.elapsed());
    connection.until("the connection is closed", |connection| connection.closed.then_some(()));
    let took = heard.elapsed();
    assert!(took >= TIME + TIMEOUT && took < TIME + TIMEOUT + LATE, "closed after {took:?}");
    assert_eq!(connection.pings.len(), 1);
    let goaways: Vec<_> = connection.goaways.iter().map(|goaway| (goaway.code, &goaway.debug[..])).collect();
    assert_eq!(goaways, [(code::NO_ERROR, if server.engine() == "native" { "keepalive_timeout" } else { "" })]);
}

pub(super) fn a_silent_client_is_asked_and_closed(target: Target) {
    with(target, &FLAGS, &[("keepalive_timeout", 1)], |server| {
        let mut connection = impolite(server);
        let heard = Instant::now();
        connection.greets();
        is_given_up(server, &mut connection, heard);
    });
}

fn a_dead_client_with_a_call(target: Target) {
    with(target, &FLAGS, &[("keepalive_timeout", 1)], |server| {
        let mut connection = impolite(server);
        let heard = Instant::now();
        connection.hello("Joe", 60_000);
        is_given_up(server, &mut connection, heard);
    });
}

fn a_client_that_answers_stays(target: Target) {
    with(target, &FLAGS, &[], |server| {
        let mut connection = server.open();
        connection.greets();
        let begun = Instant::now();
        connection.until("five PINGs come", |connection| (connection.pings.len() >= 5).then_some(()));
        assert!(begun.elapsed() >= TIME * 5, "five PINGs within {:?}", begun.elapsed());
        connection.greets();
        assert_eq!(connection.goaways, []);
    });
}

/// Frames that ask for nothing, in pieces: the client answers no PING, and is none the less heard.
fn whatever_comes_is_a_sign_of_life(target: Target) {
    with(target, &["--keepalive-time", "1s", "--keepalive-timeout", "400ms"], &[], |server| {
        let mut connection = impolite(server);
        let mut bytes = Vec::new();
        (0..4).for_each(|_| priority(1, 0, 1).write(&mut bytes));
        let (mut last, mut slowest) = (Instant::now(), Duration::ZERO);
        for piece in bytes.chunks(2) {
            connection.send_bytes(piece);
            slowest = slowest.max(last.elapsed());
            last = Instant::now();
            thread::sleep(Duration::from_millis(100));
        }
        assert!(bytes.len() / 2 > 20, "longer than time and timeout");
        connection.greets();
        assert!(connection.goaways.is_empty());
        assert!(slowest > Duration::from_millis(900) || connection.pings.is_empty(), "it was asked though it spoke");
    });
}

/// PING cannot be sent, nor GOAWAY: the send under way is not waited for, as long as the stall timeout would have it.
fn a_client_that_reads_nothing(target: Target) {
    with(target, &["--keepalive-time", "1s", "--keepalive-timeout", "400ms"], &[("keepalive_timeout", 1)], |server| {
        let (_deaf, begun) = server.open_deaf();
        server.lets_go_of_all();
        assert!(begun.elapsed() < Duration::from_millis(1400) + LATE, "closed after {:?}", begun.elapsed());
    });
}

fn no_keepalive(target: Target) {
    with(target, &["--keepalive-time", "none", "--keepalive-timeout", "100ms"], &[], |server| {
        let mut connection = impolite(server);
        connection.greets();
        connection.listen(Duration::from_secs(1));
        connection.greets();
        assert!(connection.pings.is_empty() && connection.goaways.is_empty());
    });
}

/// PINGs with these pauses, until the connection ends or ten were answered; how many were.
fn pings(connection: &mut Connection, pause: Duration) -> usize {
    for n in 1..=10 {
        connection.send([ping([n; 8])]);
        connection.until("PING is answered, or no longer", |connection| {
            (connection.pongs.len() == usize::from(n) || connection.error().is_some()).then_some(())
        });
        if connection.error().is_some() {
            connection.is_told_to_calm_down(&["too_many_pings"]);
            break;
        }
        connection.listen(pause);
    }
    connection.pongs.len()
}

fn often_with_a_call(target: Target) {
    with(target, &MIN_TIME, &[("too_many_pings", 1)], |server| {
        let mut connection = server.open();
        connection.hello("Joe", 60_000);
        assert_eq!(pings(&mut connection, Duration::from_millis(110)), 10, "as often as the flag says");
        assert!(pings(&mut server.open(), Duration::ZERO) < 5, "more often");
    });
}

fn often_without_a_call(target: Target) {
    with(target, &MIN_TIME, &[("too_many_pings", 1)], |server| {
        assert!(pings(&mut server.open(), Duration::from_millis(110)) < 5);
    });
}

fn often_without_a_call_is_permitted(target: Target) {
    with(target, &[&MIN_TIME[..], &["--keepalive-permit-without-calls"]].concat(), &[], |server| {
        assert_eq!(pings(&mut server.open(), Duration::from_millis(110)), 10);
    });
}
