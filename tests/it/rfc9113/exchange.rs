//! 8.1, the messages of a call and their lengths; 8.6 and 8.7; 9.1, a connection that is used again and again.

use crate::raw::*;

on_every_engine!(
    s8_1_a_request_with_trailers,
    s8_1_trailers_that_do_not_end_the_stream,
    s8_1_data_behind_trailers("hyper: PROTOCOL_ERROR instead"),
    s8_1_a_third_header_block("hyper: PROTOCOL_ERROR instead"),
    s8_1_an_answer_is_head_data_and_trailers,
    s8_1_1_less_than_content_length,
    s8_1_1_more_than_content_length,
    s8_1_1_content_length_without_a_body,
    s8_1_1_content_length_that_is_no_number,
    s8_1_1_content_length_that_is_right,
    s8_7_refused_streams_were_not_served,
    s9_1_many_calls_on_one_connection,
);

fn s8_1_a_request_with_trailers(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    connection.send([data(stream, hello("Joe", 0)), headers(stream, Block::new().literal("x-checksum", "1")).end()]);
    connection.is_greeted(stream, "Joe");
}

fn s8_1_trailers_that_do_not_end_the_stream(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    connection.send([data(stream, hello("Joe", 0)), headers(stream, Block::new().literal("x-checksum", "1"))]);
    connection.is_reset_or_goes_away(stream, &[code::PROTOCOL_ERROR]);
}

fn s8_1_data_behind_trailers(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    let body = hello("Joe", 60_000);
    connection.send([data(stream, body), headers(stream, Block::new().literal("x-checksum", "1")).end(), data(stream, *b"more")]);
    connection.is_reset_or_goes_away(stream, &[code::STREAM_CLOSED]);
}

fn s8_1_a_third_header_block(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    let trailers = headers(stream, Block::new().literal("x-checksum", "1")).end();
    connection.send([data(stream, hello("Joe", 60_000)), trailers.clone(), trailers]);
    connection.is_reset_or_goes_away(stream, &[code::STREAM_CLOSED]);
}

/// What the connection's own checks see of every answer, and no more than that.
fn s8_1_an_answer_is_head_data_and_trailers(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.hello("Joe", 0);
    let response = connection.response(stream);
    assert_eq!(response.blocks.len(), 2, "{response:?}");
    assert_eq!(response.blocks[0][0], (":status".to_owned(), "200".to_owned()), "{response:?}");
    assert!(response.blocks[1].iter().all(|(name, _)| !name.starts_with(':')), "{response:?}");
    assert!(response.ended && response.reset.is_none(), "{response:?}");
    let specific = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    assert!(response.blocks.iter().flatten().all(|(name, _)| !specific.contains(&&name[..])), "{response:?}");
}

fn with_content_length(value: &str) -> Fields {
    Fields::hello().with("content-length", value)
}

fn s8_1_1_less_than_content_length(server: &mut Server) {
    let mut connection = server.open();
    let body = hello("Joe", 60_000);
    let stream = connection.request(&with_content_length(&(body.len() + 1).to_string()), &body);
    connection.is_reset(stream, &[code::PROTOCOL_ERROR]);
    // The end may come by trailers, too.
    let stream = connection.begin(&with_content_length(&(body.len() + 1).to_string()));
    connection.send([data(stream, body), headers(stream, Block::new().literal("x-checksum", "1")).end()]);
    connection.is_reset(stream, &[code::PROTOCOL_ERROR]);
}

fn s8_1_1_more_than_content_length(server: &mut Server) {
    let mut connection = server.open();
    let body = hello("Joe", 60_000);
    let stream = connection.begin(&with_content_length(&(body.len() - 1).to_string()));
    // Padding does not count, and END_STREAM need not come.
    connection.send([data(stream, body).padded(1)]);
    connection.is_reset(stream, &[code::PROTOCOL_ERROR]);
}

fn s8_1_1_content_length_without_a_body(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.new_stream();
    connection.send([headers(stream, with_content_length("1").block()).end()]);
    connection.is_reset(stream, &[code::PROTOCOL_ERROR]);
}

fn s8_1_1_content_length_that_is_no_number(server: &mut Server) {
    let mut connection = server.open();
    let body = hello("Joe", 0);
    let right = body.len().to_string();
    for value in ["", "-1", "+7", "0x7", "seven", "99999999999999999999999", &format!("{right},{right}0")] {
        let stream = connection.request(&with_content_length(value), &body);
        connection.is_reset(stream, &[code::PROTOCOL_ERROR]);
    }
    // Two that differ.
    let stream = connection.request(&with_content_length(&right).with("content-length", "0"), &body);
    connection.is_reset(stream, &[code::PROTOCOL_ERROR]);
}

fn s8_1_1_content_length_that_is_right(server: &mut Server) {
    let mut connection = server.open();
    let body = hello("Joe", 0);
    let stream = connection.begin(&with_content_length(&body.len().to_string()));
    let (first, second) = body.split_at(3);
    connection.send([data(stream, first).padded(9), data(stream, second), data(stream, []).end()]);
    connection.is_greeted(stream, "Joe");
}

fn s8_7_refused_streams_were_not_served(server: &mut Server) {
    let mut connection = server.open();
    // Half open: what is not refused waits for its message.
    let streams: Vec<_> = (0..220).map(|_| connection.begin(&Fields::hello())).collect();
    connection.all_is_read();
    let mut refused = 0;
    for stream in streams {
        if connection.so_far(stream).reset.is_none() {
            connection.send([data(stream, hello("Joe", 0)).end()]);
            connection.is_greeted(stream, "Joe");
            continue;
        }
        let response = connection.response(stream);
        assert_eq!((response.reset, response.blocks.len()), (Some(code::REFUSED_STREAM), 0), "{response:?}");
        refused += 1;
    }
    assert!(refused >= 20, "{refused} were refused, of 220 at a time");
}

fn s9_1_many_calls_on_one_connection(server: &mut Server) {
    let mut connection = server.open();
    for _ in 0..500 {
        connection.send([window_update(0, 100)]);
        connection.greets();
    }
}
