//! `grpc-timeout`: read strictly, kept to by the server.

use std::time::{Duration, Instant};

use crate::raw::*;

on_every_loop_and_engine!(
    values_that_are_none,
    values_that_have_passed,
    values_with_room,
    the_largest_values,
    every_unit_expires,
    a_request_that_does_not_end,
);

fn with_timeout(value: &str) -> Fields {
    Fields::hello().with("grpc-timeout", value)
}

fn fails_with(connection: &mut Connection, fields: &Fields, sleep_ms: i32, grpc: u32) {
    let stream = connection.request(fields, &hello("Joe", sleep_ms));
    let response = connection.response(stream);
    assert_eq!((response.http(), response.grpc()), (200, Some(grpc)), "{response:?}");
}

fn values_that_are_none(server: &mut Server) {
    let mut connection = server.open();
    for value in ["", "abc", "1", "S", "1x", "-1S", "+1S", "1.5S", "1,5S", "0x1S", "123456789S", "000000001S", "1SS", "1 S", "1s", "٣S"] {
        fails_with(&mut connection, &with_timeout(value), 0, status::INTERNAL);
    }
    connection.greets();
}

fn values_that_have_passed(server: &mut Server) {
    let mut connection = server.open();
    for value in ["0n", "0u", "0m", "0S", "0M", "0H", "00000000H"] {
        fails_with(&mut connection, &with_timeout(value), 0, status::DEADLINE_EXCEEDED);
    }
    connection.greets();
}

fn values_with_room(server: &mut Server) {
    let mut connection = server.open();
    for value in ["20000000u", "20000m", "20S", "020S", "1M", "1H"] {
        let stream = connection.request(&with_timeout(value), &hello("Joe", 1));
        connection.is_greeted(stream, "Joe");
    }
}

fn the_largest_values(server: &mut Server) {
    let mut connection = server.open();
    for value in ["99999999u", "99999999m", "99999999S", "99999999M", "99999999H"] {
        let stream = connection.request(&with_timeout(value), &hello("Joe", 1));
        connection.is_greeted(stream, "Joe");
    }
}

/// Not before the deadline, and not much later: the handler would sleep for a minute. The others on the connection go on.
fn every_unit_expires(server: &mut Server) {
    let mut connection = server.open();
    let other = connection.hello("other", 300);
    for value in ["50000000n", "50000u", "50m"] {
        let begun = Instant::now();
        fails_with(&mut connection, &with_timeout(value), 60_000, status::DEADLINE_EXCEEDED);
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(50) && took < Duration::from_secs(5), "{value} took {took:?}");
    }
    let begun = Instant::now();
    fails_with(&mut connection, &with_timeout("1S"), 60_000, status::DEADLINE_EXCEEDED);
    assert!(begun.elapsed() >= Duration::from_secs(1), "1S took {:?}", begun.elapsed());
    connection.is_greeted(other, "other");
}

/// The deadline does not wait for the message. What is left of the request is no longer wanted, and the stream ends.
fn a_request_that_does_not_end(server: &mut Server) {
    let mut connection = server.open();
    let body = hello("Joe", 0);
    for sent in [&body[..0], &body[..3], &body[..7]] {
        let begun = Instant::now();
        let stream = connection.begin(&with_timeout("100m"));
        connection.send([data(stream, sent)]);
        let response = connection.response(stream);
        assert_eq!(response.grpc(), Some(status::DEADLINE_EXCEEDED), "{response:?}");
        assert!(begun.elapsed() >= Duration::from_millis(100), "took {:?}", begun.elapsed());
        let reset = connection.until("the stream ends on the client's side, too", |connection| connection.so_far(stream).reset);
        assert!([code::NO_ERROR, code::CANCEL].contains(&reset), "{reset}");
    }
    connection.greets();
}
