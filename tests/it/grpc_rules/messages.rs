//! The messages of a unary request: prefix, length, number, and how they are cut into frames.

use crate::raw::*;

on_every_loop_and_engine!(
    flag_bytes_that_mean_nothing,
    compressed_without_an_encoding,
    unknown_encodings,
    truncated,
    none,
    two,
    more_than_4_mib,
    not_a_protobuf,
    a_protobuf_that_nests_too_deep,
    a_protobuf_of_a_million_fields,
    an_empty_message,
    cut_anywhere,
    byte_by_byte,
    a_slow_writer_delays_nobody,
    cut_and_padded,
    nearly_4_mib,
);

/// The call fails, and no more than the call.
fn fails_with(connection: &mut Connection, fields: &Fields, body: &[u8], grpc: u32) -> Response {
    let stream = connection.request(fields, body);
    let response = connection.response(stream);
    assert_eq!((response.http(), response.grpc()), (200, Some(grpc)), "{body:?}: {response:?}");
    assert!(response.body.is_empty(), "{response:?}");
    connection.greets();
    response
}

fn flag_bytes_that_mean_nothing(server: &mut Server) {
    let mut connection = server.open();
    for flag in [2, 3, 0x80, 0xff] {
        fails_with(&mut connection, &Fields::hello(), &prefixed(flag, &hello("Joe", 0)[5..]), status::INTERNAL);
    }
}

fn compressed_without_an_encoding(server: &mut Server) {
    let mut connection = server.open();
    let body = prefixed(1, &hello("Joe", 0)[5..]);
    fails_with(&mut connection, &Fields::hello(), &body, status::INTERNAL);
    fails_with(&mut connection, &Fields::hello().with("grpc-encoding", "identity"), &body, status::INTERNAL);
}

fn unknown_encodings(server: &mut Server) {
    let mut connection = server.open();
    for flag in [0, 1] {
        let fields = Fields::hello().with("grpc-encoding", "x-unheard-of");
        let response = fails_with(&mut connection, &fields, &prefixed(flag, &hello("Joe", 0)[5..]), status::UNIMPLEMENTED);
        let accepted = response.blocks.iter().flatten().find(|(name, _)| name == "grpc-accept-encoding");
        assert!(accepted.is_some_and(|(_, value)| value.contains("identity")), "the client must learn what would do: {response:?}");
    }
}

fn truncated(server: &mut Server) {
    let mut connection = server.open();
    let body = hello("Joe", 0);
    for len in 1..body.len() {
        fails_with(&mut connection, &Fields::hello(), &body[..len], status::INTERNAL);
    }
}

/// With an empty body, and without one.
fn none(server: &mut Server) {
    let mut connection = server.open();
    fails_with(&mut connection, &Fields::hello(), b"", status::UNIMPLEMENTED);
    let stream = connection.new_stream();
    connection.send([headers(stream, Fields::hello().block()).end()]);
    assert_eq!(connection.response(stream).grpc(), Some(status::UNIMPLEMENTED));
    let stream = connection.begin(&Fields::hello());
    connection.send([headers(stream, Block::new().literal("x-trailer", "1")).end()]);
    assert_eq!(connection.response(stream).grpc(), Some(status::UNIMPLEMENTED));
    connection.greets();
}

fn two(server: &mut Server) {
    let mut connection = server.open();
    let both = [hello("Joe", 0), hello("Jane", 0)].concat();
    fails_with(&mut connection, &Fields::hello(), &both, status::UNIMPLEMENTED);
    // The second in a frame of its own, and begun only.
    for second in [&both[both.len() / 2..], &both[..1]] {
        let stream = connection.begin(&Fields::hello());
        connection.send([data(stream, hello("Joe", 0)), data(stream, second).end()]);
        let response = connection.response(stream);
        assert!(matches!(response.grpc(), Some(status::UNIMPLEMENTED | status::INTERNAL)), "{response:?}");
        assert!(response.body.is_empty(), "{response:?}");
    }
    connection.greets();
}

/// Refused when the prefix is there; the rest need not be sent.
fn more_than_4_mib(server: &mut Server) {
    let mut connection = server.open();
    for len in [(4 << 20) + 1, 5 << 20, u32::MAX] {
        let stream = connection.begin(&Fields::hello());
        connection.send([data(stream, announced(0, len, b""))]);
        let response = connection.response(stream);
        assert_eq!((response.http(), response.grpc()), (200, Some(status::RESOURCE_EXHAUSTED)), "{response:?}");
    }
    connection.greets();
}

fn not_a_protobuf(server: &mut Server) {
    let mut connection = server.open();
    // A wire type that does not exist, a field that ends behind the message, a name that is no UTF-8, an endless number, field 0.
    for message in [
        &[0x0f][..],
        &[0x0a, 0x05, b'J'],
        &[0x0a, 0x01, 0xff],
        &[0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        &[0, 0],
    ] {
        fails_with(&mut connection, &Fields::hello(), &prefixed(0, message), status::INTERNAL);
    }
}

/// Groups of an unknown field, one in another.
fn a_protobuf_that_nests_too_deep(server: &mut Server) {
    let mut connection = server.open();
    let depth = 7000;
    let nested = [vec![0x1b; depth], vec![0x1c; depth]].concat();
    fails_with(&mut connection, &Fields::hello(), &prefixed(0, &nested), status::INTERNAL);
}

/// As many fields as fit: of those that are not known none is kept, of one that is known the last. The memory is that of the message and little more.
fn a_protobuf_of_a_million_fields(server: &mut Server) {
    let mut connection = server.open();
    // Field 1000, a varint; and field 1, an empty string.
    let unknown = [0xc0, 0x3e, 0x01].repeat(1_300_000);
    let names = [0x0a, 0x00].repeat(1_900_000);
    let (grown, ()) = server.memory_for("VmHWM", || {
        for message in [unknown, names] {
            let stream = connection.begin(&Fields::hello());
            connection.upload(stream, prefixed(0, &message).chunks(MAX_FRAME_SIZE), data);
            connection.send([data(stream, []).end()]);
            connection.is_greeted(stream, "");
        }
    });
    assert!(grown < 32 << 20, "{grown} bytes for messages of less than 4 MiB");
}

fn an_empty_message(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.request(&Fields::hello(), &prefixed(0, b""));
    connection.is_greeted(stream, "");
}

fn cut_anywhere(server: &mut Server) {
    let mut connection = server.open();
    let body = hello("Joe", 0);
    for at in 0..=body.len() {
        let (first, second) = body.split_at(at);
        for in_one_write in [true, false] {
            let stream = connection.begin(&Fields::hello());
            let frames = [data(stream, first), data(stream, second).end()];
            if in_one_write {
                connection.send(frames);
            } else {
                frames.into_iter().for_each(|frame| connection.send([frame]));
            }
            connection.is_greeted(stream, "Joe");
        }
    }
}

fn byte_by_byte(server: &mut Server) {
    let mut connection = server.open();
    let body = hello("Joe", 0);
    let stream = connection.begin(&Fields::hello());
    for byte in &body {
        connection.send([data(stream, [*byte])]);
    }
    connection.send([data(stream, []).end()]);
    connection.is_greeted(stream, "Joe");
}

fn a_slow_writer_delays_nobody(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    for byte in hello("slow", 0) {
        connection.send([data(stream, [byte])]);
        connection.greets();
    }
    connection.send([data(stream, []).end()]);
    connection.is_greeted(stream, "slow");
}

/// Calls side by side, their frames one of each in turn.
fn cut_and_padded(server: &mut Server) {
    let mut connection = server.open();
    let names = ["Joe", "Jane", "Jim"].map(|name| name.repeat(1000));
    let streams = [(); 3].map(|()| connection.begin(&Fields::hello()));
    let bodies = names.each_ref().map(|name| hello(name, 0));
    for (n, at) in (0..bodies[1].len()).step_by(300).enumerate() {
        for (stream, body) in streams.iter().zip(&bodies).filter(|(_, body)| at < body.len()) {
            let piece = &body[at..body.len().min(at + 300)];
            connection.send([data(*stream, piece).padded((n * 50 % 256) as u8)]);
        }
    }
    connection.send(streams.map(|stream| data(stream, []).padded(3).end()));
    for (stream, name) in streams.into_iter().zip(names) {
        connection.is_greeted(stream, &name);
    }
}

fn nearly_4_mib(server: &mut Server) {
    let mut connection = server.open_with(&[(setting::INITIAL_WINDOW_SIZE, MAX_31_BITS)]);
    connection.send([window_update(0, MAX_31_BITS - WINDOW as u32)]);
    let name = "x".repeat((4 << 20) - 5);
    let body = hello(&name, 0);
    assert_eq!(body.len(), 5 + (4 << 20), "the largest message that is taken");
    let stream = connection.begin(&Fields::hello());
    connection.upload(stream, body.chunks(MAX_FRAME_SIZE), data);
    connection.send([data(stream, []).end()]);
    connection.is_greeted(stream, &name);
}
