//! How long connections of HTTP/1.1 live: times, drains, calls that are refused or cut.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::page::{BYTES, Page, SAY_HELLO, request};
use super::serve_web;
use crate::support::{Served, connect, eventually, until_closed};

crate::on_every_loop!(
    a_slow_head_is_closed_by_the_handshakes_deadline,
    an_idle_connection_is_closed,
    a_slow_second_head_is_idle,
    a_drain_lets_the_call_end_and_closes,
    a_drain_closes_what_is_idle,
    a_request_that_has_come_is_served_by_a_drain,
    the_drain_timeout_cuts,
    an_old_connection_is_closed_behind_its_call,
    a_worker_that_has_enough_refuses,
);

const DEADLINE: Duration = Duration::from_secs(2);

/// The server ends, and its log has this.
fn ends_with(mut server: Served, text: &str) {
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let log = server.stderr_at_the_end();
    assert!(log.contains(text), "`{text}`: {log}");
}

fn a_slow_head_is_closed_by_the_handshakes_deadline(runtime: &str) {
    let server = serve_web(runtime, &["--handshake-timeout", "2s"]);
    // Much at once, and nothing more; and a byte now and then.
    let head = format!("POST {SAY_HELLO} HTTP/1.1\r\nhost: grpc.example.com\r\nx-long: {}", "x".repeat(1000));
    let opened = Instant::now();
    let mut silent = connect(server.addr());
    silent.write_all(head.as_bytes()).unwrap();
    let mut slow = connect(server.addr());
    let mut writer = slow.try_clone().unwrap();
    let trickle = thread::spawn(move || {
        for byte in head.as_bytes().chunks(1) {
            if writer.write_all(byte).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    for socket in [&mut silent, &mut slow] {
        until_closed(socket);
        assert!(opened.elapsed() >= DEADLINE, "closed after {:?}", opened.elapsed());
        assert!(opened.elapsed() < DEADLINE * 4, "each byte put the deadline off");
    }
    trickle.join().unwrap();
    ends_with(server, "handshake_timeout");
}

fn an_idle_connection_is_closed(runtime: &str) {
    let server = serve_web(runtime, &["--max-connection-idle", "500ms"]);
    let mut page = Page::open(server.addr());
    page.greets();
    thread::sleep(Duration::from_millis(100));
    page.greets();
    let answered = Instant::now();
    assert!(page.is_closed());
    assert!(answered.elapsed() >= Duration::from_millis(400), "closed after {:?}", answered.elapsed());
    ends_with(server, "max_idle");
}

fn a_slow_second_head_is_idle(runtime: &str) {
    let server = serve_web(runtime, &["--max-connection-idle", "1s"]);
    let mut page = Page::open(server.addr());
    page.greets();
    page.send_bytes(format!("POST {SAY_HELLO} HTTP/1.1\r\n").as_bytes());
    let mut socket = page.into_socket();
    until_closed(&mut socket);
    ends_with(server, "max_idle");
}

/// A page whose call lasts so long, in ms, and has begun.
fn calling(server: &Served, ms: i32) -> Page {
    let mut page = Page::open(server.addr());
    page.greets();
    page.post(SAY_HELLO, BYTES, &request("Joe", ms));
    // What is served on another connection later was read later.
    for _ in 0..2 {
        Page::open(server.addr()).greets();
    }
    page
}

fn a_drain_lets_the_call_end_and_closes(runtime: &str) {
    let mut server = serve_web(runtime, &[]);
    let mut page = calling(&server, 500);
    server.signal(Signal::TERM);
    let answer = page.answer();
    assert_eq!(answer.told().messages, ["Hello, Joe!"]);
    assert_eq!(answer.head.get("connection"), Some("close"), "{answer:?}");
    assert!(page.is_closed());
    assert_eq!(server.wait().code(), Some(0));
}

fn a_drain_closes_what_is_idle(runtime: &str) {
    let mut server = serve_web(runtime, &[]);
    let mut idle = Page::open(server.addr());
    idle.greets();
    // One that has said nothing, and one that has said half a preface.
    let mut silent = connect(server.addr());
    let mut half = connect(server.addr());
    half.write_all(b"PRI * HT").unwrap();
    Page::open(server.addr()).greets();
    let told = Instant::now();
    server.signal(Signal::TERM);
    assert!(idle.is_closed());
    for socket in [&mut silent, &mut half] {
        assert!(until_closed(socket).0.is_empty());
    }
    assert_eq!(server.wait().code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(20), "the drain's own time is 25 s");
}

/// The worker is held while the request and the signal come, so that it sees both at once.
fn a_request_that_has_come_is_served_by_a_drain(runtime: &str) {
    let mut server = serve_web(runtime, &[]);
    let mut page = Page::open(server.addr());
    page.greets();
    let mut fresh = Page::open(server.addr());
    server.signal(Signal::STOP);
    page.post(SAY_HELLO, BYTES, &request("Joe", 0));
    fresh.post(SAY_HELLO, BYTES, &request("Joe", 0));
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    for page in [&mut page, &mut fresh] {
        assert_eq!(page.answer().told().messages, ["Hello, Joe!"]);
        assert!(page.is_closed());
    }
    assert_eq!(server.wait().code(), Some(0));
}

fn the_drain_timeout_cuts(runtime: &str) {
    let mut server = serve_web(runtime, &["--drain-timeout", "300ms"]);
    let mut page = calling(&server, 60_000);
    server.signal(Signal::TERM);
    assert!(page.is_closed());
    assert_eq!(server.wait().code(), Some(1));
}

fn an_old_connection_is_closed_behind_its_call(runtime: &str) {
    let server = serve_web(runtime, &["--max-connection-age", "1s"]);
    let mut page = Page::open(server.addr());
    page.greets();
    let answer = page.call(SAY_HELLO, BYTES, &request("Joe", 2000));
    assert_eq!(answer.head.get("connection"), Some("close"), "{answer:?}");
    assert!(page.is_closed());
    ends_with(server, "max_age");
}

fn a_worker_that_has_enough_refuses(runtime: &str) {
    let server = serve_web(runtime, &["--max-concurrent-calls", "1"]);
    let mut first = Page::open(server.addr());
    first.post(SAY_HELLO, BYTES, &request("Joe", 1000));
    let mut second = Page::open(server.addr());
    eventually("the second is refused", || {
        (second.call(SAY_HELLO, BYTES, &request("Joe", 0)).head.grpc_status() == Some("8")).then_some(())
    });
    assert_eq!(first.answer().told().messages, ["Hello, Joe!"]);
    second.greets();
}
