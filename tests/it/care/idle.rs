//! Connections without a call, which are asked to leave (gRFC A9, MAX_CONNECTION_IDLE).

use std::thread;
use std::time::{Duration, Instant};

use super::{LATE, impolite, is_asked_to_leave, is_closed_behind, with};
use crate::raw::*;

on_every_engine!(with crate::care::idle::impatient;
    is_told_and_closed,
    counts_from_the_opening_where_there_is_no_call,
    counts_from_the_end_of_the_last_call,
    frames_that_are_no_calls_do_not_put_it_off,
    a_call_that_crosses_the_first_goaway_is_served,
);

const IDLE: Duration = Duration::from_millis(500);

pub(super) fn impatient(target: Target, case: impl FnOnce(&mut Server)) {
    with(target, &["--max-connection-idle", "500ms"], &[("max_idle", 1)], case);
}

/// As for [`is_told_and_closed`], by one whose last call has ended, or who came, at this time.
fn is_asked_in_time(server: &Server, connection: &mut Connection, since: Instant) -> [u8; 8] {
    let ping = is_asked_to_leave(server, connection, "max_idle");
    let took = since.elapsed();
    assert!(took >= IDLE && took < IDLE + LATE, "told after {took:?}");
    ping
}

pub(super) fn is_told_and_closed(server: &mut Server) {
    let mut connection = server.open();
    connection.greets();
    let last = connection.hello("Joe", 0);
    let since = Instant::now();
    connection.is_greeted(last, "Joe");
    is_asked_in_time(server, &mut connection, since);
    is_closed_behind(&mut connection, last);
}

fn counts_from_the_opening_where_there_is_no_call(server: &mut Server) {
    let since = Instant::now();
    let mut connection = server.open();
    is_asked_in_time(server, &mut connection, since);
    is_closed_behind(&mut connection, 0);
}

fn counts_from_the_end_of_the_last_call(server: &mut Server) {
    let mut connection = server.open();
    let long = connection.hello("long", 1500);
    connection.greets();
    let since = Instant::now() + Duration::from_millis(1400);
    connection.is_greeted(long, "long");
    assert_eq!(connection.goaways, []);
    is_asked_in_time(server, &mut connection, since);
    is_closed_behind(&mut connection, long + 2);
}

fn frames_that_are_no_calls_do_not_put_it_off(server: &mut Server) {
    let mut connection = server.open();
    let since = Instant::now();
    while connection.goaways.is_empty() {
        assert!(since.elapsed() < IDLE + LATE, "it is not idle; {}", connection.seen());
        connection.send([window_update(0, 1), priority(1, 0, 1)]);
        thread::sleep(Duration::from_millis(20));
        connection.drain();
    }
    is_closed_behind(&mut connection, 0);
}

fn a_call_that_crosses_the_first_goaway_is_served(server: &mut Server) {
    let mut connection = impolite(server);
    let ping = is_asked_to_leave(server, &mut connection, "max_idle");
    let late = connection.hello("late", 800);
    connection.send([ping_ack(ping)]);
    // Longer than an idle connection has: it is not idle, and is not told once more.
    connection.is_greeted(late, "late");
    is_closed_behind(&mut connection, late);
}
