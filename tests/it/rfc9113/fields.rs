//! 8.2, fields: what makes a request malformed, which is an error of its stream (8.1.1).

use crate::raw::*;

on_every_engine!(
    s8_2_1_upper_case_names("hyper: the whole connection is closed"),
    s8_2_1_names_with_forbidden_octets("hyper: the whole connection is closed"),
    s8_2_1_an_empty_name("hyper: the whole connection is closed"),
    s8_2_1_values_with_forbidden_octets("hyper: the whole connection is closed"),
    s8_2_1_white_space_around_values("hyper: white space is taken"),
    s8_2_1_values_that_are_allowed,
    s8_2_1_in_trailers("hyper: the whole connection is closed"),
    s8_2_2_fields_of_the_connection,
    s8_2_2_te,
    s8_2_3_cookies_in_crumbs,
);

/// Requests with this field are malformed, each in itself.
fn are_malformed<'a>(server: &Server, fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) {
    let mut connection = server.open();
    for (name, value) in fields {
        let stream = connection.request(&Fields::hello().with(name, value), &hello("Joe", 0));
        connection.is_reset(stream, &[code::PROTOCOL_ERROR]);
    }
}

fn s8_2_1_upper_case_names(server: &mut Server) {
    are_malformed(server, [(&b"X-Upper"[..], &b"1"[..]), (b"x-uppeR", b"1"), (b"TE", b"trailers")]);
}

fn s8_2_1_names_with_forbidden_octets(server: &mut Server) {
    let names = (0..=0x20).chain(0x7f..=0xff).map(|octet| [b'x', octet]).chain([*b"x:", *b"xA", *b"xZ"]).collect::<Vec<_>>();
    are_malformed(server, names.iter().map(|name| (&name[..], &b"1"[..])));
}

fn s8_2_1_an_empty_name(server: &mut Server) {
    are_malformed(server, [(&b""[..], &b"1"[..]), (b"", b"")]);
}

fn s8_2_1_values_with_forbidden_octets(server: &mut Server) {
    are_malformed(server, [&b"a\0b"[..], b"a\rb", b"a\nb", b"a\r\nb", b"\0", b"a\n"].map(|value| (&b"x-bad"[..], value)));
}

fn s8_2_1_white_space_around_values(server: &mut Server) {
    are_malformed(server, [&b" a"[..], b"\ta", b"a ", b"a\t", b" ", b"\t"].map(|value| (&b"x-bad"[..], value)));
}

fn s8_2_1_values_that_are_allowed(server: &mut Server) {
    let mut connection = server.open();
    for value in [&b""[..], b"a b", b"a\tb", b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", b"na\xc3\xafve"] {
        let stream = connection.request(&Fields::hello().with("x-good", value).with("!#$%&'*+-.^_`|~09az", value), &hello("Joe", 0));
        connection.is_greeted(stream, "Joe");
    }
}

fn s8_2_1_in_trailers(server: &mut Server) {
    let mut connection = server.open();
    for (name, value) in [("X-Upper", "1"), ("x-bad", "a\0"), ("connection", "close"), (":path", "/")] {
        let stream = connection.begin(&Fields::hello());
        connection.send([data(stream, hello("Joe", 60_000)), headers(stream, Block::new().literal(name, value)).end()]);
        connection.is_reset(stream, &[code::PROTOCOL_ERROR]);
    }
}

fn s8_2_2_fields_of_the_connection(server: &mut Server) {
    let fields = [
        ("connection", "keep-alive"),
        ("connection", "x-good"),
        ("proxy-connection", "keep-alive"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
    ];
    are_malformed(server, fields.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
}

fn s8_2_2_te(server: &mut Server) {
    let mut connection = server.open();
    for value in ["gzip", "trailers, deflate;q=0.5", "trailers;q=1", ""] {
        let stream = connection.request(&Fields::hello().set("te", value), &hello("Joe", 0));
        connection.is_reset(stream, &[code::PROTOCOL_ERROR]);
    }
}

fn s8_2_3_cookies_in_crumbs(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.request(&Fields::hello().with("cookie", "a=1").with("cookie", "b=2"), &hello("Joe", 0));
    connection.is_greeted(stream, "Joe");
}
