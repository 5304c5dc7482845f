//! 6.7, PING; 6.8, GOAWAY from the client.

use crate::raw::*;

on_every_engine!(
    s6_7_is_answered,
    s6_7_an_acknowledgement_is_not_answered,
    s6_7_of_a_stream,
    s6_7_of_a_wrong_length("hyper: PROTOCOL_ERROR instead"),
    s6_8_running_calls_finish_and_the_connection_closes,
    s6_8_of_a_stream,
    s6_8_of_a_wrong_length("hyper: PROTOCOL_ERROR instead"),
    s6_8_calls_behind_it_do_no_harm,
);

fn s6_7_is_answered(server: &mut Server) {
    let mut connection = server.open();
    connection.send([ping(*b"loopswap")]);
    connection.until("PING is answered", |connection| (connection.pongs == [*b"loopswap"]).then_some(()));
    connection.greets();
}

fn s6_7_an_acknowledgement_is_not_answered(server: &mut Server) {
    let mut connection = server.open();
    connection.send([ping_ack(*b"unasked!")]);
    connection.greets();
    assert!(connection.pongs.is_empty());
}

fn s6_7_of_a_stream(server: &mut Server) {
    for flags in [0, flag::ACK] {
        let mut connection = server.open();
        connection.send([Frame::new(kind::PING, flags, 1, [0; 8])]);
        connection.goes_away(&[code::PROTOCOL_ERROR]);
    }
}

fn s6_7_of_a_wrong_length(server: &mut Server) {
    for len in [0, 7, 9] {
        for flags in [0, flag::ACK] {
            let mut connection = server.open();
            connection.send([Frame::new(kind::PING, flags, 0, vec![0; len])]);
            connection.goes_away(&[code::FRAME_SIZE_ERROR]);
        }
    }
}

fn s6_8_running_calls_finish_and_the_connection_closes(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.hello("Joe", 100);
    connection.send([goaway(0, code::NO_ERROR, "enough")]);
    connection.is_greeted(stream, "Joe");
    connection.until("the connection is closed", |connection| connection.closed.then_some(()));
    assert!(connection.error().is_none(), "{:?}", connection.goaways);
}

fn s6_8_of_a_stream(server: &mut Server) {
    let mut connection = server.open();
    let mut frame = goaway(0, code::NO_ERROR, "");
    frame.stream = 1;
    connection.send([frame]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
}

fn s6_8_of_a_wrong_length(server: &mut Server) {
    for len in [0, 7] {
        let mut connection = server.open();
        connection.send([Frame::new(kind::GOAWAY, 0, 0, vec![0; len])]);
        connection.goes_away(&[code::FRAME_SIZE_ERROR]);
    }
}

/// A client that says goodbye with an error, and calls nevertheless, has no claim; but the server has no claim to fall over either.
fn s6_8_calls_behind_it_do_no_harm(server: &mut Server) {
    for code in [code::NO_ERROR, code::PROTOCOL_ERROR, 0xffff_ffff] {
        let mut connection = server.open();
        connection.send([goaway(0, code, &"x".repeat(10_000))]);
        connection.hello("Joe", 0);
        connection.until("the connection is closed", |connection| connection.closed.then_some(()));
    }
}
