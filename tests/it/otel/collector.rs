//! A collector of spans: keeps what it gets, and answers as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use loopswap::{Builder, Request, Response, Server, Status};

use crate::leaks::{Hosted, host};
use crate::support::eventually;

mod proto {
    #![allow(dead_code, missing_docs, unreachable_pub, reason = "generated")]
    loopswap::include_proto!("opentelemetry.proto.collector.trace.v1");
}

use proto::any_value::Value;
pub(super) use proto::{ExportTracePartialSuccess, ExportTraceServiceResponse};

/// What is answered to an export.
pub(super) type Answer = Result<ExportTraceServiceResponse, Status>;

/// A span, as the cases look at it.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) trace: String,
    pub(super) id: String,
    pub(super) parent: String,
    pub(super) state: String,
    pub(super) name: String,
    /// Numbers as text.
    pub(super) attributes: BTreeMap<String, String>,
    /// Those of the resource.
    pub(super) resource: BTreeMap<String, String>,
    pub(super) is_error: bool,
    pub(super) flags: u32,
    pub(super) took_ns: u64,
    pub(super) began_ns: u64,
}

#[derive(Default)]
struct State {
    spans: Vec<Span>,
    /// Answers to the next exports; then all are good. What is refused is not kept.
    answers: VecDeque<Answer>,
    n_exports: usize,
    /// It never answers.
    is_stuck: bool,
}

pub(super) struct Collector {
    state: Arc<Mutex<State>>,
    server: Hosted,
}

struct Service(Arc<Mutex<State>>);

impl proto::TraceService for Service {
    async fn export(&self, request: Request<proto::ExportTraceServiceRequest>) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (is_stuck, answer) = {
            let mut state = self.0.lock().unwrap();
            state.n_exports += 1;
            (state.is_stuck, state.answers.pop_front())
        };
        if is_stuck {
            std::future::pending::<()>().await;
        }
        let answer = answer.unwrap_or_else(|| Ok(ExportTraceServiceResponse::default()))?;
        self.0.lock().unwrap().spans.extend(read(request.get_ref()));
        Ok(Response::new(answer))
    }
}

impl Collector {
    pub(super) fn start(runtime: &str) -> Self {
        Self::start_by(Server::builder(), runtime)
    }

    /// With these settings of its server.
    pub(super) fn start_by(builder: Builder, runtime: &str) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let service = Arc::clone(&state);
        let server =
            host(builder.listen("127.0.0.1:0").workers(1), runtime, move |_| proto::TraceServiceServer::new(Service(Arc::clone(&service))));
        Self { state, server }
    }

    /// One that takes exports and never answers.
    pub(super) fn stuck(runtime: &str) -> Self {
        let collector = Self::start(runtime);
        collector.state.lock().unwrap().is_stuck = true;
        collector
    }

    /// One that answers the first exports so.
    pub(super) fn answering(runtime: &str, answers: impl IntoIterator<Item = Answer>) -> Self {
        let collector = Self::start(runtime);
        collector.state.lock().unwrap().answers = answers.into_iter().collect();
        collector
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.server.local_addr().as_tcp().expect("it listens on TCP")
    }

    /// The spans that have come, in their order.
    pub(super) fn spans(&self) -> Vec<Span> {
        self.state.lock().unwrap().spans.clone()
    }

    /// How often it was asked to take some.
    pub(super) fn n_exports(&self) -> usize {
        self.state.lock().unwrap().n_exports
    }

    /// Waits until so many have come.
    pub(super) fn wait_for(&self, n: usize) -> Vec<Span> {
        eventually(&format!("{n} spans come"), || Some(self.spans()).filter(|spans| spans.len() >= n))
    }
}

fn read(request: &proto::ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for of_resource in &request.resource_spans {
        let resource = attributes(&of_resource.resource.as_ref().expect("a resource").attributes);
        for span in of_resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
            assert_eq!((span.trace_id.len(), span.span_id.len(), span.kind), (16, 8, 2), "{span:?}");
            spans.push(Span {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                state: span.trace_state.clone(),
                name: span.name.clone(),
                attributes: attributes(&span.attributes),
                resource: resource.clone(),
                is_error: span.status.as_ref().is_some_and(|status| status.code == 2),
                flags: span.flags,
                took_ns: span.end_time_unix_nano - span.start_time_unix_nano,
                began_ns: span.start_time_unix_nano,
            });
        }
    }
    spans
}

fn attributes(attributes: &[proto::KeyValue]) -> BTreeMap<String, String> {
    let value = |attribute: &proto::KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(n)) => n.to_string(),
        None => panic!("no value: {attribute:?}"),
    };
    let all: BTreeMap<_, _> = attributes.iter().map(|attribute| (attribute.key.clone(), value(attribute))).collect();
    assert_eq!(all.len(), attributes.len(), "each key comes once: {attributes:?}");
    all
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
