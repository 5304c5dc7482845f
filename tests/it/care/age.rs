//! Connections that have lived long enough (gRFC A9, MAX_CONNECTION_AGE and its grace), and a drain of the server meanwhile.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{LATE, has_counted, impolite, is_asked_to_leave, is_closed_behind, with};
use crate::raw::*;

on_every_engine!(with crate::care::age::alone;
    an_old_connection_is_told_and_its_calls_end,
    a_busy_client_is_told_too,
    calls_are_cut_when_the_grace_is_over,
    a_send_that_nobody_takes_is_cut_too,
    a_client_that_answers_no_ping_is_closed_none_the_less("hyper: waits for ever"),
    ages_differ,
    the_servers_drain_ends_before_the_grace,
    the_grace_ends_before_the_servers_drain,
);

const AGE: Duration = Duration::from_millis(600);
const GRACE: Duration = Duration::from_millis(700);

/// Each case starts its own server.
fn alone(target: Target, case: impl FnOnce(Target)) {
    case(target);
}

/// The connection that came at this time is told when it is old, give or take a tenth.
fn is_told_in_time(server: &Server, connection: &mut Connection, since: Instant) -> [u8; 8] {
    let ping = is_asked_to_leave(server, connection, "max_age");
    let took = since.elapsed();
    assert!(took >= AGE * 9 / 10 && took < AGE * 11 / 10 + LATE, "told after {took:?}");
    ping
}

fn an_old_connection_is_told_and_its_calls_end(target: Target) {
    with(target, &["--max-connection-age", "600ms"], &[("max_age", 1)], |server| {
        let since = Instant::now();
        let mut connection = impolite(server);
        let long = connection.hello("long", 2500);
        let ping = is_told_in_time(server, &mut connection, since);
        let between = connection.hello("between", 0);
        connection.is_greeted(between, "between");
        connection.send([ping_ack(ping)]);
        connection.is_greeted(long, "long");
        is_closed_behind(&mut connection, between);
    });
}

fn a_busy_client_is_told_too(target: Target) {
    with(target, &["--max-connection-age", "600ms"], &[("max_age", 1)], |server| {
        let since = Instant::now();
        let mut connection = server.open();
        connection.send([window_update(0, MAX_31_BITS - WINDOW as u32)]);
        let mut last = 0;
        while connection.goaways.is_empty() {
            assert!(since.elapsed() < AGE + LATE, "it does not age; {}", connection.seen());
            last = connection.hello("Joe", 0);
            connection.is_greeted(last, "Joe");
        }
        assert!(since.elapsed() >= AGE * 9 / 10, "told after {:?}", since.elapsed());
        is_closed_behind(&mut connection, last);
    });
}

pub(super) fn calls_are_cut_when_the_grace_is_over(target: Target) {
    let flags = ["--max-connection-age", "600ms", "--max-connection-age-grace", "700ms"];
    with(target, &flags, &[("max_age", 1), ("max_age_grace", 1)], |server| {
        let since = Instant::now();
        let mut connection = server.open();
        let long = connection.hello("long", 60_000);
        is_told_in_time(server, &mut connection, since);
        let told = Instant::now();
        connection.until("the connection is closed", |connection| connection.closed.then_some(()));
        // The alarm and this test see the telling at other times.
        let took = told.elapsed();
        assert!(took >= GRACE - Duration::from_millis(200) && took < GRACE + LATE, "cut after {took:?}");
        assert!(since.elapsed() >= AGE * 9 / 10 + GRACE);
        assert!(!connection.so_far(long).ended);
        if server.engine() == "native" {
            let words: Vec<_> = connection.goaways.iter().map(|goaway| (goaway.code, &goaway.debug[..])).collect();
            assert_eq!(words, [(code::NO_ERROR, "max_age"), (code::NO_ERROR, "max_age"), (code::NO_ERROR, "max_age_grace")]);
        }
    });
}

/// Its send does not end: the grace is over none the less.
fn a_send_that_nobody_takes_is_cut_too(target: Target) {
    let flags = ["--max-connection-age", "2s", "--max-connection-age-grace", "700ms"];
    with(target, &flags, &[("max_age", 1), ("max_age_grace", 1)], |server| {
        let (_deaf, begun) = server.open_deaf();
        server.lets_go_of_all();
        assert!(begun.elapsed() < Duration::from_millis(2900) + LATE, "closed after {:?}", begun.elapsed());
    });
}

fn a_client_that_answers_no_ping_is_closed_none_the_less(target: Target) {
    with(target, &["--max-connection-age", "600ms"], &[("max_age", 1), ("drain_ping_timeout", 1)], |server| {
        let mut connection = impolite(server);
        is_asked_to_leave(server, &mut connection, "max_age");
        is_closed_behind(&mut connection, 0);
    });
}

fn ages_differ(target: Target) {
    const N: usize = 30;
    with(target, &["--max-connection-age", "2s"], &[("max_age", N)], |server| {
        let mut connections: Vec<_> = (0..N).map(|_| (Instant::now(), server.open(), None)).collect();
        while connections.iter().any(|(.., age)| age.is_none()) {
            for (since, connection, age) in &mut connections {
                connection.listen(Duration::from_millis(1));
                if age.is_none() && !connection.goaways.is_empty() {
                    *age = Some(since.elapsed());
                }
                assert!(since.elapsed() < Duration::from_secs(2) + LATE, "{}", connection.seen());
            }
        }
        let ages: Vec<_> = connections.iter().filter_map(|(.., age)| *age).collect();
        let (least, most) = (ages.iter().min().expect("some"), ages.iter().max().expect("some"));
        assert!(*least >= Duration::from_millis(1800), "{ages:?}");
        assert!(*most - *least >= Duration::from_millis(150), "they go together: {ages:?}");
    });
}

/// Both rules hold, and the earlier deadline cuts.
fn the_servers_drain_ends_before_the_grace(target: Target) {
    let flags = ["--max-connection-age", "600ms", "--max-connection-age-grace", "60s", "--drain-timeout", "1s"];
    let mut server = target.serve(&flags);
    let since = Instant::now();
    let mut connection = server.open();
    connection.hello("long", 60_000);
    is_told_in_time(&server, &mut connection, since);
    let ordered = Instant::now();
    server.process().signal(Signal::TERM);
    connection.until("the connection is closed", |connection| connection.closed.then_some(()));
    assert_eq!(connection.goaways.len(), 2, "nothing is said again; {}", connection.seen());
    assert_eq!(server.process().wait().code(), Some(1), "a call was cut");
    let took = ordered.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(1) + LATE, "cut after {took:?}");
    has_counted(&mut server, &[("max_age", 1)]);
}

fn the_grace_ends_before_the_servers_drain(target: Target) {
    let flags = ["--max-connection-age", "600ms", "--max-connection-age-grace", "700ms", "--drain-timeout", "60s"];
    let mut server = target.serve(&flags);
    let since = Instant::now();
    let mut connection = server.open();
    connection.hello("long", 60_000);
    connection.all_is_read();
    server.process().signal(Signal::TERM);
    connection.until("the connection is closed", |connection| connection.closed.then_some(()));
    let took = since.elapsed();
    assert!(took >= AGE * 9 / 10 + GRACE && took < AGE + GRACE + LATE, "cut after {took:?}");
    assert_eq!(server.process().wait().code(), Some(0), "the drain itself cut nothing");
    has_counted(&mut server, &[("max_age", 1), ("max_age_grace", 1)]);
}
