//! How answers look: in one block or in two, before the request's end, and with a status of the handler's own.

use crate::raw::*;

on_every_loop_and_engine!(
    a_failure_is_trailers_only,
    a_status_of_the_handler,
    an_answer_before_the_requests_end,
    what_comes_behind_an_early_answer,
    nothing_is_sent_that_grpc_does_not_know,
);

/// One block, with END_STREAM: `Trailers-Only`.
fn a_failure_is_trailers_only(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.request(&Fields::hello().set(":path", "/helloworld.Greeter/Unknown"), &hello("Joe", 0));
    let response = connection.response(stream);
    assert_eq!((response.blocks.len(), response.n_data_frames, response.ended), (1, 0, true), "{response:?}");
    assert!(response.field("content-type").is_some_and(|value| value.starts_with("application/grpc")), "{response:?}");
}

fn a_status_of_the_handler(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.hello("Joe", 60_001);
    let response = connection.response(stream);
    assert_eq!((response.http(), response.grpc()), (200, Some(status::INVALID_ARGUMENT)), "{response:?}");
    assert!(response.field("grpc-message").is_some_and(|message| message.contains("60001")), "{response:?}");
}

/// The answer, END_STREAM, and then RST_STREAM of NO_ERROR, for the rest of the request is not wanted (RFC 9113, 8.1).
fn an_answer_before_the_requests_end(server: &mut Server) {
    let mut connection = server.open();
    let refused = [
        (Fields::hello().set(":path", "/helloworld.Greeter/Unknown"), &b""[..]),
        (Fields::hello(), &announced(0, 5 << 20, b"")),
        (Fields::hello(), &prefixed(2, b"")),
        (Fields::hello().with("grpc-timeout", "0n"), b""),
        (Fields::hello().set("content-type", "text/plain"), b""),
    ];
    for (fields, body) in refused {
        let stream = connection.begin(&fields);
        connection.send([data(stream, body)]);
        let response = connection.response(stream);
        assert!(response.ended, "{response:?}");
        let reset = connection.until("the stream is reset", |connection| connection.so_far(stream).reset);
        assert_eq!(reset, code::NO_ERROR, "{response:?}");
    }
    connection.greets();
}

/// The client has not seen the answer, and sends the rest: ignored, but counted, and the windows open again.
fn what_comes_behind_an_early_answer(server: &mut Server) {
    let mut connection = server.open();
    for _ in 0..3 {
        let stream = connection.begin(&Fields::hello());
        connection.send([data(stream, announced(0, 5 << 20, b""))]);
        for _ in 0..40 {
            connection.until("the connection's window has room", |connection| (connection.room(0) >= MAX_FRAME_SIZE as u64).then_some(()));
            connection.send([data(stream, vec![0; MAX_FRAME_SIZE])]);
        }
        connection.send([headers(stream, Block::new().literal("x-trailer", "1")).end()]);
        assert_eq!(connection.response(stream).grpc(), Some(status::RESOURCE_EXHAUSTED));
    }
    connection.greets();
}

fn nothing_is_sent_that_grpc_does_not_know(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.hello("Joe", 0);
    let response = connection.response(stream);
    let known = [":status", "content-type", "grpc-status", "grpc-message", "grpc-encoding", "grpc-accept-encoding"];
    let unknown: Vec<_> = response.blocks.iter().flatten().filter(|(name, _)| !known.contains(&&name[..])).collect();
    assert!(unknown.is_empty(), "each field costs every call: {unknown:?}");
}
