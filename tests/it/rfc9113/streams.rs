//! 5.1, the states of a stream; 5.1.1, their numbers; 5.1.2, how many there may be.

use crate::raw::*;

on_every_engine!(
    s5_1_idle,
    s5_1_priority_of_an_idle_stream,
    s5_1_half_closed_data("hyper: PROTOCOL_ERROR instead"),
    s5_1_half_closed_headers("hyper: PROTOCOL_ERROR instead"),
    s5_1_half_closed_frames_that_are_welcome,
    s5_1_closed_by_the_clients_reset("hyper: PROTOCOL_ERROR for some"),
    s5_1_closed_by_both,
    s5_1_closed_late_frames_are_ignored,
    s5_1_closed_by_the_servers_reset,
    s5_1_1_even,
    s5_1_1_stream_0,
    s5_1_1_decreasing,
    s5_1_1_used_again,
    s5_1_1_gaps_are_closed,
    s5_1_1_the_last_number,
    s5_1_2_more_than_advertised,
    s5_1_2_ended_streams_make_room,
);

/// A call that lasts until the server ends.
const FOR_EVER_MS: i32 = 60_000;

fn s5_1_idle(server: &mut Server) {
    for frame in [data(1, []), rst_stream(1, code::CANCEL), window_update(1, 1), continuation(1, []), data(3, hello("Joe", 0)).end()] {
        let mut connection = server.open();
        connection.send([frame]);
        connection.goes_away(&[code::PROTOCOL_ERROR]);
    }
}

fn s5_1_priority_of_an_idle_stream(server: &mut Server) {
    let mut connection = server.open();
    connection.send([priority(5, 0, 10), priority(1, 5, 10)]);
    connection.greets();
}

fn s5_1_half_closed_data(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.hello("Joe", FOR_EVER_MS);
    connection.send([data(stream, *b"more")]);
    connection.is_reset_or_goes_away(stream, &[code::STREAM_CLOSED]);
}

fn s5_1_half_closed_headers(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.hello("Joe", FOR_EVER_MS);
    connection.send([headers(stream, Block::new().literal("x-trailer", "1")).end()]);
    connection.is_reset_or_goes_away(stream, &[code::STREAM_CLOSED]);
}

fn s5_1_half_closed_frames_that_are_welcome(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.hello("Joe", 50);
    connection.send([window_update(stream, 1), priority(stream, 0, 10)]);
    connection.is_greeted(stream, "Joe");
    let stream = connection.hello("Joe", FOR_EVER_MS);
    connection.send([rst_stream(stream, code::CANCEL)]);
    connection.greets();
}

fn s5_1_closed_by_the_clients_reset(server: &mut Server) {
    for frame in [data(1, *b"more"), headers(1, Block::new().literal("x-trailer", "1")).end()] {
        let mut connection = server.open();
        let stream = connection.begin(&Fields::hello());
        connection.send([rst_stream(stream, code::CANCEL), frame]);
        connection.is_reset_or_goes_away(stream, &[code::STREAM_CLOSED]);
    }
}

/// The client has ended the stream, and so has the server.
fn s5_1_closed_by_both(server: &mut Server) {
    for frame in [data(1, *b"more"), headers(1, Fields::hello().block()).end()] {
        let mut connection = server.open();
        let stream = connection.hello("Joe", 0);
        connection.is_greeted(stream, "Joe");
        connection.send([frame]);
        connection.is_reset_or_goes_away(stream, &[code::STREAM_CLOSED, code::PROTOCOL_ERROR]);
    }
}

/// These cross the end of the stream on their way.
fn s5_1_closed_late_frames_are_ignored(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.hello("Joe", 0);
    connection.is_greeted(stream, "Joe");
    connection.send([window_update(stream, 1), priority(stream, 0, 1), rst_stream(stream, code::CANCEL)]);
    connection.greets();
    connection.drain();
    assert!(connection.goaways.is_empty() && connection.so_far(stream).reset.is_none(), "{}", connection.seen());
}

/// What the client sent before it knew of the reset is ignored, its header blocks are decoded and its DATA is counted.
fn s5_1_closed_by_the_servers_reset(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello().with("connection", "close"));
    assert_eq!(connection.response(stream).reset, Some(code::PROTOCOL_ERROR));
    connection.send([data(stream, *b"late"), window_update(stream, 1), priority(stream, 0, 1)]);
    connection.send([headers(stream, Block::new().remembered("x-late", "1")).end()]);
    let next = connection.new_stream();
    connection.send([headers(next, Fields::hello().block().indexed(62)), data(next, hello("Joe", 0)).end()]);
    connection.is_greeted(next, "Joe");
}

fn s5_1_1_even(server: &mut Server) {
    let mut connection = server.open();
    connection.send([headers(2, Fields::hello().block())]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
}

fn s5_1_1_stream_0(server: &mut Server) {
    let mut connection = server.open();
    connection.send([headers(0, Fields::hello().block())]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
}

fn s5_1_1_decreasing(server: &mut Server) {
    let mut connection = server.open();
    connection.skip_to(5);
    connection.greets();
    connection.send([headers(3, Fields::hello().block())]);
    connection.goes_away(&[code::PROTOCOL_ERROR, code::STREAM_CLOSED]);
}

fn s5_1_1_used_again(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.hello("Joe", FOR_EVER_MS);
    connection.send(call(stream, "Joe", 0));
    connection.is_reset_or_goes_away(stream, &[code::STREAM_CLOSED, code::PROTOCOL_ERROR]);
}

/// A number that was passed over is closed: what comes for it is no frame of an idle stream.
fn s5_1_1_gaps_are_closed(server: &mut Server) {
    let mut connection = server.open();
    connection.skip_to(7);
    connection.greets();
    connection.send([window_update(5, 1), rst_stream(3, code::CANCEL)]);
    connection.greets();
}

/// It is served, and then there are no more: the server says so, or takes the next for what it is.
fn s5_1_1_the_last_number(server: &mut Server) {
    let mut connection = server.open();
    connection.skip_to(MAX_31_BITS);
    connection.greets();
    connection.send([headers(1, Fields::hello().block()).end()]);
    connection.until("the connection is closed", |connection| connection.closed.then_some(()));
    assert!(!connection.goaways.is_empty(), "closed without a word");
    let allowed = [code::NO_ERROR, code::PROTOCOL_ERROR, code::STREAM_CLOSED];
    assert!(connection.goaways.iter().all(|goaway| allowed.contains(&goaway.code)), "{:?}", connection.goaways);
    assert!(connection.so_far(1).blocks.is_empty(), "{:?}", connection.so_far(1));
}

fn advertised(connection: &Connection) -> usize {
    let streams = connection.server_settings.iter().find(|(id, _)| *id == setting::MAX_CONCURRENT_STREAMS);
    let (_, n) = streams.expect("the server limits the streams of a client");
    assert!((100..=200).contains(n), "the RFC recommends 100 or more, and this project 200 at most: {n}");
    *n as usize
}

fn s5_1_2_more_than_advertised(server: &mut Server) {
    let mut connection = server.open();
    let n = advertised(&connection);
    // Half open, so that none of them ends before all are there.
    let within: Vec<_> = (0..n).map(|_| connection.begin(&Fields::hello())).collect();
    let beyond: Vec<_> = (0..50).map(|_| connection.hello("Joe", 0)).collect();
    for stream in beyond {
        let response = connection.response(stream);
        assert!(response.blocks.is_empty() && response.reset == Some(code::REFUSED_STREAM), "{response:?}");
    }
    for stream in within {
        connection.send([data(stream, hello("Joe", 0)).end()]);
        connection.is_greeted(stream, "Joe");
    }
    connection.greets();
}

fn s5_1_2_ended_streams_make_room(server: &mut Server) {
    let mut connection = server.open();
    let n = advertised(&connection);
    let mut streams: Vec<_> = (0..n).map(|_| connection.hello("Joe", FOR_EVER_MS)).collect();
    for _ in 0..20 {
        let stream = streams.pop().expect("there are enough");
        connection.send([rst_stream(stream, code::CANCEL)]);
        connection.greets();
    }
}
