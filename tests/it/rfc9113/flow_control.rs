//! 5.2 and 6.9, flow control. That the server never sends more than a window allows is checked by the connection itself, in every case.

use std::time::Duration;

use crate::raw::*;

on_every_engine!(
    s5_2_one_byte_at_a_time,
    s5_2_the_connections_window_counts_too,
    s5_2_headers_and_empty_data_need_no_window,
    s5_2_2_frames_are_read_while_answers_wait,
    s6_9_an_increment_of_0_on_a_stream,
    s6_9_an_increment_of_0_on_the_connection,
    s6_9_of_a_wrong_length("hyper: PROTOCOL_ERROR instead"),
    s6_9_1_a_streams_window_overflows,
    s6_9_1_the_connections_window_overflows,
    s6_9_1_the_largest_window,
    s6_9_2_settings_change_windows_of_open_streams,
    s6_9_2_a_window_below_0,
    s6_9_2_settings_overflow_a_window,
    s6_9_2_settings_leave_the_connections_window,
    s6_9_3_the_server_gives_windows_back,
);

fn s5_2_one_byte_at_a_time(server: &mut Server) {
    let mut connection = server.open_with(&[(setting::INITIAL_WINDOW_SIZE, 1)]);
    let stream = connection.hello("Joe", 0);
    for n in 1.. {
        connection.until("a byte more", |connection| (connection.so_far(stream).body.len() >= n).then_some(()));
        if connection.so_far(stream).body.len() == 5 + 2 + "Hello, Joe!".len() {
            break;
        }
        assert!(!connection.so_far(stream).is_over());
        connection.send([window_update(stream, 1)]);
    }
    connection.is_greeted(stream, "Joe");
}

fn s5_2_the_connections_window_counts_too(server: &mut Server) {
    let name = "x".repeat(15_000);
    let mut connection = server.open();
    let streams: Vec<_> = (0..6).map(|_| connection.hello(&name, 0)).collect();
    let sum = |connection: &mut Connection| -> usize { streams.iter().map(|stream| connection.so_far(*stream).body.len()).sum() };
    connection.until("the connection's window is used up", |connection| (sum(connection) == WINDOW as usize).then_some(()));
    // Not a byte more, however large the windows of the streams are.
    connection.send(streams.iter().map(|stream| window_update(*stream, 1_000_000)));
    connection.listen(Duration::from_millis(50));
    assert_eq!(sum(&mut connection), WINDOW as usize);
    connection.send([window_update(0, 1_000_000)]);
    for stream in streams {
        connection.is_greeted(stream, &name);
    }
}

fn s5_2_headers_and_empty_data_need_no_window(server: &mut Server) {
    let mut connection = server.open_with(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
    let stream = connection.request(&Fields::hello().set(":path", "/helloworld.Greeter/Unknown"), &hello("Joe", 0));
    assert_eq!(connection.response(stream).grpc(), Some(status::UNIMPLEMENTED));
    let stream = connection.hello("Joe", 0);
    connection.until("the head comes", |connection| (!connection.so_far(stream).blocks.is_empty()).then_some(()));
    connection.send([window_update(stream, 1000)]);
    connection.is_greeted(stream, "Joe");
}

/// Whoever waits for a window must not wait for it alone: frames that open it, or end the wait, come behind others.
fn s5_2_2_frames_are_read_while_answers_wait(server: &mut Server) {
    let mut connection = server.open_with(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
    let streams = [(); 3].map(|()| connection.hello("Joe", 0));
    for stream in streams {
        connection.until("the head comes", |connection| (!connection.so_far(stream).blocks.is_empty()).then_some(()));
    }
    connection.send([ping(*b"waiting!")]);
    connection.until("PING is answered", |connection| (connection.pongs == [*b"waiting!"]).then_some(()));
    connection.send([rst_stream(streams[0], code::CANCEL), window_update(streams[2], 1000)]);
    connection.is_greeted(streams[2], "Joe");
    assert!(connection.so_far(streams[1]).body.is_empty());
}

fn s6_9_an_increment_of_0_on_a_stream(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    connection.send([window_update(stream, 0)]);
    connection.is_reset_or_goes_away(stream, &[code::PROTOCOL_ERROR]);
}

fn s6_9_an_increment_of_0_on_the_connection(server: &mut Server) {
    let mut connection = server.open();
    connection.send([window_update(0, 0)]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
}

fn s6_9_of_a_wrong_length(server: &mut Server) {
    for len in [0, 3, 5] {
        for on_stream in [false, true] {
            let mut connection = server.open();
            let stream = connection.begin(&Fields::hello());
            connection.send([Frame::new(kind::WINDOW_UPDATE, 0, if on_stream { stream } else { 0 }, vec![0; len])]);
            connection.goes_away(&[code::FRAME_SIZE_ERROR]);
        }
    }
}

fn s6_9_1_a_streams_window_overflows(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    connection.send([window_update(stream, MAX_31_BITS)]);
    connection.is_reset(stream, &[code::FLOW_CONTROL_ERROR]);
}

fn s6_9_1_the_connections_window_overflows(server: &mut Server) {
    let mut connection = server.open();
    connection.send([window_update(0, MAX_31_BITS)]);
    connection.goes_away(&[code::FLOW_CONTROL_ERROR]);
}

fn s6_9_1_the_largest_window(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    let to_the_brim = MAX_31_BITS - WINDOW as u32;
    // The connection has sent the bytes of no answer yet.
    connection.send([window_update(stream, to_the_brim)]);
    connection.send([data(stream, hello("Joe", 0)).end()]);
    connection.is_greeted(stream, "Joe");
    let mut connection = server.open();
    connection.send([window_update(0, to_the_brim)]);
    connection.greets();
}

fn s6_9_2_settings_change_windows_of_open_streams(server: &mut Server) {
    let mut connection = server.open_with(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
    let stream = connection.hello("Joe", 0);
    connection.until("the head comes", |connection| (!connection.so_far(stream).blocks.is_empty()).then_some(()));
    connection.set(&[(setting::INITIAL_WINDOW_SIZE, 3)]);
    connection.until("three bytes come", |connection| (connection.so_far(stream).body.len() == 3).then_some(()));
    connection.set(&[(setting::INITIAL_WINDOW_SIZE, 1000)]);
    connection.is_greeted(stream, "Joe");
}

fn s6_9_2_a_window_below_0(server: &mut Server) {
    let mut connection = server.open_with(&[(setting::INITIAL_WINDOW_SIZE, 10)]);
    let stream = connection.hello("Joe", 0);
    connection.until("ten bytes come", |connection| (connection.so_far(stream).body.len() == 10).then_some(()));
    // -7 now, 0 behind that, and then a byte.
    connection.set(&[(setting::INITIAL_WINDOW_SIZE, 3)]);
    connection.send([window_update(stream, 7)]);
    connection.listen(Duration::from_millis(50));
    assert_eq!(connection.so_far(stream).body.len(), 10);
    connection.send([window_update(stream, 1)]);
    connection.until("a byte comes", |connection| (connection.so_far(stream).body.len() == 11).then_some(()));
    connection.send([window_update(stream, 1000)]);
    connection.is_greeted(stream, "Joe");
}

fn s6_9_2_settings_overflow_a_window(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    connection.send([window_update(stream, 1)]);
    connection.send([settings(&[(setting::INITIAL_WINDOW_SIZE, MAX_31_BITS)])]);
    connection.goes_away(&[code::FLOW_CONTROL_ERROR]);
}

/// What they allow streams, they do not allow the connection.
fn s6_9_2_settings_leave_the_connections_window(server: &mut Server) {
    let name = "x".repeat(15_000);
    let mut connection = server.open_with(&[(setting::INITIAL_WINDOW_SIZE, MAX_31_BITS)]);
    let streams: Vec<_> = (0..6).map(|_| connection.hello(&name, 0)).collect();
    let sum = |connection: &mut Connection| -> usize { streams.iter().map(|stream| connection.so_far(*stream).body.len()).sum() };
    connection.until("the connection's window is used up", |connection| (sum(connection) == WINDOW as usize).then_some(()));
    connection.send([window_update(0, 1_000_000)]);
    for stream in streams {
        connection.is_greeted(stream, &name);
    }
}

/// Requests of more bytes than any window of the server's, from a client that keeps to them.
fn s6_9_3_the_server_gives_windows_back(server: &mut Server) {
    let mut connection = server.open_with(&[(setting::INITIAL_WINDOW_SIZE, MAX_31_BITS)]);
    connection.send([window_update(0, MAX_31_BITS - WINDOW as u32)]);
    let name = "x".repeat(3_000_000);
    for _ in 0..2 {
        let stream = connection.begin(&Fields::hello());
        connection.upload(stream, hello(&name, 0).chunks(MAX_FRAME_SIZE), data);
        connection.send([data(stream, []).end()]);
        connection.is_greeted(stream, &name);
    }
}
