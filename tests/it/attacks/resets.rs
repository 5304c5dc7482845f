//! Streams that are opened to be reset: by the client (Rapid Reset, CVE-2023-44487), or by the server whom the client makes do it (MadeYouReset,
//! CVE-2025-8671). One budget for both: 200 in 30 s.

use crate::raw::*;

on_every_engine!(
    rapid_reset_in_bulk,
    rapid_reset_paced("hyper: has no budget over time"),
    cancelling_now_and_then_is_no_attack,
    made_you_reset_by_window_overflow("hyper: has a budget of 1024"),
    made_you_reset_by_an_increment_of_0,
    made_you_reset_by_data_behind_the_end("hyper: PROTOCOL_ERROR for the connection"),
    made_you_reset_by_headers_behind_the_end,
    made_you_reset_by_a_short_priority("hyper: PROTOCOL_ERROR for the connection"),
    made_you_reset_by_depending_on_itself("hyper: has a budget of 1024"),
    made_you_reset_by_a_wrong_content_length("hyper: has a budget of 1024"),
    made_you_reset_by_malformed_fields("hyper: has a budget of 1024"),
    both_share_a_budget("hyper: has no budget over time"),
    streams_above_the_limit_cannot_go_on_for_ever("hyper: has another word for it"),
);

/// The budget, and how far beyond it a client may come that sends some at a time, on a machine that gives it some seconds for it.
const BUDGET: std::ops::RangeInclusive<usize> = 190..=400;
/// A call that lasts.
const FOR_EVER_MS: i32 = 60_000;

fn rapid_reset_in_bulk(server: &mut Server) {
    let mut connection = server.open();
    let sent = connection.flood(10_000, |n| {
        let stream = 2 * n as u32 + 1;
        call(stream, "Joe", FOR_EVER_MS).into_iter().chain([rst_stream(stream, code::CANCEL)])
    });
    connection.is_told_to_calm_down(&["too_many_resets"]);
    assert!(sent < 10_000, "the flood ends with the connection");
}

/// Each handler has begun before its stream is reset, and another client is served all the while. No call of the attacker's ends well, for that may
/// count in its favour: it learns from acknowledgements how far the server has come.
fn rapid_reset_paced(server: &mut Server) {
    let mut connection = server.open();
    let mut other = server.open();
    let mut n_resets = 0;
    while connection.error().is_none() && n_resets < 2000 {
        let streams = [(); 10].map(|()| connection.hello("Joe", FOR_EVER_MS));
        connection.all_is_read();
        connection.send(streams.map(|stream| rst_stream(stream, code::CANCEL)));
        n_resets += streams.len();
        connection.all_is_read();
        other.greets();
    }
    connection.is_told_to_calm_down(&["too_many_resets"]);
    assert!(BUDGET.contains(&n_resets), "stopped after {n_resets}");
    other.greets();
}

fn is_answered_or_told_to_go(connection: &mut Connection, stream: u32) {
    connection.until("the stream or the connection is over", |connection| {
        (connection.error().is_some() || connection.so_far(stream).is_over()).then_some(())
    });
}

fn cancelling_now_and_then_is_no_attack(server: &mut Server) {
    let mut connection = server.open();
    for _ in 0..100 {
        let stream = connection.hello("Joe", FOR_EVER_MS);
        connection.greets();
        connection.send([rst_stream(stream, code::CANCEL)]);
    }
    connection.greets();
}

/// Opens streams, each of which `offend` makes the server reset, until it ends the connection; not later than the budget.
///
/// For an offence that is an error of the connection as well as of the stream, the server may end it at once with one of these codes.
fn made_you_reset(server: &Server, at_once: &[u32], offend: impl Fn(&mut Connection) -> u32) {
    let mut connection = server.open();
    let mut n_resets = 0;
    while connection.error().is_none() && n_resets < 2000 {
        let stream = offend(&mut connection);
        is_answered_or_told_to_go(&mut connection, stream);
        n_resets += 1;
    }
    if connection.error().is_some_and(|goaway| at_once.contains(&goaway.code)) {
        assert_eq!(n_resets, 1, "an error of the connection is one from the first time on");
        connection.goes_away(at_once);
    } else {
        connection.is_told_to_calm_down(&["too_many_resets"]);
        assert!(BUDGET.contains(&n_resets), "stopped after {n_resets}");
    }
}

fn made_you_reset_by_window_overflow(server: &mut Server) {
    made_you_reset(server, &[], |connection| {
        let stream = connection.hello("Joe", FOR_EVER_MS);
        connection.send([window_update(stream, MAX_31_BITS)]);
        stream
    });
}

fn made_you_reset_by_an_increment_of_0(server: &mut Server) {
    made_you_reset(server, &[code::PROTOCOL_ERROR], |connection| {
        let stream = connection.hello("Joe", FOR_EVER_MS);
        connection.send([window_update(stream, 0)]);
        stream
    });
}

fn made_you_reset_by_data_behind_the_end(server: &mut Server) {
    made_you_reset(server, &[code::STREAM_CLOSED], |connection| {
        let stream = connection.hello("Joe", FOR_EVER_MS);
        connection.send([data(stream, *b"more")]);
        stream
    });
}

fn made_you_reset_by_headers_behind_the_end(server: &mut Server) {
    made_you_reset(server, &[code::STREAM_CLOSED, code::PROTOCOL_ERROR], |connection| {
        let stream = connection.hello("Joe", FOR_EVER_MS);
        connection.send([headers(stream, Fields::hello().block()).end()]);
        stream
    });
}

fn made_you_reset_by_a_short_priority(server: &mut Server) {
    made_you_reset(server, &[code::FRAME_SIZE_ERROR], |connection| {
        let stream = connection.hello("Joe", FOR_EVER_MS);
        connection.send([Frame::new(kind::PRIORITY, 0, stream, [0; 4])]);
        stream
    });
}

fn made_you_reset_by_depending_on_itself(server: &mut Server) {
    made_you_reset(server, &[code::PROTOCOL_ERROR], |connection| {
        let stream = connection.hello("Joe", FOR_EVER_MS);
        connection.send([priority(stream, stream, 1)]);
        stream
    });
}

fn made_you_reset_by_a_wrong_content_length(server: &mut Server) {
    made_you_reset(server, &[], |connection| connection.request(&Fields::hello().with("content-length", "7"), &hello("Joe", FOR_EVER_MS)));
}

fn made_you_reset_by_malformed_fields(server: &mut Server) {
    made_you_reset(server, &[], |connection| connection.request(&Fields::hello().with("connection", "close"), &hello("Joe", FOR_EVER_MS)));
}

fn both_share_a_budget(server: &mut Server) {
    let mut connection = server.open();
    let mut n_resets = 0;
    while connection.error().is_none() && n_resets < 2000 {
        let stream = connection.hello("Joe", FOR_EVER_MS);
        if n_resets % 2 == 0 {
            connection.send([rst_stream(stream, code::CANCEL)]);
        } else {
            connection.send([window_update(stream, MAX_31_BITS)]);
            is_answered_or_told_to_go(&mut connection, stream);
        }
        n_resets += 1;
    }
    connection.is_told_to_calm_down(&["too_many_resets"]);
    assert!(BUDGET.contains(&n_resets), "stopped after {n_resets}");
}

/// Being refused costs the client nothing, and the server a frame each: so it has an end as well.
fn streams_above_the_limit_cannot_go_on_for_ever(server: &mut Server) {
    let mut connection = server.open();
    let sent = connection.flood(20_000, |n| call(2 * n as u32 + 1, "Joe", FOR_EVER_MS));
    connection.is_told_to_calm_down(&["too_many_resets"]);
    assert!(sent < 20_000, "the flood ends with the connection");
}
