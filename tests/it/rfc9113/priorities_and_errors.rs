//! 5.3, priorities, which are ignored; 5.4, errors; 5.5, extensions; 7, error codes.

use crate::raw::*;

on_every_engine!(
    s5_3_priorities_are_taken_and_ignored,
    s5_3_a_stream_that_depends_on_itself,
    s5_4_1_goaway_names_the_last_stream,
    s5_4_1_frames_behind_an_error_are_ignored,
    s5_4_2_a_streams_error_leaves_the_others,
    s5_5_unknown_frames_are_ignored_between_others,
    s7_unknown_codes_are_no_error,
);

fn s5_3_priorities_are_taken_and_ignored(server: &mut Server) {
    let mut connection = server.open();
    connection.send([priority(9, 0, 200), priority(11, 9, 0)]);
    let stream = connection.new_stream();
    let [head, body] = call(stream, "Joe", 0);
    connection.send([head.prioritised(1 << 31 | 9, 3), priority(stream, 11, 3), body]);
    connection.is_greeted(stream, "Joe");
    connection.send([priority(stream, 9, 3)]);
    connection.greets();
}

/// RFC 9113 has done away with dependencies; RFC 7540 (5.3.1) made this a stream error, and suites ask for it still.
fn s5_3_a_stream_that_depends_on_itself(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.new_stream();
    connection.send([headers(stream, Fields::hello().block()).prioritised(stream, 3)]);
    connection.is_reset_or_goes_away(stream, &[code::PROTOCOL_ERROR]);
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    connection.send([priority(stream, stream, 3)]);
    connection.is_reset_or_goes_away(stream, &[code::PROTOCOL_ERROR]);
}

fn s5_4_1_goaway_names_the_last_stream(server: &mut Server) {
    let mut connection = server.open();
    connection.skip_to(5);
    connection.greets();
    connection.greets();
    connection.send([data(0, [])]);
    assert_eq!(connection.goes_away(&[code::PROTOCOL_ERROR]).last, 7);
    // Of none, where there was none.
    let mut connection = server.open();
    connection.send([data(0, [])]);
    assert_eq!(connection.goes_away(&[code::PROTOCOL_ERROR]).last, 0);
}

fn s5_4_1_frames_behind_an_error_are_ignored(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.new_stream();
    connection.send([data(0, [])].into_iter().chain(call(stream, "Joe", 0)));
    connection.goes_away(&[code::PROTOCOL_ERROR]);
    assert!(connection.so_far(stream).blocks.is_empty());
    assert_eq!(connection.goaways.len(), 1, "one error is told once");
}

fn s5_4_2_a_streams_error_leaves_the_others(server: &mut Server) {
    let mut connection = server.open();
    let before = connection.hello("before", 100);
    let broken = connection.begin(&Fields::hello());
    connection.send([window_update(broken, MAX_31_BITS)]);
    let after = connection.hello("after", 100);
    assert_eq!(connection.response(broken).reset, Some(code::FLOW_CONTROL_ERROR));
    connection.is_greeted(before, "before");
    connection.is_greeted(after, "after");
}

fn s5_5_unknown_frames_are_ignored_between_others(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.new_stream();
    let [head, body] = call(stream, "Joe", 0);
    // ALTSVC, ORIGIN and PRIORITY_UPDATE have meanings that a server need not know.
    let extensions = [0xa, 0xc, 0x10, 0x42].map(|kind| Frame::new(kind, 0xff, 0, vec![0; 100]));
    connection.send([head].into_iter().chain(extensions).chain([body]));
    connection.is_greeted(stream, "Joe");
}

fn s7_unknown_codes_are_no_error(server: &mut Server) {
    let mut connection = server.open();
    for code in [0xe, 0xff, 0xffff_ffff] {
        let stream = connection.hello("Joe", 60_000);
        connection.send([rst_stream(stream, code)]);
    }
    connection.greets();
}
