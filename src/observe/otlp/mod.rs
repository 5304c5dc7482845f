//! Exports each call's span to an OpenTelemetry collector, by OTLP over gRPC.
//!
//! No crate of OpenTelemetry's takes part: a worker makes a span's record of what its observer knows anyway, and one thread of the server's sends them by our own
//! client, on a loop of the sort that the server runs. So there is no second runtime, and nothing of it depends on which loop that is.
//!
//! * `tracer` is a worker's: it decides which calls are told of, and makes their records; `ids` numbers them.
//! * `spans` is what lies between: a queue with a bound, and what became of spans.
//! * `exporter` is the thread, `delivery` what it does there: batches, and what is done when they are refused (`retry`); `message` writes them.

mod delivery;
mod exporter;
mod ids;
mod message;
mod retry;
mod spans;
mod tracer;

use std::time::Duration;

use crate::client::Endpoint;

pub(crate) use exporter::Exporter;
pub(crate) use spans::Spans;
pub(super) use tracer::{Record, Tracer};

mod proto {
    #![allow(dead_code, missing_docs, unreachable_pub, reason = "generated")]
    crate::include_proto!("opentelemetry.proto.collector.trace.v1");
}

/// Where spans of calls are exported to, and how: OpenTelemetry's protocol over gRPC. See [`Builder::otlp`](crate::Builder::otlp).
///
/// ```no_run
/// use loopswap::client::Endpoint;
/// use loopswap::greeter::{GreeterServer, Hello};
/// use loopswap::{Loop, Otlp, Server};
///
/// fn main() -> Result<(), loopswap::Error> {
///     let otlp = Otlp::new(Endpoint::new("http://127.0.0.1:4317")?).service_name("greeter").root_ratio(0.1);
///     Server::builder().otlp(otlp).serve(Loop::choose("auto")?, |_worker| GreeterServer::new(Hello))
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it does nothing until a builder has it"]
pub struct Otlp {
    endpoint: Endpoint,
    service_name: String,
    attributes: Vec<(String, String)>,
    root_ratio: f64,
    queue_max: usize,
    batch_max: usize,
    delay: Duration,
    export_timeout: Duration,
    flush_timeout: Duration,
}

impl Otlp {
    /// To the collector at this endpoint; what it says of TLS counts. OTLP's port for gRPC is 4317.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            service_name: String::from("unknown_service:loopswap"),
            attributes: Vec::new(),
            root_ratio: 1.0,
            // These three are OpenTelemetry's, for any exporter of spans ("Batch Span Processor").
            queue_max: 2048,
            batch_max: 512,
            delay: Duration::from_secs(5),
            // OpenTelemetry's as well ("OpenTelemetry Protocol Exporter").
            export_timeout: Duration::from_secs(10),
            // Beside a drain of 25 s it is over before Kubernetes kills, after 30 s.
            flush_timeout: Duration::from_secs(3),
        }
    }

    /// What the service is called: the resource's `service.name`. Default: `unknown_service:loopswap`.
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = name.into();
        self
    }

    /// One attribute more of the resource: `deployment.environment.name`, say.
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((key.into(), value.into()));
        self
    }

    /// Which share of the traces that begin here is recorded, from 0 to 1. For calls that come with a trace its sampled flag decides. Default: 1.
    ///
    /// # Panics
    ///
    /// When it is not from 0 to 1.
    pub fn root_ratio(mut self, ratio: f64) -> Self {
        assert!((0.0..=1.0).contains(&ratio), "a share of traces is from 0 to 1, and not {ratio}");
        self.root_ratio = ratio;
        self
    }

    /// How many spans wait at most, about 1 KiB each; those that come beyond are dropped and counted. Default: 2048.
    ///
    /// # Panics
    ///
    /// When it is 0.
    pub fn queue_max(mut self, n: usize) -> Self {
        assert!(n > 0, "a queue of 0 would hold no span");
        self.queue_max = n;
        self
    }

    /// How many spans are exported at a time, at most. Default: 512.
    ///
    /// # Panics
    ///
    /// When it is 0.
    pub fn batch_max(mut self, n: usize) -> Self {
        assert!(n > 0, "a batch of 0 would bring no span");
        self.batch_max = n;
        self
    }

    /// How long a span waits for others, at most, before it is exported; a full batch goes at once. Default: 5 s.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// How long the collector may take to answer an export; then it is tried again. Default: 10 s.
    pub fn export_timeout(mut self, timeout: Duration) -> Self {
        self.export_timeout = timeout;
        self
    }

    /// How long the export of what is left may take when the server has ended. Default: 3 s.
    pub fn flush_timeout(mut self, timeout: Duration) -> Self {
        self.flush_timeout = timeout;
        self
    }
}
