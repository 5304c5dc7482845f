//! The request's head: method, content-type, path. What is refused here never reaches a service.

use crate::raw::*;

on_every_loop_and_engine!(
    methods_other_than_post,
    other_content_types,
    content_types_of_grpc,
    unknown_methods_and_services,
    paths_are_exact,
    a_long_path,
    metadata_does_no_harm,
    binary_metadata_that_is_no_base64,
    expect_100_continue("hyper: cannot say 100; the client goes on when it has waited"),
    expectations_that_are_not_met,
);

/// HTTP's own status, and the end of the stream with it.
fn is_answered_with(connection: &mut Connection, fields: &Fields, http: u32) {
    let stream = connection.request(fields, &hello("Joe", 0));
    let response = connection.response(stream);
    assert_eq!(response.http(), http, "{response:?}");
    assert!(response.ended && response.grpc() != Some(status::OK) && response.body.is_empty(), "{response:?}");
    connection.greets();
}

fn methods_other_than_post(server: &mut Server) {
    let mut connection = server.open();
    for method in ["GET", "PUT", "HEAD", "OPTIONS", "DELETE", "post", "POSTS", "X"] {
        is_answered_with(&mut connection, &Fields::hello().set(":method", method), 405);
    }
}

fn other_content_types(server: &mut Server) {
    let mut connection = server.open();
    is_answered_with(&mut connection, &Fields::hello().without("content-type"), 415);
    for content_type in ["application/json", "application/grpc-web", "application/grpcx", "application/gRP", "text/plain", ""] {
        is_answered_with(&mut connection, &Fields::hello().set("content-type", content_type), 415);
    }
}

fn content_types_of_grpc(server: &mut Server) {
    let mut connection = server.open();
    for content_type in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
        let stream = connection.request(&Fields::hello().set("content-type", content_type), &hello("Joe", 0));
        connection.is_greeted(stream, "Joe");
        let head = &connection.so_far(stream).blocks[0];
        let answered = head.iter().find(|(name, _)| name == "content-type").expect("an answer has a content-type");
        assert!(answered.1.starts_with("application/grpc"), "{answered:?}");
    }
}

fn is_unimplemented(connection: &mut Connection, path: &str) {
    let stream = connection.request(&Fields::hello().set(":path", path), &hello("Joe", 0));
    let response = connection.response(stream);
    assert_eq!((response.http(), response.grpc()), (200, Some(status::UNIMPLEMENTED)), "{path}: {response:?}");
    assert!(response.body.is_empty(), "{path}: {response:?}");
}

fn unknown_methods_and_services(server: &mut Server) {
    let mut connection = server.open();
    for path in ["/helloworld.Greeter/SayGoodbye", "/helloworld.Nobody/SayHello", "/grpc.health.v2.Health/Check", "/"] {
        is_unimplemented(&mut connection, path);
    }
    connection.greets();
}

/// CVE-2026-33186: one form of a path, and no other leads to the method.
fn paths_are_exact(server: &mut Server) {
    let mut connection = server.open();
    let paths = [
        "/helloworld.Greeter/SayHello/",
        "//helloworld.Greeter/SayHello",
        "/helloworld.Greeter//SayHello",
        "/./helloworld.Greeter/SayHello",
        "/x/../helloworld.Greeter/SayHello",
        "/helloworld%2EGreeter/SayHello",
        "/helloworld.Greeter%2FSayHello",
        "/helloworld.Greeter/%53ayHello",
        "/HELLOWORLD.GREETER/SAYHELLO",
        "/helloworld.Greeter/sayHello",
        "/helloworld.Greeter/SayHell",
        "/helloworld.Greeter/SayHello2",
        "/helloworld.Greeter",
        "/helloworld.Greeter/",
        "/SayHello",
    ];
    for path in paths {
        is_unimplemented(&mut connection, path);
    }
    connection.greets();
}

fn a_long_path(server: &mut Server) {
    let mut connection = server.open();
    is_unimplemented(&mut connection, &format!("/{}/SayHello", "x".repeat(10_000)));
    connection.greets();
}

fn metadata_does_no_harm(server: &mut Server) {
    let mut connection = server.open();
    let fields = Fields::hello()
        .with("x-ascii", "some value")
        .with("x-ascii", "another")
        .with("x-binary-bin", "AAECAw==")
        .with("x-unpadded-bin", "AAECAw")
        .with("x-joined-bin", "AAEC,AwQF")
        .with("grpc-trace-bin", "AA")
        .with("user-agent", "raw/1.0")
        .with("grpc-encoding", "identity")
        .with("grpc-accept-encoding", "identity,gzip");
    let stream = connection.request(&fields, &hello("Joe", 0));
    connection.is_greeted(stream, "Joe");
}

/// INTERNAL, before the handler: one that reads it could not tell.
fn binary_metadata_that_is_no_base64(server: &mut Server) {
    let mut connection = server.open();
    for value in ["A", "AA=", "A===", "AAA==", "AAEC,A", "AA-_", "=", "A A=", "{}"] {
        let stream = connection.request(&Fields::hello().with("x-data-bin", value), &hello("Joe", 0));
        let response = connection.response(stream);
        assert_eq!((response.http(), response.grpc()), (200, Some(status::INTERNAL)), "{value:?}: {response:?}");
        assert!(response.field("grpc-message").is_some_and(|message| message.contains("x-data-bin")), "{response:?}");
    }
    for value in ["", "AA", "AA==", "AAA=", "AAAA", "AAEC,AA==,AA", "AAEC, AA", "+/+/"] {
        let stream = connection.request(&Fields::hello().with("x-data-bin", value), &hello("Joe", 0));
        connection.is_greeted(stream, "Joe");
    }
}

fn expecting(value: &str) -> Fields {
    Fields::hello().with("expect", value)
}

/// RFC 9110, 10.1.1: the body comes when it was asked for, and is asked for once.
fn expect_100_continue(server: &mut Server) {
    let mut connection = server.open();
    for value in ["100-continue", "100-Continue"] {
        let stream = connection.begin(&expecting(value));
        connection.until("100 comes", |connection| (connection.so_far(stream).interim == [100]).then_some(()));
        connection.send([data(stream, hello("Joe", 0)).end()]);
        connection.is_greeted(stream, "Joe");
        assert_eq!(connection.so_far(stream).interim, [100]);
    }
    // In a table that was made smaller: the interim response is the first block behind that.
    connection.set(&[(setting::HEADER_TABLE_SIZE, 0)]);
    let stream = connection.begin(&expecting("100-continue"));
    connection.until("100 comes", |connection| (connection.so_far(stream).interim == [100]).then_some(()));
    connection.send([data(stream, hello("Joe", 0)).end()]);
    connection.is_greeted(stream, "Joe");
}

/// A refusal needs no body; a client that does not wait is served; other expectations are ignored.
fn expectations_that_are_not_met(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&expecting("100-continue").set(":method", "PUT"));
    let response = connection.response(stream);
    assert_eq!((response.http(), &response.interim[..]), (405, &[][..]), "{response:?}");
    let stream = connection.request(&expecting("100-continue"), &hello("Joe", 0));
    connection.is_greeted(stream, "Joe");
    let stream = connection.request(&expecting("a miracle"), &hello("Joe", 0));
    connection.is_greeted(stream, "Joe");
    assert!(connection.so_far(stream).interim.is_empty());
}
