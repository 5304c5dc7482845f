//! 6.1 DATA, 6.2 HEADERS, 6.3 PRIORITY, 6.4 RST_STREAM, 6.6 PUSH_PROMISE.

use crate::raw::*;

on_every_engine!(
    s6_1_of_stream_0,
    s6_1_padding_as_long_as_the_frame,
    s6_1_padded_without_a_length,
    s6_1_padding_is_taken_off,
    s6_1_empty_frames_among_others,
    s6_2_padding_as_long_as_the_frame,
    s6_2_padded_or_prioritised_and_too_short,
    s6_2_padding_and_priority_are_taken_off,
    s6_3_of_stream_0,
    s6_3_of_a_wrong_length("hyper: PROTOCOL_ERROR instead"),
    s6_4_of_stream_0,
    s6_4_of_an_idle_stream,
    s6_4_of_a_wrong_length("hyper: PROTOCOL_ERROR instead"),
    s6_4_ends_the_call_and_nothing_is_sent_behind_it,
    s6_6_clients_cannot_push,
);

fn s6_1_of_stream_0(server: &mut Server) {
    let mut connection = server.open();
    connection.send([data(0, *b"lost")]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
}

fn s6_1_padding_as_long_as_the_frame(server: &mut Server) {
    for payload in [&[1][..], &[5, 0, 0, 0, 0], &[255, 1, 2]] {
        let mut connection = server.open();
        let stream = connection.begin(&Fields::hello());
        connection.send([Frame::new(kind::DATA, flag::PADDED, stream, payload)]);
        connection.goes_away(&[code::PROTOCOL_ERROR]);
    }
}

fn s6_1_padded_without_a_length(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    connection.send([Frame::new(kind::DATA, flag::PADDED, stream, [])]);
    connection.is_reset_or_goes_away(stream, &[code::FRAME_SIZE_ERROR, code::PROTOCOL_ERROR]);
}

fn s6_1_padding_is_taken_off(server: &mut Server) {
    let mut connection = server.open();
    for n in [0, 1, 255] {
        let stream = connection.begin(&Fields::hello());
        let body = hello("Joe", 0);
        let (first, second) = body.split_at(7);
        connection.send([data(stream, first).padded(n), data(stream, []).padded(n), data(stream, second).padded(n).end()]);
        connection.is_greeted(stream, "Joe");
    }
}

fn s6_1_empty_frames_among_others(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    connection.send([data(stream, []), data(stream, hello("Joe", 0)), data(stream, []), data(stream, []).end()]);
    connection.is_greeted(stream, "Joe");
}

fn s6_2_padding_as_long_as_the_frame(server: &mut Server) {
    let block = Fields::hello().block();
    let mut connection = server.open();
    let too_long = u8::try_from(block.bytes().len() + 1).expect("the block is short");
    connection.send([Frame::new(kind::HEADERS, flag::PADDED | flag::END_HEADERS, 1, [&[too_long], block.bytes()].concat())]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
    // Longer than what the priority leaves.
    let mut connection = server.open();
    let flags = flag::PADDED | flag::PRIORITY | flag::END_HEADERS;
    connection.send([Frame::new(kind::HEADERS, flags, 1, [3, 0, 0, 0, 0, 1, 0x82])]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
}

fn s6_2_padded_or_prioritised_and_too_short(server: &mut Server) {
    for (flags, len) in [(flag::PADDED, 0), (flag::PRIORITY, 4), (flag::PADDED | flag::PRIORITY, 5)] {
        let mut connection = server.open();
        connection.send([Frame::new(kind::HEADERS, flags | flag::END_HEADERS, 1, vec![0; len])]);
        connection.goes_away(&[code::FRAME_SIZE_ERROR, code::PROTOCOL_ERROR]);
    }
}

fn s6_2_padding_and_priority_are_taken_off(server: &mut Server) {
    let mut connection = server.open();
    let block = Fields::hello().block();
    let frames: [fn(Frame) -> Frame; 4] = [
        |frame| frame.padded(0),
        |frame| frame.padded(255),
        |frame| frame.prioritised(0, 200),
        |frame| frame.prioritised((1 << 31) | 77, 255).padded(100),
    ];
    for bend in frames {
        let stream = connection.new_stream();
        connection.send([bend(headers(stream, block.clone())), data(stream, hello("Joe", 0)).end()]);
        connection.is_greeted(stream, "Joe");
    }
}

fn s6_3_of_stream_0(server: &mut Server) {
    let mut connection = server.open();
    connection.send([priority(0, 1, 1)]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
}

fn s6_3_of_a_wrong_length(server: &mut Server) {
    for len in [0, 4, 6] {
        let mut connection = server.open();
        let stream = connection.begin(&Fields::hello());
        connection.send([Frame::new(kind::PRIORITY, 0, stream, vec![0; len])]);
        connection.is_reset_or_goes_away(stream, &[code::FRAME_SIZE_ERROR]);
    }
}

fn s6_4_of_stream_0(server: &mut Server) {
    let mut connection = server.open();
    connection.send([rst_stream(0, code::CANCEL)]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
}

fn s6_4_of_an_idle_stream(server: &mut Server) {
    let mut connection = server.open();
    connection.greets();
    connection.send([rst_stream(99, code::CANCEL)]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
}

fn s6_4_of_a_wrong_length(server: &mut Server) {
    for len in [0, 3, 5] {
        let mut connection = server.open();
        let stream = connection.begin(&Fields::hello());
        connection.send([Frame::new(kind::RST_STREAM, 0, stream, vec![0; len])]);
        connection.goes_away(&[code::FRAME_SIZE_ERROR]);
    }
}

/// A call that would end while the next ones run is silent; and RST_STREAM is no answer to RST_STREAM (5.4.2).
fn s6_4_ends_the_call_and_nothing_is_sent_behind_it(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.new_stream();
    // In one piece, so that it cannot end before.
    connection.send(call(stream, "Joe", 50).into_iter().chain([rst_stream(stream, code::CANCEL)]));
    let later = connection.hello("later", 150);
    connection.is_greeted(later, "later");
    let response = connection.so_far(stream);
    assert!(response.blocks.is_empty() && response.reset.is_none(), "{response:?}");
}

fn s6_6_clients_cannot_push(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    let promise = [&2_u32.to_be_bytes()[..], Fields::hello().block().bytes()].concat();
    connection.send([Frame::new(kind::PUSH_PROMISE, flag::END_HEADERS, stream, promise)]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
}
