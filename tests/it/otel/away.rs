//! A collector that is away, or takes exports and never answers: no call is the worse for it, what waits has a bound, and what is dropped is counted.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::collector::Collector;
use super::serve_exporting;
use crate::observe::scrape;
use crate::raw::Connection;
use crate::support::eventually;

crate::on_every_loop_and_engine!(nobody_is_there, nobody_answers);

const N: usize = 300;
const QUEUE: usize = 20;
const FEW: [&str; 4] = ["--otlp-queue", "20", "--otlp-delay", "10ms"];

/// A port where nobody listens.
fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn nobody_is_there(runtime: &str, engine: &str) {
    let (mut server, metrics) = serve_exporting(runtime, engine, nowhere(), &FEW);
    let mut connection = Connection::open(server.addr(), &[]);
    (0..N).for_each(|_| connection.greets());
    // Those that wait fill the queue, those that are tried again are a batch, which is as large.
    let found = scrape(metrics);
    let (waiting, dropped) =
        (found.sum("loopswap_spans_waiting", &[]), found.sum("loopswap_spans_dropped_total", &[("reason", "queue_full")]));
    assert!(waiting <= QUEUE as f64, "{waiting}");
    let in_hand = N as f64 - waiting - dropped;
    assert!((0.0..=QUEUE as f64).contains(&in_hand), "{waiting} wait, {dropped} were dropped");
    assert_eq!(found.sum("loopswap_spans_exported_total", &[]), 0.0);
    drop(connection);
    let start = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(20), "the end waits for nobody: {:?}", start.elapsed());
    let log = server.stderr_at_the_end();
    assert_eq!(log.matches("spans are not exported to").count(), 1, "it is said, once: {log}");
    assert!(log.contains("undelivered"), "{log}");
}

fn nobody_answers(runtime: &str, engine: &str) {
    let collector = Collector::stuck(runtime);
    let (mut server, metrics) = serve_exporting(runtime, engine, collector.addr(), &FEW);
    let mut connection = Connection::open(server.addr(), &[]);
    connection.greets();
    eventually("an export is under way", || (collector.n_exports() > 0).then_some(()));
    (0..N).for_each(|_| connection.greets());
    let found = scrape(metrics);
    assert_eq!(found.sum("loopswap_spans_waiting", &[]), QUEUE as f64);
    assert_eq!(found.sum("loopswap_spans_dropped_total", &[("reason", "queue_full")]), (N - QUEUE) as f64);
    drop(connection);
    let start = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let took = start.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(20)).contains(&took), "it waits for 3 s, and no longer: {took:?}");
    let log = server.stderr_at_the_end();
    assert!(log.contains("undelivered") && log.contains(&format!("n={}", QUEUE + 1)), "{log}");
}
