//! What pages get wrong, and others: each is told, and costs nobody else anything.

use std::io::{Read as _, Write as _};

use super::page::{BYTES, Page, SAY_HELLO, TEXT, request, text};
use super::serve_web;
use crate::raw::{announced, prefixed};
use crate::support::{Served, connect, until_closed};

crate::on_every_loop!(
    no_base64,
    messages_that_are_no_good,
    messages_larger_than_the_limit,
    what_is_no_grpc_web,
    grpc_over_http1,
    heads_larger_than_the_limit,
    no_http_at_all,
    a_body_that_breaks_off,
);

fn others_are_served(server: &Served) {
    Page::open(server.addr()).greets();
}

fn no_base64(runtime: &str) {
    let server = serve_web(runtime, &[]);
    let good = text(&request("Joe", 0));
    let cases = [b"!!!!".to_vec(), good[..good.len() - 1].to_vec(), [&good[..], b"A"].concat(), [&good[..4], b"\n", &good[4..]].concat()];
    for body in cases {
        let mut page = Page::open(server.addr());
        let answer = page.call(SAY_HELLO, TEXT, &body);
        assert_eq!(answer.refused(), "13", "{answer:?}");
        assert!(answer.head.get("grpc-message").is_some_and(|message| message.contains("base64")), "{answer:?}");
        page.greets();
    }
}

fn messages_that_are_no_good(runtime: &str) {
    let server = serve_web(runtime, &[]);
    let mut page = Page::open(server.addr());
    let good = request("Joe", 0);
    // None, two, half a one, bytes that are no protobuf, a frame of trailers, which requests do not have.
    let cases = [
        (vec![], "12"),
        ([good.clone(), good.clone()].concat(), "12"),
        (good[..good.len() - 1].to_vec(), "13"),
        (prefixed(0, b"\xff\xff"), "13"),
        (prefixed(0x80, b"x: y\r\n"), "13"),
        ([good, prefixed(0x80, b"x: y\r\n")].concat(), "12"),
    ];
    for (body, status) in cases {
        assert_eq!(page.call(SAY_HELLO, BYTES, &body).refused(), status, "{body:?}");
        assert_eq!(page.call(SAY_HELLO, TEXT, &text(&body)).refused(), status, "{body:?}");
    }
    page.greets();
}

fn messages_larger_than_the_limit(runtime: &str) {
    let server = serve_web(runtime, &["--max-message-size", "64KiB"]);
    for (fields, is_text) in [(BYTES, false), (TEXT, true)] {
        let form = |bytes: Vec<u8>| if is_text { text(&bytes) } else { bytes };
        let mut page = Page::open(server.addr());
        let name = "x".repeat(60 << 10);
        assert_eq!(page.call(SAY_HELLO, fields, &form(request(&name, 0))).told().messages.len(), 1, "as large as may be");
        // The prefix says it, and no more comes.
        page.send_head("POST", SAY_HELLO, &[fields, &[("content-length", "5000000")]].concat());
        page.send_bytes(&form(announced(0, 65_537, b"x")));
        let answer = page.answer();
        assert_eq!(answer.refused(), "8", "{answer:?}");
        drop(page);
        others_are_served(&server);
    }
}

fn what_is_no_grpc_web(runtime: &str) {
    let server = serve_web(runtime, &[]);
    let mut page = Page::open(server.addr());
    for content_type in ["application/json", "application/grpc-webx", "application/grpc-web-text-base64", "text/plain", ""] {
        let answer = page.call(SAY_HELLO, &[("content-type", content_type)], &request("Joe", 0));
        assert_eq!((answer.head.status, answer.body.len()), (415, 0), "{content_type}: {answer:?}");
    }
    assert_eq!(page.call(SAY_HELLO, &[("content-type", "application/grpc-web+json")], b"{}").head.status, 415);
    for method in ["GET", "PUT", "OPTIONS", "BREW"] {
        page.send_head(method, SAY_HELLO, BYTES);
        let answer = page.answer();
        assert_eq!((answer.head.status, answer.head.get("allow")), (405, Some("POST")), "{method}: {answer:?}");
    }
    page.greets();
}

fn grpc_over_http1(runtime: &str) {
    let server = serve_web(runtime, &[]);
    let mut page = Page::open(server.addr());
    for content_type in ["application/grpc", "application/grpc+proto"] {
        let answer = page.call(SAY_HELLO, &[("content-type", content_type), ("te", "trailers")], &request("Joe", 0));
        assert_eq!(answer.head.status, 415, "{answer:?}");
        assert!(answer.text().contains("HTTP/2") && answer.text().contains("application/grpc-web"), "{answer:?}");
    }
    page.greets();
}

fn heads_larger_than_the_limit(runtime: &str) {
    let server = serve_web(runtime, &["--max-header-list-size", "8KiB"]);
    let long = "x".repeat(8 << 10);
    let names: Vec<_> = (0..101).map(|n| format!("x-{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    for fields in [&[("x-long", long.as_str())][..], &many] {
        let mut page = Page::open(server.addr());
        page.send_head("POST", SAY_HELLO, &[BYTES, fields].concat());
        assert_eq!(page.answer().head.status, 431);
        assert!(page.is_closed());
    }
    let mut page = Page::open(server.addr());
    page.call(SAY_HELLO, &[BYTES, &many[..90]].concat(), &request("Joe", 0)).told();
}

fn no_http_at_all(runtime: &str) {
    let server = serve_web(runtime, &["--handshake-timeout", "2s"]);
    let tls_hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 200]].concat();
    for bytes in [tls_hello, vec![0; 4096], vec![0xff; 100_000], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\x0b".to_vec(), b"PRI".to_vec()] {
        let mut socket = connect(server.addr());
        // The server may close before it has read all.
        let _ = socket.write_all(&bytes);
        let (said, _) = until_closed(&mut socket);
        assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 4"), "{:?}", String::from_utf8_lossy(&said));
    }
    others_are_served(&server);
}

/// Half a request, and FIN: nobody is answered, nothing is left.
fn a_body_that_breaks_off(runtime: &str) {
    let server = serve_web(runtime, &[]);
    let mut page = Page::open(server.addr());
    page.send_head("POST", SAY_HELLO, &[BYTES, &[("content-length", "100")]].concat());
    page.send_bytes(&request("Joe", 0));
    let mut socket = page.into_socket();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut said = Vec::new();
    let _ = socket.read_to_end(&mut said);
    assert!(said.is_empty() || !said.windows(5).any(|window| window == b"Hello"), "{:?}", String::from_utf8_lossy(&said));
    others_are_served(&server);
}
