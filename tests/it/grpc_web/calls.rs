//! Every kind of call that a page can make, in both forms.

use std::time::Duration;

use super::page::{BYTES, Page, SAY_HELLO, TEXT, TICK, Told, from_text, request, text};
use super::{host_ticks, serve_web};
use crate::raw::{Connection, Fields};
use crate::support::{block_on, client, eventually, hello};

crate::on_every_loop!(
    unary_in_both_forms,
    a_body_in_any_pieces,
    a_stream_in_both_forms,
    a_stream_comes_as_it_is_made_and_ends_with_its_page,
    errors_in_the_head_and_behind_messages,
    metadata_both_ways,
    a_deadline,
    over_http2,
    services_of_tonics,
    beside_grpcs_own_clients,
);

fn ok() -> Vec<(String, String)> {
    vec![("grpc-status".into(), "0".into())]
}

fn greeting(name: &str) -> Told {
    Told { messages: vec![format!("Hello, {name}!")], trailers: ok() }
}

fn unary_in_both_forms(runtime: &str) {
    let server = serve_web(runtime, &[]);
    let mut page = Page::open(server.addr());
    // What the request is, what is accepted, and what the answer is.
    let cases = [
        ("application/grpc-web", None, "application/grpc-web"),
        ("application/grpc-web+proto", None, "application/grpc-web"),
        ("application/grpc-web+proto", Some("*/*"), "application/grpc-web"),
        ("application/grpc-web;charset=utf-8", None, "application/grpc-web"),
        ("Application/gRPC-Web", None, "application/grpc-web"),
        ("application/grpc-web", Some("application/grpc-web-text"), "application/grpc-web-text"),
        ("application/grpc-web-text", None, "application/grpc-web-text"),
        ("application/grpc-web-text+proto", Some("application/grpc-web-text+proto"), "application/grpc-web-text"),
        ("application/grpc-web-text", Some("application/grpc-web+proto"), "application/grpc-web"),
    ];
    for (n, (content_type, accept, answered)) in cases.into_iter().enumerate() {
        let name = format!("page {n}");
        let body = request(&name, 0);
        let body = if content_type.contains("text") { text(&body) } else { body };
        let fields: Vec<_> = [("content-type", content_type)].into_iter().chain(accept.map(|accept| ("accept", accept))).collect();
        let answer = page.call(SAY_HELLO, &fields, &body);
        assert_eq!(answer.head.get("content-type"), Some(answered), "{content_type}, {accept:?}");
        assert_eq!(answer.told(), greeting(&name), "{content_type}, {accept:?}");
    }
}

fn a_body_in_any_pieces(runtime: &str) {
    let server = serve_web(runtime, &[]);
    let mut page = Page::open(server.addr());
    let texts = [text(&request("Joe", 0)[..5]), text(&request("Joe", 0)[5..])].concat();
    for (fields, body) in [(BYTES, request("Joe", 0)), (TEXT, texts)] {
        page.send_head("POST", SAY_HELLO, &[fields, &[("transfer-encoding", "chunked")]].concat());
        for byte in body.chunks(1) {
            page.send_bytes(&[b"1\r\n", byte, b"\r\n"].concat());
        }
        page.send_bytes(b"0\r\n\r\n");
        assert_eq!(page.answer().told(), greeting("Joe"));
    }
    // And the head of the next.
    let rest = format!("POST {SAY_HELLO} HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web\r\ncontent-length: 10\r\n\r\n");
    for byte in [rest.as_bytes(), &request("Joe", 0)].concat().chunks(1) {
        page.send_bytes(byte);
    }
    assert_eq!(page.answer().told(), greeting("Joe"));
}

fn a_stream_in_both_forms(runtime: &str) {
    let (server, _) = host_ticks(runtime);
    let mut page = Page::open(server.local_addr().as_tcp().unwrap());
    for n in [0, 1, 3000] {
        let expected = Told { messages: (0..n).map(|n| n.to_string()).collect(), trailers: ok() };
        assert_eq!(page.call(TICK, BYTES, &request("", n)).told(), expected);
        assert_eq!(page.call(TICK, TEXT, &text(&request("", n))).told(), expected);
    }
}

fn a_stream_comes_as_it_is_made_and_ends_with_its_page(runtime: &str) {
    let (server, running) = host_ticks(runtime);
    for (fields, is_text) in [(BYTES, false), (TEXT, true)] {
        let mut page = Page::open(server.local_addr().as_tcp().unwrap());
        let body = request("waits", 1);
        page.post(TICK, fields, &if is_text { text(&body) } else { body });
        assert_eq!(page.head().status, 200);
        let chunk = page.chunk().expect("a message");
        let message = if is_text { from_text(&chunk) } else { chunk };
        assert_eq!(message, [0, 0, 0, 0, 3, 0x0a, 1, b'0'], "the first reply, and no end");
        assert_eq!(running.n(), 1);
        drop(page);
        eventually("the handler is dropped", || (running.n() == 0).then_some(()));
    }
}

fn errors_in_the_head_and_behind_messages(runtime: &str) {
    let (server, _) = host_ticks(runtime);
    let mut page = Page::open(server.local_addr().as_tcp().unwrap());
    for (fields, is_text) in [(BYTES, false), (TEXT, true)] {
        let form = |bytes: Vec<u8>| if is_text { text(&bytes) } else { bytes };
        let told = page.call(TICK, fields, &form(request("fails", 2))).told();
        let trailers: Vec<_> =
            [("grpc-status", "15"), ("grpc-message", "verloren:%20ein%20St%C3%BCck")].map(|(a, b)| (a.into(), b.into())).into();
        assert_eq!(told, Told { messages: vec!["0".into(), "1".into()], trailers });
        let answer = page.call("/test.Ticks/Ask", fields, &form(request("", 0)));
        assert_eq!((answer.refused(), answer.head.get("grpc-message")), ("3", Some("no%20x-asked")));
        let form = if is_text { "application/grpc-web-text" } else { "application/grpc-web" };
        assert_eq!(answer.head.get("content-type"), Some(form));
        assert_eq!(page.call("/test.Ticks/None", fields, b"").refused(), "12");
    }
}

fn metadata_both_ways(runtime: &str) {
    let (server, _) = host_ticks(runtime);
    let mut page = Page::open(server.local_addr().as_tcp().unwrap());
    let fields = [BYTES, &[("x-asked", "a: b"), ("origin", super::ORIGIN)]].concat();
    let answer = page.call("/test.Ticks/Ask", &fields, &request("", 0));
    assert_eq!(answer.head.get("x-head"), Some("a: b"));
    assert!(answer.head.get("access-control-expose-headers").is_some_and(|names| names.contains("x-head")), "{answer:?}");
    let trailers: Vec<_> = [("x-trailer", "a: b"), ("grpc-status", "0")].map(|(a, b)| (a.into(), b.into())).into();
    assert_eq!(answer.told().trailers, trailers);
}

fn a_deadline(runtime: &str) {
    let (server, running) = host_ticks(runtime);
    let mut page = Page::open(server.local_addr().as_tcp().unwrap());
    let fields = [BYTES, &[("grpc-timeout", "100m")]].concat();
    let told = page.call(TICK, &fields, &request("waits", 1)).told();
    assert_eq!((&told.messages[..], &told.trailers[0].1[..]), (&["0".to_owned()][..], "4"));
    assert_eq!(running.n(), 0);
    page.call(TICK, BYTES, &request("", 1)).told();
}

fn over_http2(runtime: &str) {
    let server = serve_web(runtime, &[]);
    let mut connection = Connection::open(server.addr(), &[]);
    for (content_type, body) in [("application/grpc-web", request("Joe", 0)), ("application/grpc-web-text", text(&request("Joe", 0)))] {
        // No `te`: browsers do not send it.
        let fields = Fields::hello().set("content-type", content_type).without("te").with("origin", super::ORIGIN);
        let stream = connection.request(&fields, &body);
        let response = connection.response(stream);
        assert_eq!(response.blocks.len(), 1, "no trailers, which a page cannot see: {response:?}");
        let head = &response.blocks[0];
        assert!(head.iter().any(|(name, value)| name == "content-type" && value == content_type), "{head:?}");
        assert!(head.iter().any(|(name, value)| name == "access-control-allow-origin" && value == super::ORIGIN), "{head:?}");
        let body = if content_type.ends_with("text") { from_text(&response.body) } else { response.body.clone() };
        assert!(body.ends_with(b"\x80\0\0\0\x0fgrpc-status:0\r\n"), "{body:?}");
    }
    connection.greets();
}

fn services_of_tonics(runtime: &str) {
    let (server, _) = host_ticks(runtime);
    let mut page = Page::open(server.local_addr().as_tcp().unwrap());
    page.greets();
    let told = page.call(SAY_HELLO, TEXT, &text(&request("Joe", 1))).told();
    assert_eq!(told, greeting("Joe"));
}

fn beside_grpcs_own_clients(runtime: &str) {
    let server = serve_web(runtime, &[]);
    let mut page = Page::open(server.addr());
    block_on(async {
        let mut client = client(server.addr()).await;
        for _ in 0..10 {
            page.greets();
            assert!(hello(&mut client, "Joe", 1).await.is_ok());
        }
        // An idle connection of each stays.
        ::tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(hello(&mut client, "Joe", 1).await.is_ok());
    });
    page.greets();
}
