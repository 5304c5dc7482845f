//! 4.3, header compression and decompression; 6.10, CONTINUATION.

use crate::raw::*;

on_every_engine!(
    s4_3_a_block_that_cannot_be_decoded("hyper: PROTOCOL_ERROR for some"),
    s4_3_a_block_in_any_pieces,
    s4_3_blocks_of_refused_requests_are_decoded("hyper: the whole connection is closed"),
    s4_3_trailers_in_pieces,
    s6_10_a_frame_in_the_middle_of_a_block,
    s6_10_of_another_stream,
    s6_10_of_stream_0,
    s6_10_without_a_block,
    s6_10_behind_the_blocks_end,
);

fn s4_3_a_block_that_cannot_be_decoded(server: &mut Server) {
    // A name that is longer than the block; an integer without its end; an index of nothing.
    for bytes in [&[0x00, 0x7f][..], &[0xff], &[0xc0 | 0x3e], &[0x40, 0x05, b'a']] {
        let mut connection = server.open();
        connection.send([headers(1, Fields::hello().block().raw(bytes)).end()]);
        connection.goes_away(&[code::COMPRESSION_ERROR]);
    }
}

fn s4_3_a_block_in_any_pieces(server: &mut Server) {
    let mut connection = server.open();
    let block = Fields::hello().with("x-some", "value").block();
    for piece in [25, 60, 100] {
        let stream = connection.new_stream();
        connection.send(header_frames(stream, block.bytes(), piece));
        connection.send([data(stream, hello("Joe", 0)).end()]);
        connection.is_greeted(stream, "Joe");
    }
    // Nothing in HEADERS, and END_STREAM there (6.2).
    let stream = connection.new_stream();
    connection.send([headers(stream, []).open().end(), continuation(stream, block)]);
    let response = connection.response(stream);
    assert!(response.ended && response.grpc() != Some(status::OK), "a call without a message: {response:?}");
    connection.greets();
}

/// A stream that is reset leaves the table as any other does.
fn s4_3_blocks_of_refused_requests_are_decoded(server: &mut Server) {
    let mut connection = server.open();
    let malformed = connection.new_stream();
    let block = Block::new().remembered(":method", "POST").remembered("X-UPPER", "1").remembered("content-type", "application/grpc");
    connection.send([headers(malformed, block)]);
    assert_eq!(connection.response(malformed).reset, Some(code::PROTOCOL_ERROR));
    // 62 is content-type, 63 the malformed one, 64 the method.
    let stream = connection.new_stream();
    let good = Fields::hello().without(":method").without("content-type").block();
    let block = Block::new().indexed(64).then(&good).indexed(62);
    connection.send([headers(stream, block), data(stream, hello("Joe", 0)).end()]);
    connection.is_greeted(stream, "Joe");
}

fn s4_3_trailers_in_pieces(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    connection.send([data(stream, hello("Joe", 0))]);
    let trailers = Block::new().literal("x-trailer", "1").literal("x-other", "2");
    let mut frames = header_frames(stream, trailers.bytes(), 5);
    frames[0].flags |= flag::END_STREAM;
    connection.send(frames);
    connection.is_greeted(stream, "Joe");
}

fn s6_10_a_frame_in_the_middle_of_a_block(server: &mut Server) {
    let block = Fields::hello().block();
    let (first, second) = block.bytes().split_at(20);
    let in_between = [
        data(1, []),
        headers(1, second),
        headers(3, second),
        priority(1, 0, 1),
        rst_stream(1, code::CANCEL),
        settings(&[]),
        ping([0; 8]),
        window_update(0, 1),
        goaway(0, code::NO_ERROR, ""),
        Frame::new(0xbb, 0, 1, []),
    ];
    for frame in in_between {
        let mut connection = server.open();
        connection.send([headers(1, first).open(), frame, continuation(1, second)]);
        connection.goes_away(&[code::PROTOCOL_ERROR]);
    }
}

fn s6_10_of_another_stream(server: &mut Server) {
    let block = Fields::hello().block();
    let (first, second) = block.bytes().split_at(20);
    let mut connection = server.open();
    connection.send([headers(1, first).open(), continuation(3, second)]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
}

fn s6_10_of_stream_0(server: &mut Server) {
    let block = Fields::hello().block();
    let (first, second) = block.bytes().split_at(20);
    let mut connection = server.open();
    connection.send([headers(1, first).open(), continuation(0, second)]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
}

fn s6_10_without_a_block(server: &mut Server) {
    let mut connection = server.open();
    connection.send([continuation(1, Fields::hello().block())]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
}

fn s6_10_behind_the_blocks_end(server: &mut Server) {
    let more = Block::new().literal("x-more", "1");
    let mut connection = server.open();
    connection.send([headers(1, Fields::hello().block()), continuation(1, more.clone())]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
    // And behind CONTINUATION that had END_HEADERS.
    let mut connection = server.open();
    let mut frames = header_frames(1, Fields::hello().block().bytes(), 60);
    frames.push(continuation(1, more));
    connection.send(frames);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
}
