//! 6.5, SETTINGS.

use crate::raw::*;

on_every_engine!(
    s6_5_each_is_acknowledged,
    s6_5_an_acknowledgement_with_a_payload("hyper: PROTOCOL_ERROR instead"),
    s6_5_of_a_stream,
    s6_5_of_a_wrong_length("hyper: PROTOCOL_ERROR instead"),
    s6_5_an_acknowledgement_is_not_answered,
    s6_5_2_values_that_are_not_allowed("hyper: PROTOCOL_ERROR for all"),
    s6_5_2_values_at_the_edge,
    s6_5_2_unknown_settings_are_ignored,
    s6_5_2_the_servers_own_values_are_allowed,
    s6_5_3_values_are_taken_in_their_order,
    s6_5_3_answers_keep_to_what_was_acknowledged,
);

fn s6_5_each_is_acknowledged(server: &mut Server) {
    let mut connection = server.open();
    for n in 2..12 {
        connection.set(&[(setting::MAX_CONCURRENT_STREAMS, n)]);
        assert_eq!(connection.n_settings_acks, n as usize);
    }
    connection.send([settings(&[]), settings(&[])]);
    connection.until("both are", |connection| (connection.n_settings_acks == 13).then_some(()));
    connection.greets();
}

fn s6_5_an_acknowledgement_with_a_payload(server: &mut Server) {
    let mut connection = server.open();
    connection.send([Frame::new(kind::SETTINGS, flag::ACK, 0, vec![0; 6])]);
    connection.goes_away(&[code::FRAME_SIZE_ERROR]);
}

fn s6_5_of_a_stream(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    connection.send([Frame::new(kind::SETTINGS, 0, stream, [])]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
}

fn s6_5_of_a_wrong_length(server: &mut Server) {
    for len in [1, 5, 7, 15] {
        let mut connection = server.open();
        connection.send([Frame::new(kind::SETTINGS, 0, 0, vec![0; len])]);
        connection.goes_away(&[code::FRAME_SIZE_ERROR]);
    }
}

fn s6_5_an_acknowledgement_is_not_answered(server: &mut Server) {
    let mut connection = server.open();
    connection.greets();
    assert_eq!(connection.n_settings_acks, 1);
}

fn s6_5_2_values_that_are_not_allowed(server: &mut Server) {
    let cases = [
        (setting::ENABLE_PUSH, 2, code::PROTOCOL_ERROR),
        (setting::INITIAL_WINDOW_SIZE, MAX_31_BITS + 1, code::FLOW_CONTROL_ERROR),
        (setting::INITIAL_WINDOW_SIZE, u32::MAX, code::FLOW_CONTROL_ERROR),
        (setting::MAX_FRAME_SIZE, 0, code::PROTOCOL_ERROR),
        (setting::MAX_FRAME_SIZE, 16_383, code::PROTOCOL_ERROR),
        (setting::MAX_FRAME_SIZE, 1 << 24, code::PROTOCOL_ERROR),
    ];
    for (id, value, code) in cases {
        let mut connection = server.open();
        // Behind one that is allowed.
        connection.send([settings(&[(setting::MAX_HEADER_LIST_SIZE, 1000), (id, value)])]);
        connection.goes_away(&[code]);
    }
}

fn s6_5_2_values_at_the_edge(server: &mut Server) {
    let edges = [
        (setting::HEADER_TABLE_SIZE, 0),
        (setting::HEADER_TABLE_SIZE, u32::MAX),
        (setting::ENABLE_PUSH, 0),
        (setting::ENABLE_PUSH, 1),
        (setting::MAX_CONCURRENT_STREAMS, 0),
        (setting::MAX_CONCURRENT_STREAMS, u32::MAX),
        (setting::INITIAL_WINDOW_SIZE, MAX_31_BITS),
        (setting::MAX_FRAME_SIZE, 16_384),
        (setting::MAX_FRAME_SIZE, (1 << 24) - 1),
        (setting::MAX_HEADER_LIST_SIZE, u32::MAX),
    ];
    for edge in edges {
        let mut connection = server.open_with(&[edge]);
        connection.greets();
    }
}

fn s6_5_2_unknown_settings_are_ignored(server: &mut Server) {
    let mut connection = server.open();
    connection.set(&[(0, 1), (7, u32::MAX), (0xff, 2), (u16::MAX, u32::MAX)]);
    connection.greets();
}

fn s6_5_2_the_servers_own_values_are_allowed(server: &mut Server) {
    let connection = server.open();
    for (id, value) in &connection.server_settings {
        let allowed = match *id {
            // A server must not send 1; most leave it out.
            setting::ENABLE_PUSH => *value == 0,
            setting::INITIAL_WINDOW_SIZE => *value <= MAX_31_BITS,
            setting::MAX_FRAME_SIZE => (16_384..1 << 24).contains(value),
            _ => true,
        };
        assert!(allowed, "{id} is {value}");
    }
}

fn s6_5_3_values_are_taken_in_their_order(server: &mut Server) {
    let mut connection = server.open();
    connection.set(&[(setting::INITIAL_WINDOW_SIZE, 1_000_000), (setting::INITIAL_WINDOW_SIZE, 4)]);
    let stream = connection.hello("Joe", 0);
    connection.until("four bytes come", |connection| (connection.so_far(stream).body.len() == 4).then_some(()));
    connection.send([window_update(stream, 1000)]);
    connection.is_greeted(stream, "Joe");
}

/// The connection's own checks begin with the acknowledgement.
fn s6_5_3_answers_keep_to_what_was_acknowledged(server: &mut Server) {
    let name = "x".repeat(16_000);
    let mut connection = server.open();
    connection.send([window_update(0, 10_000_000)]);
    for n in 0..20 {
        let values = if n % 2 == 0 { (10, 16_384, 0) } else { (100_000, 100_000, 4096) };
        let stream = connection.hello(&name, 0);
        connection.send([settings(&[
            (setting::INITIAL_WINDOW_SIZE, values.0),
            (setting::MAX_FRAME_SIZE, values.1),
            (setting::HEADER_TABLE_SIZE, values.2),
        ])]);
        connection.send([window_update(stream, 100_000)]);
        connection.is_greeted(stream, &name);
    }
}
