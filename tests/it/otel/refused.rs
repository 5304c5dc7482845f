//! A collector that refuses: what it may have later is tried again, what it will not have is dropped and counted (OTLP's table of codes is a unit test's).

use std::time::Duration;

use loopswap::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::collector::{Collector, ExportTracePartialSuccess, ExportTraceServiceResponse};
use super::serve_exporting;
use crate::observe::scrape;
use crate::raw::Connection;
use crate::support::eventually;

crate::on_every_loop_and_engine!(what_may_be_tried_again_is, what_is_refused_for_good_is_not, what_is_refused_in_part_is_not);

const SOON: [&str; 2] = ["--otlp-delay", "20ms"];

fn later(code: Code) -> Status {
    Status::with_error_details(code, "not now", ErrorDetails::with_retry_info(Some(Duration::from_millis(30))))
}

fn what_may_be_tried_again_is(runtime: &str, engine: &str) {
    let answers = [Err(later(Code::Unavailable)), Err(later(Code::ResourceExhausted)), Err(later(Code::Unavailable))];
    let collector = Collector::answering(runtime, answers);
    let (server, metrics) = serve_exporting(runtime, engine, collector.addr(), &SOON);
    Connection::open(server.addr(), &[]).greets();
    collector.wait_for(1);
    server.stderr().wait_for("again").expect("that it is back is said, as that it was away");
    assert_eq!((collector.spans().len(), collector.n_exports()), (1, 4));
    assert_eq!(server.stderr().so_far().matches("spans are not exported to").count(), 1, "it is said once");
    let found = scrape(metrics);
    assert_eq!((found.sum("loopswap_spans_exported_total", &[]), found.sum("loopswap_spans_dropped_total", &[])), (1.0, 0.0));
}

fn what_is_refused_for_good_is_not(runtime: &str, engine: &str) {
    for code in [Code::InvalidArgument, Code::Unimplemented, Code::ResourceExhausted] {
        let collector = Collector::answering(runtime, [Err(Status::new(code, "no such thing"))]);
        let (server, metrics) = serve_exporting(runtime, engine, collector.addr(), &SOON);
        let refused = |n: f64| scrape(metrics).sum("loopswap_spans_dropped_total", &[("reason", "refused")]) == n;
        Connection::open(server.addr(), &[]).greets();
        eventually("it is counted", || refused(1.0).then_some(()));
        let line = server.stderr().wait_for("spans are not exported to").expect("it is said");
        assert!(line.contains("no such thing"), "{line}");
        // The next one is as good as any.
        Connection::open(server.addr(), &[]).greets();
        collector.wait_for(1);
        assert_eq!((collector.spans().len(), collector.n_exports()), (1, 2), "{code:?}");
    }
}

fn what_is_refused_in_part_is_not(runtime: &str, engine: &str) {
    let partial = ExportTracePartialSuccess { rejected_spans: 1, error_message: "too old".into() };
    let collector = Collector::answering(runtime, [Ok(ExportTraceServiceResponse { partial_success: Some(partial) })]);
    let (server, metrics) = serve_exporting(runtime, engine, collector.addr(), &SOON);
    Connection::open(server.addr(), &[]).greets();
    let line = server.stderr().wait_for("spans are not exported to").expect("it is said");
    assert!(line.contains("1 of 1: too old"), "{line}");
    Connection::open(server.addr(), &[]).greets();
    let count = |name: &str| scrape(metrics).sum(name, &[]);
    eventually("the next is exported", || (count("loopswap_spans_exported_total") == 1.0).then_some(()));
    assert_eq!((count("loopswap_spans_dropped_total"), collector.n_exports()), (1.0, 2));
}
