//! Each call's line. What handlers log within a call is looked at in `tests/spans.rs`.

use serde_json::Value;

use crate::raw::{Connection, Fields, hello as on_the_wire};
use crate::support::{eventually, serve};

crate::on_every_loop_and_engine!(each_call_has_its_line, a_line_names_the_trace_that_a_call_came_with);

fn each_call_has_its_line(runtime: &str, engine: &str) {
    let server = serve(runtime, &["--http2", engine, "--log-calls", "--json", "--log", "warn"]);
    let mut connection = Connection::open(server.addr(), &[]);
    connection.greets();
    let slow = connection.hello("Joe", 30);
    connection.is_greeted(slow, "Joe");
    let stream = connection.request(&Fields::hello().set(":path", format!("/no.Service/{}", "x".repeat(1000))), &on_the_wire("Joe", 0));
    connection.response(stream);
    let lines = eventually("each has its line", || {
        let log = server.stderr().so_far();
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        (lines.len() >= 3).then_some(lines)
    });
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for line in &lines {
        assert_eq!((line["level"].as_str(), line["message"].as_str()), (Some("INFO"), Some("call ended")));
        let span = &line["span"];
        assert_eq!((span["name"].as_str(), span["loop"].as_str(), span["worker"].as_u64()), (Some("call"), Some(runtime), Some(0)));
        let peer: std::net::SocketAddr = span["peer"].as_str().expect("it is text").parse().expect("an address");
        assert!(peer.ip().is_loopback());
    }
    let status = |n: usize| lines[n]["status"].as_str().unwrap();
    assert_eq!([status(0), status(1), status(2)], ["OK", "OK", "Unimplemented"]);
    assert_eq!(lines[0]["span"]["method"], "/helloworld.Greeter/SayHello");
    assert!(lines[1]["latency_us"].as_u64().unwrap() >= 30_000, "{}", lines[1]);
    assert_eq!(lines[2]["span"]["method"].as_str().unwrap().len(), 256, "no more of a path than that");
}

/// By one valid `traceparent`, and by nothing else.
fn a_line_names_the_trace_that_a_call_came_with(runtime: &str, engine: &str) {
    let server = serve(runtime, &["--http2", engine, "--log-calls", "--json", "--log", "warn"]);
    let mut connection = Connection::open(server.addr(), &[]);
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let calls = [
        Fields::hello(),
        Fields::hello().with("traceparent", VALID),
        Fields::hello().with("traceparent", VALID.to_uppercase()),
        Fields::hello().with("traceparent", VALID).with("traceparent", VALID),
        Fields::hello().with("traceparent", VALID.replace("-01", "-00")).with("tracestate", "congo=t61rcWkgMzE"),
    ];
    for fields in &calls {
        let stream = connection.request(fields, &on_the_wire("Joe", 0));
        connection.is_greeted(stream, "Joe");
    }
    let lines = eventually("each has its line", || {
        let log = server.stderr().so_far();
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        (lines.len() >= calls.len()).then_some(lines)
    });
    let traces: Vec<_> = lines.iter().map(|line| line["span"]["trace_id"].as_str()).collect();
    assert_eq!(traces, [None, Some(TRACE), None, None, Some(TRACE)]);
    // Of its own it makes none: its caller's span stands for it.
    assert_eq!(lines[1]["span"]["span_id"], "00f067aa0ba902b7");
}

#[test]
fn without_the_flag_calls_are_not_logged() {
    let server = serve("tokio", &["--log", "trace"]);
    Connection::open(server.addr(), &[]).greets();
    assert!(!server.stderr().so_far().contains("call ended"));
}

#[test]
fn as_text_it_is_one_line() {
    let server = serve("tokio", &["--log-calls"]);
    Connection::open(server.addr(), &[]).greets();
    let line = server.stderr().wait_for("call ended").expect("it is logged");
    for part in [
        "INFO",
        "call{method=/helloworld.Greeter/SayHello",
        "peer=127.0.0.1:",
        "loop=\"tokio\"",
        "worker=0",
        "status=\"OK\"",
        "latency_us=",
    ] {
        assert!(line.contains(part), "no {part} in {line}");
    }
}
