//! The endpoint: what it answers, to whom, and what it costs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::support::{connect, loopswap, output, until_closed};

use super::scrape::{Metrics, ask, get, scrape, serve_measured};

#[test]
fn answers_what_it_is_asked() {
    let (_server, addr) = serve_measured("tokio", "native", &[]);
    assert_eq!((get(addr, "/healthz").status, get(addr, "/healthz").body.as_str()), (200, "alive\n"));
    assert_eq!(get(addr, "/readyz").body, "serving\n");
    assert_eq!(get(addr, "/metrics?name[]=x").status, 200);
    assert_eq!(get(addr, "/").status, 404);
    for (request, status) in [
        ("POST /metrics HTTP/1.1\r\n\r\n", 405),
        ("GET /metrics HTTP/1.0\r\n\r\n", 200),
        ("GET /metrics HTTP/2.0\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        ("\r\n\r\n", 400),
    ] {
        assert_eq!(ask(addr, request.as_bytes()).status, status, "{request:?}");
    }
    assert_eq!(ask(addr, b"POST /metrics HTTP/1.1\r\n\r\n").fields["allow"], "GET, HEAD");
    let head = ask(addr, b"HEAD /healthz HTTP/1.1\r\n\r\n");
    assert_eq!((head.status, head.fields["content-length"].as_str(), head.body.as_str()), (200, "6", ""));
}

#[test]
fn who_asks_for_openmetrics_gets_it() {
    let (_server, addr) = serve_measured("tokio", "native", &[]);
    let answer = ask(addr, b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n\r\n");
    assert_eq!(answer.fields["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = answer.body.strip_suffix("# EOF\n").expect("it ends so");
    assert!(text.contains("# TYPE grpc_server_started counter\n") && text.contains("\ngrpc_server_started_total{"), "{text}");
}

/// A head in pieces is one head.
#[test]
fn a_request_may_come_in_pieces() {
    let (_server, addr) = serve_measured("tokio", "native", &[]);
    let mut socket = connect(addr);
    for piece in ["GET /hea", "lthz HTTP/1.1\r", "\n\r", "\n"] {
        socket.write_all(piece.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(until_closed(&mut socket).0.starts_with(b"HTTP/1.1 200 OK\r\n"));
}

#[test]
fn a_head_without_an_end_is_refused() {
    let (_server, addr) = serve_measured("tokio", "native", &[]);
    let answer = ask(addr, [b"GET / HTTP/1.1\r\nx: ".as_slice(), &[b'y'; 9000]].concat().as_slice());
    assert_eq!(answer.status, 431);
}

/// Sixteen that say nothing hold it up for 5 s, at most, and no memory and no descriptor longer.
#[test]
fn clients_that_trickle_are_cut() {
    let (server, addr) = serve_measured("tokio", "native", &[]);
    scrape(addr);
    let n_fds = server.n_fds();
    let start = Instant::now();
    let slow: Vec<TcpStream> = (0..100).map(|_| connect(addr)).collect();
    // The client above may have been counted.
    crate::support::eventually("sixteen are taken", || (server.n_fds() >= n_fds + 15).then_some(()));
    // Bytes do not prolong it.
    let mut first = &slow[0];
    let closed = loop {
        if first.write_all(b"x").is_err() {
            break start.elapsed();
        }
        assert!(server.n_fds() <= n_fds + 16, "no more than sixteen at a time");
        assert!(start.elapsed() < Duration::from_secs(20), "it is never closed");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(closed >= Duration::from_secs(4), "they have 5 s: {closed:?}");
    drop(slow);
    scrape(addr);
    server.wait_for_fds(n_fds);
}

/// A client that asks and takes nothing gives its place back, too.
#[test]
fn clients_that_do_not_read_are_cut() {
    let (server, addr) = serve_measured("tokio", "native", &[]);
    scrape(addr);
    let n_fds = server.n_fds();
    let mut deaf = connect(addr);
    deaf.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let start = Instant::now();
    server.wait_for_fds(n_fds);
    assert!(start.elapsed() < Duration::from_secs(20));
    let mut text = String::new();
    deaf.read_to_string(&mut text).expect("what was sent is there");
    let (_, body) = text.split_once("\r\n\r\n").expect("an answer");
    Metrics::parse(body);
}

#[test]
fn bad_addresses_are_named() {
    for addr in ["nonsense", "127.0.0.1", "localhost:9464", "127.0.0.1:99999"] {
        let ended = output(loopswap().args(["--runtime", "tokio", "--addr", "127.0.0.1:0", "--metrics", addr]));
        assert_eq!(ended.status.code(), Some(2), "{addr}: {}", ended.stderr);
        assert!(ended.stderr.contains(addr) && ended.stderr.contains("IP:PORT"), "{addr}: {}", ended.stderr);
        assert!(!ended.stdout.contains("listening"), "{addr}");
    }
}

#[test]
fn a_port_in_use_is_told_before_anything_is_served() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let ended = output(loopswap().args(["--runtime", "tokio", "--addr", "127.0.0.1:0", "--metrics", &addr]));
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("metrics") && ended.stderr.contains(&addr) && ended.stderr.contains("in use"), "{}", ended.stderr);
    assert!(!ended.stdout.contains("listening"), "{}", ended.stdout);
}

#[test]
fn json_says_where_it_is() {
    let (server, addr) = serve_measured("tokio", "native", &["--json"]);
    let line = server.stdout().wait_for("listening").unwrap();
    let announced: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(announced["metrics"], addr.to_string());
}
