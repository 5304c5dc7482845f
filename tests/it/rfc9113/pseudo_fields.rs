//! 8.3, pseudo-header fields; 8.5, CONNECT. What is malformed is an error of its stream (8.1.1).

use crate::raw::*;

on_every_engine!(
    s8_3_behind_a_field,
    s8_3_unknown_ones("hyper: the whole connection is closed"),
    s8_3_those_of_responses,
    s8_3_in_trailers("hyper: the stream is left as it is"),
    s8_3_1_missing_ones,
    s8_3_1_doubled_ones,
    s8_3_1_an_empty_path,
    s8_3_1_values_with_forbidden_octets("hyper: the whole connection is closed"),
    s8_3_1_a_path_without_a_slash,
    s8_3_1_in_any_order,
    s8_3_1_authority_and_host("hyper: two hosts are taken"),
    s8_5_connect,
    s8_5_connect_with_scheme_or_path("hyper: taken as any other method"),
);

fn is_malformed(connection: &mut Connection, fields: &Fields) {
    let stream = connection.request(fields, &hello("Joe", 0));
    connection.is_reset(stream, &[code::PROTOCOL_ERROR]);
}

fn s8_3_behind_a_field(server: &mut Server) {
    let mut connection = server.open();
    for (name, value) in [(":method", "POST"), (":scheme", "http"), (":path", "/helloworld.Greeter/SayHello"), (":authority", "localhost")]
    {
        is_malformed(&mut connection, &Fields::hello().without(name).with(name, value));
    }
}

fn s8_3_unknown_ones(server: &mut Server) {
    let mut connection = server.open();
    for name in [":foo", ":", ":Path", ":protocol"] {
        is_malformed(&mut connection, &Fields::hello().first(name, "1"));
    }
}

fn s8_3_those_of_responses(server: &mut Server) {
    is_malformed(&mut server.open(), &Fields::hello().first(":status", "200"));
}

fn s8_3_in_trailers(server: &mut Server) {
    let mut connection = server.open();
    for name in [":method", ":status", ":foo"] {
        let stream = connection.begin(&Fields::hello());
        connection.send([data(stream, hello("Joe", 60_000)), headers(stream, Block::new().literal(name, "200")).end()]);
        connection.is_reset(stream, &[code::PROTOCOL_ERROR]);
    }
}

fn s8_3_1_missing_ones(server: &mut Server) {
    let mut connection = server.open();
    for name in [":method", ":scheme", ":path"] {
        is_malformed(&mut connection, &Fields::hello().without(name));
    }
}

fn s8_3_1_doubled_ones(server: &mut Server) {
    let mut connection = server.open();
    for (name, value) in [(":method", "POST"), (":scheme", "http"), (":path", "/helloworld.Greeter/SayHello"), (":authority", "localhost")]
    {
        is_malformed(&mut connection, &Fields::hello().first(name, value));
    }
}

fn s8_3_1_an_empty_path(server: &mut Server) {
    is_malformed(&mut server.open(), &Fields::hello().set(":path", ""));
}

/// They are field values, too (8.2.1).
fn s8_3_1_values_with_forbidden_octets(server: &mut Server) {
    let mut connection = server.open();
    for bad in ["\0", "\n", "\r"] {
        for (name, value) in [(":method", "POST"), (":path", "/helloworld.Greeter/SayHello"), (":authority", "localhost")] {
            for value in [format!("{bad}{value}"), format!("{value}{bad}"), value.replacen(['o', 'O'], bad, 1)] {
                is_malformed(&mut connection, &Fields::hello().set(name, value));
            }
        }
    }
}

/// Never served. A path that is none is malformed; gRPC may know no such method as well.
fn s8_3_1_a_path_without_a_slash(server: &mut Server) {
    let mut connection = server.open();
    for path in ["helloworld.Greeter/SayHello", "*", "http://localhost/helloworld.Greeter/SayHello"] {
        let stream = connection.request(&Fields::hello().set(":path", path), &hello("Joe", 0));
        let response = connection.response(stream);
        let malformed = response.reset == Some(code::PROTOCOL_ERROR) && response.blocks.is_empty();
        assert!(malformed || response.grpc() == Some(status::UNIMPLEMENTED), "{path}: {response:?}");
    }
    connection.greets();
}

fn s8_3_1_in_any_order(server: &mut Server) {
    let mut connection = server.open();
    let fields =
        Fields::hello().without(":method").without(":path").first(":method", "POST").first(":path", "/helloworld.Greeter/SayHello");
    let stream = connection.request(&fields, &hello("Joe", 0));
    connection.is_greeted(stream, "Joe");
}

fn s8_3_1_authority_and_host(server: &mut Server) {
    let mut connection = server.open();
    // `host` in its place, or beside it and the same.
    for fields in [Fields::hello().without(":authority"), Fields::hello()] {
        let stream = connection.request(&fields.with("host", "localhost"), &hello("Joe", 0));
        connection.is_greeted(stream, "Joe");
    }
    // Another one, or two, whether they agree or not.
    is_malformed(&mut connection, &Fields::hello().with("host", "elsewhere"));
    is_malformed(&mut connection, &Fields::hello().without(":authority").with("host", "localhost").with("host", "elsewhere"));
    is_malformed(&mut connection, &Fields::hello().without(":authority").with("host", "localhost").with("host", "localhost"));
}

/// A request as any other, of a method that gRPC does not have.
fn s8_5_connect(server: &mut Server) {
    let mut connection = server.open();
    let fields = Fields::hello().without(":scheme").without(":path").set(":method", "CONNECT");
    let stream = connection.request(&fields, b"");
    let response = connection.response(stream);
    let refused = response.blocks.is_empty() && response.reset.is_some();
    let answered = || matches!(response.http(), 400..600) || response.grpc() == Some(status::UNIMPLEMENTED);
    assert!(refused || answered(), "{response:?}");
    connection.greets();
}

fn s8_5_connect_with_scheme_or_path(server: &mut Server) {
    let mut connection = server.open();
    let connect = Fields::hello().set(":method", "CONNECT");
    for fields in [connect.clone(), connect.clone().without(":path"), connect.clone().without(":scheme")] {
        is_malformed(&mut connection, &fields);
    }
    // And it needs an authority.
    is_malformed(&mut connection, &connect.without(":scheme").without(":path").without(":authority"));
}
