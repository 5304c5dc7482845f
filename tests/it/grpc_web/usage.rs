//! Flags that are no good, and TLS: which HTTP is offered by ALPN.

use super::ORIGIN;
use super::page::Page;
use crate::support::{block_on, hello, loopswap, output, serve};
use crate::tls::client::{Wants, config, open};
use crate::tls::pki::Pki;
use crate::tls::{greeter, serve_tls, trusting};

crate::on_every_loop!(over_tls, without_it_nothing_is_spoken);

fn refused(args: &[&str]) -> String {
    let ended = output(loopswap().args([&["serve", "--runtime", "tokio", "--addr", "127.0.0.1:0"], args].concat()));
    assert_eq!(ended.status.code(), Some(2), "{args:?}: {}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    ended.stderr
}

#[test]
fn the_native_engine_is_refused() {
    let told = refused(&["--grpc-web"]);
    assert!(told.contains("engine native") && told.contains("--http2") && told.contains("hyper"), "{told}");
}

#[test]
fn origins_that_are_none() {
    for origin in ["app.example.com", "https://app.example.com/", "https://App.example.com", "https://app.example.com:443", "", "*,null"] {
        let told = refused(&["--http2", "hyper", "--grpc-web", "--grpc-web-origin", origin]);
        assert!(told.contains("the origin `"), "{origin}: {told}");
    }
}

#[test]
fn origins_without_grpc_web() {
    let told = refused(&["--grpc-web-origin", ORIGIN]);
    assert!(told.contains(ORIGIN) && told.contains("give --grpc-web too"), "{told}");
}

/// What clients of HTTP/1.1 offer by ALPN, and what nobody here speaks.
static SPOKEN: [&[&[u8]]; 2] = [&[b"http/1.1"], &[b"http/1.1", b"spdy/3"]];
static NOT_SPOKEN: [&[&[u8]]; 2] = [&[], &[b"spdy/3"]];

fn over_tls(runtime: &str) {
    let pki = Pki::new("CA");
    let server = serve_tls(runtime, "hyper", &pki.server(), &["--grpc-web"]);
    for alpn in SPOKEN {
        let mut page = Page::over(open(server.addr(), config(&pki, None, &Wants { alpn, ..Wants::default() })).expect("TLS is agreed"));
        page.greets();
        page.greets();
    }
    // HTTP/2 is what the server likes better, whatever the client's order.
    let both = Wants { alpn: &[b"http/1.1", b"h2"], ..Wants::default() };
    let tls = open(server.addr(), config(&pki, None, &both)).expect("TLS is agreed");
    assert_eq!(tls.conn.alpn_protocol(), Some(&b"h2"[..]));
    drop(tls);
    for alpn in NOT_SPOKEN {
        let error = open(server.addr(), config(&pki, None, &Wants { alpn, ..Wants::default() })).expect_err("it is refused");
        assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    }
    block_on(async { assert!(hello(&mut greeter(server.addr(), trusting(&pki)).await, "Joe", 0).await.is_ok()) });
}

/// A server of gRPC alone, which the engine hyper is by default.
fn without_it_nothing_is_spoken(runtime: &str) {
    let server = serve(runtime, &["--http2", "hyper"]);
    let mut page = Page::open(server.addr());
    page.send_head("POST", super::page::SAY_HELLO, super::page::BYTES);
    // hyper says in HTTP/2 what it thinks of it.
    let mut socket = page.into_socket();
    let (said, _) = crate::support::until_closed(&mut socket);
    assert!(!said.starts_with(b"HTTP/1.1"), "{said:?}");
}
