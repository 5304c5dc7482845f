//! What spans say: of which trace, whose child, which method, how it ended, where.

use std::time::{SystemTime, UNIX_EPOCH};

use super::collector::{Collector, Span};
use super::serve_exporting;
use crate::observe::scrape;
use crate::raw::{Connection, Fields, code, hello as on_the_wire, rst_stream, status};
use crate::support::eventually;

crate::on_every_loop_and_engine!(
    belong_to_their_callers_traces,
    say_how_calls_ended,
    begin_traces_that_are_random,
    of_traces_that_are_not_recorded_there_are_none,
    a_share_of_the_roots_is_recorded,
);

/// Exported soon, because nobody shall wait.
const SOON: [&str; 2] = ["--otlp-delay", "50ms"];

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn greets(connection: &mut Connection, fields: &Fields) {
    let stream = connection.request(fields, &on_the_wire("Joe", 0));
    connection.is_greeted(stream, "Joe");
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    span.attributes.get(key).map(String::as_str)
}

fn belong_to_their_callers_traces(runtime: &str, engine: &str) {
    let collector = Collector::start(runtime);
    let (server, metrics) = serve_exporting(runtime, engine, collector.addr(), &[&SOON[..], &["--log-calls", "--json"]].concat());
    let mut connection = Connection::open(server.addr(), &[]);
    let fields =
        Fields::hello().with("traceparent", format!("00-{TRACE}-{PARENT}-01")).with("tracestate", "congo=1").with("tracestate", "rojo=2");
    greets(&mut connection, &fields);
    let span = collector.wait_for(1).remove(0);
    assert_eq!((span.trace.as_str(), span.parent.as_str(), span.state.as_str()), (TRACE, PARENT, "congo=1,rojo=2"));
    assert_eq!(span.flags, 0x301, "sampled, and its parent is elsewhere");
    assert_ne!(span.id, PARENT);
    assert_eq!((span.name.as_str(), span.is_error), ("helloworld.Greeter/SayHello", false));
    let client = connection.local_addr();
    for (key, value) in [
        ("rpc.system.name", "grpc"),
        ("rpc.method", "helloworld.Greeter/SayHello"),
        ("rpc.response.status_code", "OK"),
        ("server.address", "127.0.0.1"),
        ("server.port", &server.addr().port().to_string()),
        ("network.peer.address", "127.0.0.1"),
        ("network.peer.port", &client.port().to_string()),
        ("network.transport", "tcp"),
        ("loopswap.loop", runtime),
        ("loopswap.worker", "0"),
    ] {
        assert_eq!(attribute(&span, key), Some(value), "{key}");
    }
    assert_eq!(span.attributes.len(), 10, "{:?}", span.attributes);
    assert_eq!(span.resource["service.name"], "shop");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    assert!((now - 60_000_000_000..=now).contains(&span.began_ns), "{} and not {now}", span.began_ns);
    // The call's line in the log names the same.
    let line = server.stderr().wait_for("call ended").expect("it is logged");
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((line["span"]["trace_id"].as_str(), line["span"]["span_id"].as_str()), (Some(TRACE), Some(span.id.as_str())));
    eventually("it is counted, too", || (scrape(metrics).sum("loopswap_spans_exported_total", &[]) == 1.0).then_some(()));
}

fn say_how_calls_ended(runtime: &str, engine: &str) {
    let collector = Collector::start(runtime);
    let (server, _) = serve_exporting(runtime, engine, collector.addr(), &SOON);
    let mut connection = Connection::open(server.addr(), &[]);
    let slow = connection.hello("Joe", 30);
    connection.is_greeted(slow, "Joe");
    let refused = connection.hello("Joe", -1);
    assert_eq!(connection.response(refused).grpc(), Some(status::INVALID_ARGUMENT));
    let late = connection.request(&Fields::hello().with("grpc-timeout", "5m"), &on_the_wire("Joe", 60_000));
    assert_eq!(connection.response(late).grpc(), Some(status::DEADLINE_EXCEEDED));
    let unknown = connection.request(&Fields::hello().set(":path", format!("/no.Service/{}", "x".repeat(1000))), &on_the_wire("Joe", 0));
    assert_eq!(connection.response(unknown).grpc(), Some(status::UNIMPLEMENTED));
    let cancelled = connection.hello("Joe", 60_000);
    connection.send([rst_stream(cancelled, code::CANCEL)]);
    let spans = collector.wait_for(5);
    let said: Vec<_> = spans
        .iter()
        .map(|span| (attribute(span, "rpc.response.status_code").unwrap(), attribute(span, "error.type"), span.is_error))
        .collect();
    let expected = [
        ("OK", None, false),
        ("INVALID_ARGUMENT", None, false),
        ("DEADLINE_EXCEEDED", Some("DEADLINE_EXCEEDED"), true),
        ("UNIMPLEMENTED", Some("UNIMPLEMENTED"), true),
        ("CANCELLED", None, false),
    ];
    assert_eq!(said, expected);
    assert!(spans[0].took_ns >= 30_000_000 && spans[0].took_ns < 45_000_000_000, "{}", spans[0].took_ns);
    // What a peer has made up is no method.
    assert_eq!((spans[3].name.as_str(), attribute(&spans[3], "rpc.method")), ("grpc", Some("_OTHER")));
    assert_eq!(attribute(&spans[3], "rpc.method_original").map(str::len), Some(255), "256 bytes of the path, but for its slash");
}

fn begin_traces_that_are_random(runtime: &str, engine: &str) {
    let collector = Collector::start(runtime);
    let (server, _) = serve_exporting(runtime, engine, collector.addr(), &SOON);
    let mut connection = Connection::open(server.addr(), &[]);
    greets(&mut connection, &Fields::hello());
    // Neither of these is valid, and so there is none.
    greets(&mut connection, &Fields::hello().with("traceparent", format!("ff-{TRACE}-{PARENT}-01")).with("tracestate", "congo=1"));
    let twice = format!("00-{TRACE}-{PARENT}-01");
    greets(&mut connection, &Fields::hello().with("traceparent", &twice).with("traceparent", &twice));
    let spans = collector.wait_for(3);
    for span in &spans {
        assert_eq!((span.parent.as_str(), span.state.as_str(), span.flags), ("", "", 0x103), "{span:?}");
        assert_ne!(span.trace, TRACE);
    }
    let mut ids: Vec<_> = spans.iter().flat_map(|span| [span.trace.as_str(), span.id.as_str()]).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 6, "{ids:?}");
}

fn of_traces_that_are_not_recorded_there_are_none(runtime: &str, engine: &str) {
    let collector = Collector::start(runtime);
    let (server, metrics) = serve_exporting(runtime, engine, collector.addr(), &SOON);
    let mut connection = Connection::open(server.addr(), &[]);
    for _ in 0..20 {
        greets(&mut connection, &Fields::hello().with("traceparent", format!("00-{TRACE}-{PARENT}-00")));
    }
    greets(&mut connection, &Fields::hello().with("traceparent", format!("00-{TRACE}-{PARENT}-01")));
    collector.wait_for(1);
    let of = |name: &str| scrape(metrics).sum(name, &[]);
    eventually("it is counted", || (of("loopswap_spans_exported_total") == 1.0).then_some(()));
    assert_eq!((collector.spans().len(), of("loopswap_spans_dropped_total"), of("loopswap_spans_waiting")), (1, 0.0, 0.0));
}

/// Of roots. Traces that were begun elsewhere are recorded if they say so, whatever the share is here.
fn a_share_of_the_roots_is_recorded(runtime: &str, engine: &str) {
    let collector = Collector::start(runtime);
    for (share, n_roots) in [("0", 0..=0), ("0.5", 50..=150)] {
        let before = collector.spans().len();
        let (server, _) = serve_exporting(runtime, engine, collector.addr(), &[&SOON[..], &["--otlp-ratio", share]].concat());
        let mut connection = Connection::open(server.addr(), &[]);
        (0..200).for_each(|_| greets(&mut connection, &Fields::hello()));
        greets(&mut connection, &Fields::hello().with("traceparent", format!("00-{TRACE}-{PARENT}-01")));
        drop(connection);
        // At its end all has been exported.
        drop(server);
        let spans = collector.spans().split_off(before);
        let n = spans.iter().filter(|span| span.parent.is_empty()).count();
        assert_eq!(spans.len() - n, 1);
        assert!(n_roots.contains(&n), "{share}: {n} of 200");
    }
}
