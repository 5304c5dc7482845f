//! Header lists that are too large, by bytes and by fields. Above the limits a call fails with RESOURCE_EXHAUSTED (grpc/doc/PROTOCOL-HTTP2.md) and
//! the connection lives, its header table in order; far above them the connection ends.

use crate::raw::*;

on_every_engine!(
    within_the_limits,
    above_16_kib("hyper: answers HTTP 431"),
    far_above_16_kib("hyper: COMPRESSION_ERROR"),
    more_than_128_fields("hyper: counts no fields"),
    crumbs_of_cookies_are_fields("hyper: counts no fields"),
    trailers_above_the_limits("hyper: counts no fields"),
    the_table_stays_in_order,
    the_limit_is_advertised,
);

/// The call fails, and no more than the call.
fn is_exhausted(connection: &mut Connection, stream: u32) {
    let response = connection.response(stream);
    assert_eq!((response.http(), response.grpc()), (200, Some(status::RESOURCE_EXHAUSTED)), "{response:?}");
    connection.greets();
}

/// Sends a request whose block may take several frames.
fn request(connection: &mut Connection, block: &Block) -> u32 {
    let stream = connection.new_stream();
    connection.send(header_frames(stream, block.bytes(), MAX_FRAME_SIZE));
    connection.send([data(stream, hello("Joe", 0)).end()]);
    stream
}

fn with_fields(n: usize, name: &str, bytes: usize) -> Block {
    (0..n).fold(Fields::hello().block(), |block, _| block.literal(name, vec![b'v'; bytes]))
}

fn within_the_limits(server: &mut Server) {
    let mut connection = server.open();
    for block in [with_fields(100, "x-small", 1), with_fields(3, "x-large", 5000), with_fields(100, "cookie", 3)] {
        let stream = request(&mut connection, &block);
        connection.is_greeted(stream, "Joe");
    }
}

fn above_16_kib(server: &mut Server) {
    let mut connection = server.open();
    // In one field and in several, from one that is hardly too large to twice the limit.
    for block in [with_fields(1, "x-large", 16_400), with_fields(4, "x-large", 4200), with_fields(8, "x-large", 4000)] {
        let stream = request(&mut connection, &block);
        is_exhausted(&mut connection, stream);
    }
}

fn far_above_16_kib(server: &mut Server) {
    let mut connection = server.open();
    request(&mut connection, &with_fields(75, "x-large", 4000));
    connection.is_told_to_calm_down(&["header_block_too_large", "too_many_continuations"]);
}

fn more_than_128_fields(server: &mut Server) {
    let mut connection = server.open();
    for n in [129, 300] {
        let stream = request(&mut connection, &with_fields(n, "x-small", 1));
        is_exhausted(&mut connection, stream);
    }
    // One octet each.
    let block = (0..140).fold(Fields::hello().block().remembered("x", "y"), |block, _| block.indexed(62));
    let stream = request(&mut connection, &block);
    is_exhausted(&mut connection, stream);
}

/// CVE-2026-47774.
fn crumbs_of_cookies_are_fields(server: &mut Server) {
    let mut connection = server.open();
    let stream = request(&mut connection, &with_fields(200, "cookie", 3));
    is_exhausted(&mut connection, stream);
}

/// How the call fails is left open; that it fails is not.
fn trailers_above_the_limits(server: &mut Server) {
    let mut connection = server.open();
    for (n, bytes) in [(200, 1), (8, 4000)] {
        let stream = connection.begin(&Fields::hello());
        connection.send([data(stream, hello("Joe", 0))]);
        let block = (0..n).fold(Block::new(), |block, _| block.literal("x-trailer", vec![b'v'; bytes]));
        let mut frames = header_frames(stream, block.bytes(), MAX_FRAME_SIZE);
        frames[0].flags |= flag::END_STREAM;
        connection.send(frames);
        let response = connection.response(stream);
        assert!(response.reset.is_some() || response.grpc() == Some(status::RESOURCE_EXHAUSTED), "{response:?}");
        connection.greets();
    }
}

/// A block that is too large is decoded to its end.
fn the_table_stays_in_order(server: &mut Server) {
    let mut connection = server.open();
    let block = Fields::hello().block().literal("x-large", vec![b'v'; 17_000]).remembered(":path", "/helloworld.Greeter/SayHello");
    // The path is malformed there, so the call may fail as it likes.
    let stream = request(&mut connection, &block);
    assert!(connection.response(stream).grpc() != Some(status::OK));
    let block = Block::new().indexed(62).then(&Fields::hello().without(":path").block());
    let stream = request(&mut connection, &block);
    connection.is_greeted(stream, "Joe");
}

fn the_limit_is_advertised(server: &mut Server) {
    let connection = server.open();
    let advertised = connection.server_settings.iter().find(|(id, _)| *id == setting::MAX_HEADER_LIST_SIZE);
    assert_eq!(advertised, Some(&(setting::MAX_HEADER_LIST_SIZE, 16_384)));
}
