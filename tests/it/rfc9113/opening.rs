//! 3.4, the connection preface; 4.1 and 4.2, the frame's format and size.

use crate::raw::*;

on_every_engine!(
    s3_4_settings_are_the_servers_first_frame,
    s3_4_requests_need_not_wait_for_the_servers_settings,
    s3_4_a_wrong_preface,
    s3_4_the_first_frame_is_not_settings("hyper: PING is answered before SETTINGS"),
    s3_4_the_first_settings_are_an_acknowledgement,
    s4_1_frames_in_any_pieces,
    s4_1_unknown_types_are_ignored,
    s4_1_unknown_flags_and_the_reserved_bit_are_ignored,
    s4_2_data_above_the_maximum,
    s4_2_headers_above_the_maximum,
    s4_2_continuation_above_the_maximum,
    s4_2_other_frames_above_the_maximum,
    s4_2_the_maximum_itself_is_taken,
    s4_2_answers_keep_to_the_clients_maximum,
);

fn s3_4_settings_are_the_servers_first_frame(server: &mut Server) {
    let mut connection = Connection::silent(server.addr());
    connection.polite = false;
    connection.send_bytes(PREFACE);
    connection.send([settings(&[])]);
    let first = connection.until("the first frame", |connection| {
        let first = connection.seen().lines().nth(1).map(str::to_owned);
        first.filter(|line| line.contains("stream"))
    });
    assert!(first.contains("SETTINGS flags 0x0 stream 0"), "{first}");
    connection.until("the client's are acknowledged", |connection| (connection.n_settings_acks == 1).then_some(()));
}

fn s3_4_requests_need_not_wait_for_the_servers_settings(server: &mut Server) {
    let mut connection = Connection::silent(server.addr());
    connection.send_bytes(PREFACE);
    let stream = connection.new_stream();
    let request = [settings(&[])].into_iter().chain(call(stream, "Joe", 0));
    connection.send(request);
    connection.is_greeted(stream, "Joe");
}

/// GOAWAY may be left out here.
fn s3_4_a_wrong_preface(server: &mut Server) {
    for preface in
        [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r"[..], b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"]
    {
        let mut connection = Connection::silent(server.addr());
        connection.send_bytes(preface);
        // A whole frame behind it, so that nobody waits for more.
        connection.send([settings(&[])]);
        connection.until("it is closed", |connection| connection.closed.then_some(()));
        assert!(connection.goaways.iter().all(|goaway| goaway.code == code::PROTOCOL_ERROR), "{:?}", connection.goaways);
    }
}

fn s3_4_the_first_frame_is_not_settings(server: &mut Server) {
    for frame in [ping([1; 8]), window_update(0, 1), headers(1, Fields::hello().block()), data(1, []), Frame::new(0xbb, 0, 0, [])] {
        let mut connection = Connection::silent(server.addr());
        connection.send_bytes(PREFACE);
        connection.send([frame]);
        connection.goes_away(&[code::PROTOCOL_ERROR]);
    }
}

fn s3_4_the_first_settings_are_an_acknowledgement(server: &mut Server) {
    let mut connection = Connection::silent(server.addr());
    connection.send_bytes(PREFACE);
    connection.send([settings_ack()]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
}

/// From the preface on, cut at every byte, and at each place once.
fn s4_1_frames_in_any_pieces(server: &mut Server) {
    let mut bytes = PREFACE.to_vec();
    settings(&[]).write(&mut bytes);
    call(1, "Joe", 0).iter().for_each(|frame| frame.write(&mut bytes));
    for piece in [1, 2, 7] {
        let mut connection = Connection::silent(server.addr());
        connection.expect_acknowledgement();
        bytes.chunks(piece).for_each(|piece| connection.send_bytes(piece));
        connection.is_greeted(1, "Joe");
    }
    for at in 1..bytes.len() {
        let mut connection = Connection::silent(server.addr());
        connection.expect_acknowledgement();
        let (first, second) = bytes.split_at(at);
        connection.send_bytes(first);
        connection.send_bytes(second);
        connection.is_greeted(1, "Joe");
    }
}

fn s4_1_unknown_types_are_ignored(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    for of in [0, stream, stream + 2, MAX_31_BITS] {
        connection.send([Frame::new(0xbb, 0xff, of, *b"whatever this is"), Frame::new(0xff, 0, of, [])]);
    }
    connection.send([data(stream, hello("Joe", 0)).end()]);
    connection.is_greeted(stream, "Joe");
    connection.greets();
}

fn s4_1_unknown_flags_and_the_reserved_bit_are_ignored(server: &mut Server) {
    const RESERVED: u32 = 1 << 31;
    let mut connection = server.open();
    let stream = connection.new_stream();
    let mut frames = call(stream, "Joe", 0);
    frames[0].flags |= 0xd2;
    frames[1].flags |= 0xf6;
    frames.iter_mut().for_each(|frame| frame.stream |= RESERVED);
    connection.send(frames);
    let mut ping = ping([7; 8]);
    (ping.flags, ping.stream) = (0xfe, RESERVED);
    connection.send([ping]);
    connection.is_greeted(stream, "Joe");
    connection.until("PING is answered", |connection| (connection.pongs == [[7; 8]]).then_some(()));
    let mut update = window_update(0, 1);
    update.flags = 0xff;
    // In the increment there is a reserved bit, too (6.9).
    update.payload[0] |= 0x80;
    connection.send_bytes(&{
        let mut bytes = Vec::new();
        update.write(&mut bytes);
        bytes
    });
    connection.greets();
}

fn s4_2_data_above_the_maximum(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    connection.send([data(stream, vec![0; MAX_FRAME_SIZE + 1])]);
    connection.is_reset_or_goes_away(stream, &[code::FRAME_SIZE_ERROR]);
}

fn s4_2_headers_above_the_maximum(server: &mut Server) {
    for stream in [1, 3] {
        let mut connection = server.open();
        let block = Fields::hello().block().literal("x-long", vec![b'x'; MAX_FRAME_SIZE]);
        connection.send([headers(stream, block)]);
        connection.goes_away(&[code::FRAME_SIZE_ERROR]);
    }
}

/// It carries a part of a header block, so it is the connection's error (4.2).
fn s4_2_continuation_above_the_maximum(server: &mut Server) {
    let mut connection = server.open();
    let more = Block::new().literal("x-long", vec![b'x'; MAX_FRAME_SIZE]);
    connection.send([headers(1, Fields::hello().block()).open(), continuation(1, more)]);
    connection.goes_away(&[code::FRAME_SIZE_ERROR]);
}

/// Those that can change the state of the connection.
fn s4_2_other_frames_above_the_maximum(server: &mut Server) {
    let much = vec![0; MAX_FRAME_SIZE + 8];
    for kind in [kind::SETTINGS, kind::PING, kind::GOAWAY] {
        let mut connection = server.open();
        connection.send([Frame::new(kind, 0, 0, much.clone())]);
        connection.goes_away(&[code::FRAME_SIZE_ERROR]);
    }
}

fn s4_2_the_maximum_itself_is_taken(server: &mut Server) {
    let mut connection = server.open();
    let name = "x".repeat(20_000);
    let body = hello(&name, 0);
    let stream = connection.begin(&Fields::hello());
    let (first, second) = body.split_at(MAX_FRAME_SIZE);
    connection.send([data(stream, first), data(stream, second).end()]);
    connection.is_greeted(stream, &name);
}

/// The connection's own checks see that no frame is longer than allowed.
fn s4_2_answers_keep_to_the_clients_maximum(server: &mut Server) {
    let name = "x".repeat(50_000);
    for max in [None, Some(20_000), Some((1 << 24) - 1)] {
        let mut connection = server.open();
        if let Some(max) = max {
            connection.set(&[(setting::MAX_FRAME_SIZE, max)]);
        }
        let stream = connection.begin(&Fields::hello());
        let body = hello(&name, 0);
        let pieces = body.chunks(MAX_FRAME_SIZE).map(|piece| data(stream, piece));
        connection.send(pieces);
        connection.send([data(stream, []).end()]);
        connection.is_greeted(stream, &name);
        if max.is_none() {
            assert!(connection.so_far(stream).n_data_frames >= 4, "{:?}", connection.so_far(stream));
        }
    }
}
