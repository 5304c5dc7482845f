//! What a builder is asked for of [`crate::observe`].

use crate::Metrics;
#[cfg(feature = "otel")]
use crate::Otlp;
use crate::server::Builder;

impl Builder {
    /// Counts calls, connections and bytes into these metrics, to be shown by an HTTP server of the caller's own: [`Metrics::render`]. Metrics are of one
    /// server, the last that was started with them. Default: nothing is counted.
    ///
    /// ```
    /// use loopswap::{Metrics, Server, TextFormat};
    ///
    /// let metrics = Metrics::new();
    /// let server = Server::builder().metrics(&metrics); // .start(…)
    /// assert!(metrics.render(TextFormat::Prometheus).contains("loopswap_serving 0"));
    /// # drop(server);
    /// ```
    pub fn metrics(mut self, metrics: &Metrics) -> Self {
        self.observe.metrics = Some(metrics.clone());
        self
    }

    /// Counts, and serves what was counted over HTTP at this address, `IP:PORT`, on a thread of its own: `/metrics` for Prometheus, `/healthz`, which is 200
    /// while the process lives, and `/readyz`, which is 200 while the server serves: not before all workers listen, and not from the drain's start.
    ///
    /// Whoever can reach it can read it: choose an address of the inside. Whether it can be listened on is found out when the server starts, before its own
    /// address is bound. It holds at most 16 connections, each for 5 s, and answers one request on each. Default: it is not served.
    pub fn metrics_addr(mut self, address: impl Into<String>) -> Self {
        self.observe.metrics.get_or_insert_default();
        self.metrics_address = Some(address.into());
        self
    }

    /// Gives each call a span of `tracing`, which is entered whenever its handler runs, and in it, at the call's end, an event with `status` and `latency_us`.
    ///
    /// Both have the target `loopswap::calls` and the level INFO. The span's name is `call`, its fields `method` (the path, of which 256 bytes), `peer`, `loop`
    /// and `worker`; and `trace_id` and `span_id`, of a call that came with a trace (W3C Trace Context) or whose span is exported. What a handler logs is within it,
    /// and so are its own spans; a task that it spawns is no part of it. Default: no.
    pub fn call_spans(mut self, wanted: bool) -> Self {
        self.observe.spans = wanted;
        self
    }

    /// Exports a span of each call to an OpenTelemetry collector, by a thread that has a loop of the server's sort; which calls, [`Otlp::root_ratio`] and those who call
    /// decide. A trace that a call brings (W3C Trace Context) goes on, and one begins where it brings none; calls that a handler makes by a
    /// [`Channel`](crate::client::Channel) belong to it, as children of the handler's span.
    ///
    /// The span's attributes are those of OpenTelemetry's conventions for gRPC, and `loopswap.loop` and `loopswap.worker`. No call waits for a collector that is slow
    /// or away: spans that find no room are dropped, and counted in the metrics. Default: no.
    #[cfg(feature = "otel")]
    pub fn otlp(mut self, otlp: Otlp) -> Self {
        self.otlp = Some(otlp);
        self
    }
}
