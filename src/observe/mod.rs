//! Seeing inside: what calls and connections come to, counted and told.
//!
//! * `watched` is one call that is looked at: a call's answer tells it of all that it writes down, so that whatever ends the call is seen, on both engines.
//! * `observer` is what a worker looks with: which method a call is counted under, and the spans.
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
mod process;
mod text;
mod watched;

pub use metrics::Metrics;
pub use text::TextFormat;

pub(crate) use endpoint::Endpoint;
pub(crate) use metrics::Source;
pub(crate) use observer::{CALLS, Observer, Wanted};
pub(crate) use watched::Watched;
