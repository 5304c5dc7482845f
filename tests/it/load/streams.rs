//! `loopswap load` on methods that stream, of gRPC's testing service: each message of each answer is checked and counted, whichever side streams, closed loop and
//! open, on each loop and both engines.

use rustix::process::Signal;

use super::{Ran, load};
use crate::examples::example;
use crate::support::{Served, served};

crate::on_every_loop!(
    answers_that_are_streams,
    requests_that_are_streams,
    streams_both_ways,
    a_rate_of_streams,
    streams_larger_than_windows,
    what_is_wrong_with_a_stream_is_told,
    a_stream_that_does_not_end_is_given_up,
);

/// Runs a case on either engine, then ends the server, which has no call left.
fn on_both_engines(runtime: &str, case: impl Fn(&Calls<'_>)) {
    for engine in ["native", "hyper"] {
        let mut server: Served = served(example("interop").args(["--runtime", runtime, "--http2", engine, "--port=0", "--use_tls=false"]));
        case(&Calls { runtime, server: &server });
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0), "{engine}: nothing had to be cut");
    }
}

/// The server, as a load calls it.
struct Calls<'a> {
    runtime: &'a str,
    server: &'a Served,
}

impl Calls<'_> {
    /// Calls a method of the testing service.
    fn load(&self, method: &str, data: &str, args: &[&str]) -> Ran {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
        let proto = concat!(env!("CARGO_MANIFEST_DIR"), "/proto/grpc/testing/test.proto");
        let call = format!("grpc.testing.TestService/{method}");
        let all = ["--proto", proto, "--import-path", folder, "--call", &call, "-d", data];
        load(self.runtime, self.server.addr(), &[&all[..], args].concat())
    }
}

impl Ran {
    /// So many calls, all of them right, each of which sent and got so many messages.
    fn has_streamed(&self, n_calls: u64, sent: u64, received: u64) {
        self.is_right(n_calls);
        let counted = (&self.report["messages_sent_a_call"], &self.report["messages_received"]);
        assert_eq!(counted, (&sent.into(), &(n_calls * received).into()), "{}", self.report);
    }
}

/// As many responses as there are sizes.
fn wants(sizes: &[u32]) -> String {
    let sizes: Vec<_> = sizes.iter().map(|size| format!(r#"{{"size":{size}}}"#)).collect();
    format!(r#"{{"responseParameters":[{}]}}"#, sizes.join(","))
}

fn answers_that_are_streams(runtime: &str) {
    on_both_engines(runtime, |calls| {
        let method = "StreamingOutputCall";
        calls
            .load(method, &wants(&[1, 10, 100, 0, 1000]), &["-c", "20", "--connections", "3", "-n", "300", "--warmup", "20"])
            .has_streamed(300, 1, 5);
        calls.load(method, &wants(&[7; 100]), &["-c", "10", "-n", "50"]).has_streamed(50, 1, 100);
        // A stream without a message is an answer like others.
        calls.load(method, "{}", &["-c", "10", "-n", "100"]).has_streamed(100, 1, 0);
    });
}

fn requests_that_are_streams(runtime: &str) {
    on_both_engines(runtime, |calls| {
        let method = "StreamingInputCall";
        let list = r#"[{"payload":{"body":"AAAA"}},{},{"payload":{"body":"AA=="}}]"#;
        calls.load(method, list, &["-c", "20", "--connections", "3", "-n", "300"]).has_streamed(300, 3, 1);
        let padded = ["--payload", "1000", "--payload-field", "payload.body", "--stream-call-count", "25"];
        calls.load(method, list, &[&["-c", "10", "-n", "100"][..], &padded].concat()).has_streamed(100, 25, 1);
        calls.load(method, "[]", &["-c", "10", "-n", "100"]).has_streamed(100, 0, 1);
    });
}

fn streams_both_ways(runtime: &str) {
    on_both_engines(runtime, |calls| {
        let list = format!("[{},{{}},{}]", wants(&[10, 20]), wants(&[30]));
        for method in ["FullDuplexCall", "HalfDuplexCall"] {
            calls.load(method, &list, &["-c", "20", "--connections", "3", "-n", "300"]).has_streamed(300, 3, 3);
            calls.load(method, &list, &["-c", "5", "-n", "50", "--stream-call-count", "30"]).has_streamed(50, 30, 30);
            calls.load(method, "[]", &["-c", "10", "-n", "50"]).has_streamed(50, 0, 0);
        }
    });
}

fn a_rate_of_streams(runtime: &str) {
    on_both_engines(runtime, |calls| {
        let ran = calls.load(
            "FullDuplexCall",
            &wants(&[100, 100]),
            &["--rps", "500", "-n", "100", "--connections", "2", "--stream-call-count", "4"],
        );
        ran.has_streamed(100, 4, 8);
        // The last call is due after 198 ms.
        assert!(ran.report["total_s"].as_f64().expect("a number") >= 0.19, "{}", ran.report);
    });
}

/// What a call sends, and what it gets, is several times what may be under way.
fn streams_larger_than_windows(runtime: &str) {
    on_both_engines(runtime, |calls| {
        calls.load("StreamingOutputCall", &wants(&[1_000_000; 3]), &["-c", "4", "-n", "8"]).has_streamed(8, 1, 3);
        let padded = ["--payload", "100000", "--payload-field", "payload.body", "--stream-call-count", "20"];
        calls.load("StreamingInputCall", "{}", &[&["-c", "4", "-n", "8"][..], &padded].concat()).has_streamed(8, 20, 1);
        calls.load("FullDuplexCall", &wants(&[100_000]), &[&["-c", "4", "-n", "8"][..], &padded].concat()).has_streamed(8, 20, 20);
    });
}

fn what_is_wrong_with_a_stream_is_told(runtime: &str) {
    on_both_engines(runtime, |calls| {
        let ran = calls.load("StreamingOutputCall", &wants(&[1, 2, 3]), &["-c", "5", "-n", "20", "--replies", "4"]);
        assert_eq!((ran.code, &ran.report["wrong_replies"]), (Some(1), &20.into()), "{}", ran.report);
        assert_eq!(ran.errors(), ["wrong reply: a stream of 3 messages where 4 were expected"]);
        // A status is what the call ends with, after whichever messages.
        let refused = r#"{"responseParameters":[{"size":1}],"responseStatus":{"code":9,"message":"no more"}}"#;
        for method in ["StreamingOutputCall", "FullDuplexCall"] {
            let ran = calls.load(method, refused, &["-c", "5", "-n", "20"]);
            assert_eq!(ran.report["statuses"], serde_json::json!({ "FAILED_PRECONDITION": 20 }), "{}", ran.report);
            assert_eq!(ran.errors(), ["FAILED_PRECONDITION: no more"]);
            assert_eq!(ran.report["messages_received"], 0, "of right calls");
        }
        let ran = calls.load("UnimplementedCall", "{}", &["-c", "5", "-n", "20"]);
        assert_eq!(ran.report["statuses"], serde_json::json!({ "UNIMPLEMENTED": 20 }), "{}", ran.report);
        assert!(ran.report["messages_received"].is_null(), "nothing streams: {}", ran.report);
    });
}

fn a_stream_that_does_not_end_is_given_up(runtime: &str) {
    on_both_engines(runtime, |calls| {
        let late = r#"{"responseParameters":[{"size":1},{"size":1,"intervalUs":60000000}]}"#;
        let ran = calls.load("StreamingOutputCall", late, &["-c", "5", "-n", "10", "--timeout", "100ms"]);
        assert_eq!(ran.report["statuses"], serde_json::json!({ "DEADLINE_EXCEEDED": 10 }), "{}", ran.report);
    });
}
