//! Seeing inside: what calls and connections come to, counted and told.
//!
//! * `watched` is one call that is looked at: a call's answer tells it of all that it writes down, so that whatever ends the call is seen, on both engines.
//! * `observer` is what a worker looks with: which method a call is counted under, and how it is told of.
//! * `traced` is what is told of a call, `trace` which trace it belongs to; `otlp`, a feature, exports its span to a collector.
//! * `counts` holds a worker's figures, `messages` finds the messages in bytes.
//! * `metrics` gathers the figures of all workers when they are asked for, `process` those of the process; `text` writes them down for Prometheus.
//! * `endpoint` serves them over HTTP, on a thread of its own.
//!
//! Off, it costs a call a comparison.

mod counts;
mod endpoint;
mod messages;
mod metrics;
mod observer;
#[cfg(feature = "otel")]
mod otlp;
mod process;
mod text;
mod trace;
mod traced;
mod watched;

pub use metrics::Metrics;
#[cfg(feature = "otel")]
pub use otlp::Otlp;
pub use text::TextFormat;
pub use trace::{TraceContext, current_trace};

pub(crate) use endpoint::Endpoint;
pub(crate) use metrics::Source;
pub(crate) use observer::{CALLS, Observer, Wanted};
#[cfg(feature = "otel")]
pub(crate) use otlp::{Exporter, Spans};
pub(crate) use traced::Entered;
pub(crate) use watched::Watched;
