//! Spans as the collector gets them: OTLP's messages, described by OpenTelemetry's conventions for RPC, of the version in [`SCHEMA`].

use std::time::{SystemTime, UNIX_EPOCH};

use loopswap_rt::Address;
use tonic::Code;

use crate::grpc::code_name;
use crate::observe::otlp::Otlp;
use crate::observe::otlp::proto;
use crate::observe::otlp::proto::any_value::Value;
use crate::observe::otlp::proto::span::SpanKind;
use crate::observe::otlp::proto::status::StatusCode;
use crate::observe::otlp::spans::Span;

/// The conventions' version.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.45.0";

/// Who makes the spans.
const SCOPE: &str = "loopswap";

/// What is told of this process.
pub(super) fn resource(otlp: &Otlp) -> proto::Resource {
    let own = [
        ("service.name", otlp.service_name.as_str()),
        ("telemetry.sdk.name", SCOPE),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ];
    let others = otlp.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    proto::Resource { attributes: own.into_iter().chain(others).map(|(key, value)| text(key, value)).collect() }
}

/// All that is sent of a batch.
pub(super) fn request(resource: &proto::Resource, spans: &[Span]) -> proto::ExportTraceServiceRequest {
    let scope = proto::InstrumentationScope { name: SCOPE.into(), version: env!("CARGO_PKG_VERSION").into() };
    let scope_spans = proto::ScopeSpans { scope: Some(scope), spans: spans.iter().map(span).collect(), schema_url: SCHEMA.into() };
    let resource_spans =
        proto::ResourceSpans { resource: Some(resource.clone()), scope_spans: vec![scope_spans], schema_url: SCHEMA.into() };
    proto::ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

fn span(span: &Span) -> proto::Span {
    let context = &span.context;
    let method = span.path.trim_start_matches('/');
    let is_error = is_error(span.code);
    let code = code_name(span.code);
    let mut attributes = vec![text("rpc.system.name", "grpc"), text("rpc.response.status_code", code)];
    if span.is_known {
        attributes.push(text("rpc.method", method));
    } else {
        // Peers' inventions are no names of methods.
        attributes.extend([text("rpc.method", "_OTHER"), text("rpc.method_original", method)]);
    }
    if is_error {
        attributes.push(text("error.type", code));
    }
    if let Some(local) = &span.local {
        attributes.extend(ends(local, "server.address", "server.port"));
    }
    if let Some(remote) = &span.remote {
        attributes.extend(ends(remote, "network.peer.address", "network.peer.port"));
        attributes.push(text("network.transport", if remote.as_tcp().is_some() { "tcp" } else { "unix" }));
    }
    attributes.extend([text("loopswap.loop", span.runtime), number("loopswap.worker", span.worker as i64)]);
    // Who calls a server is in another process.
    let remote = proto::SpanFlags::ContextHasIsRemoteMask as u32
        | if span.parent.is_some() { proto::SpanFlags::ContextIsRemoteMask as u32 } else { 0 };
    proto::Span {
        trace_id: context.trace_id().to_vec(),
        span_id: context.span_id().to_vec(),
        trace_state: context.state().unwrap_or_default().to_owned(),
        parent_span_id: span.parent.map_or_else(Vec::new, |parent| parent.to_vec()),
        name: if span.is_known { method.to_owned() } else { "grpc".to_owned() },
        kind: SpanKind::Server as i32,
        start_time_unix_nano: nanoseconds(span.began),
        end_time_unix_nano: nanoseconds(span.ended),
        attributes,
        status: is_error.then(|| proto::Status { message: String::new(), code: StatusCode::Error as i32 }),
        flags: u32::from(context.flags()) | remote,
    }
}

/// An end of a connection.
fn ends(address: &Address, name: &str, port: &str) -> Vec<proto::KeyValue> {
    match address {
        Address::Tcp(tcp) => vec![text(name, tcp.ip().to_string()), number(port, tcp.port().into())],
        Address::Unix(path) => path.iter().map(|path| text(name, path.display().to_string())).collect(),
    }
}

/// Whether the server has failed: other statuses are the answer that was right ("gRPC", the conventions of the server's span).
fn is_error(code: Code) -> bool {
    matches!(code, Code::Unknown | Code::DeadlineExceeded | Code::Unimplemented | Code::Internal | Code::Unavailable | Code::DataLoss)
}

fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

fn text(key: &str, value: impl Into<String>) -> proto::KeyValue {
    proto::KeyValue { key: key.into(), value: Some(proto::AnyValue { value: Some(Value::StringValue(value.into())) }) }
}

fn number(key: &str, value: i64) -> proto::KeyValue {
    proto::KeyValue { key: key.into(), value: Some(proto::AnyValue { value: Some(Value::IntValue(value)) }) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observe::TraceContext;

    fn made(change: impl FnOnce(&mut Span)) -> proto::Span {
        let context = TraceContext::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        let began = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_007);
        let mut it = Span {
            context,
            parent: None,
            path: "/test.Shop/Buy".into(),
            is_known: true,
            code: Code::Ok,
            began,
            ended: began + Duration::from_micros(20),
            remote: Some("[::1]:7".parse().unwrap()),
            local: Some("127.0.0.1:9".parse().unwrap()),
            runtime: "tokio",
            worker: 3,
        };
        change(&mut it);
        span(&it)
    }

    /// Attributes, in a text each.
    fn told(span: &proto::Span) -> Vec<String> {
        let value = |value: &proto::KeyValue| match value.value.as_ref().unwrap().value.as_ref().unwrap() {
            Value::StringValue(text) => text.clone(),
            Value::IntValue(n) => n.to_string(),
        };
        span.attributes.iter().map(|attribute| format!("{}={}", attribute.key, value(attribute))).collect()
    }

    #[test]
    fn a_span_says_what_the_conventions_ask_for() {
        let span = made(|_| {});
        assert_eq!((span.name.as_str(), span.kind, span.status.clone()), ("test.Shop/Buy", SpanKind::Server as i32, None));
        assert_eq!(span.trace_id, 0x4bf92f3577b34da6a3ce929d0e0e4736_u128.to_be_bytes());
        assert_eq!(span.span_id, 0x00f067aa0ba902b7_u64.to_be_bytes());
        assert_eq!((span.parent_span_id.len(), span.flags), (0, 0x101));
        assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (1_700_000_000_000_000_007, 1_700_000_000_000_020_007));
        let expected = [
            "rpc.system.name=grpc",
            "rpc.response.status_code=OK",
            "rpc.method=test.Shop/Buy",
            "server.address=127.0.0.1",
            "server.port=9",
            "network.peer.address=::1",
            "network.peer.port=7",
            "network.transport=tcp",
            "loopswap.loop=tokio",
            "loopswap.worker=3",
        ];
        assert_eq!(told(&span), expected);
    }

    #[test]
    fn a_parent_is_of_another_process() {
        let span = made(|span| span.parent = Some([7; 8]));
        assert_eq!((span.parent_span_id, span.flags), (vec![7; 8], 0x301));
    }

    #[test]
    fn a_method_that_nobody_knows_has_no_name() {
        let span = made(|span| span.is_known = false);
        assert_eq!(span.name, "grpc");
        assert!(told(&span).contains(&"rpc.method=_OTHER".to_owned()));
        assert!(told(&span).contains(&"rpc.method_original=test.Shop/Buy".to_owned()));
    }

    #[test]
    fn of_a_unix_socket_the_path_is_told_if_it_has_one() {
        let span = made(|span| {
            span.remote = Some(Address::Unix(None));
            span.local = Some("unix:/run/a.sock".parse().unwrap());
        });
        assert!(told(&span).contains(&"server.address=/run/a.sock".to_owned()));
        assert!(told(&span).contains(&"network.transport=unix".to_owned()));
        assert!(!told(&span).iter().any(|told| told.starts_with("network.peer") || told.starts_with("server.port")));
    }

    #[test]
    fn a_status_is_an_error_where_the_server_has_failed() {
        for n in 0..17 {
            let span = made(|span| span.code = Code::from(n));
            let is_error = matches!(n, 2 | 4 | 12 | 13 | 14 | 15);
            assert_eq!(span.status.as_ref().map(|status| status.code), is_error.then_some(2), "{n}");
            assert_eq!(told(&span).iter().any(|told| told.starts_with("error.type=")), is_error, "{n}");
        }
    }

    #[test]
    fn the_resource_names_the_service() {
        let otlp = Otlp::new(crate::client::Endpoint::new("http://127.0.0.1:4317").unwrap()).service_name("shop").attribute("a", "b");
        let request = request(&resource(&otlp), &[]);
        let resource = request.resource_spans[0].resource.clone().unwrap();
        let told = told(&proto::Span { attributes: resource.attributes, ..Default::default() });
        assert_eq!(told[0], "service.name=shop");
        assert!(told.contains(&"a=b".to_owned()) && told.contains(&"telemetry.sdk.language=rust".to_owned()));
    }
}
