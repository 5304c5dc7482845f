//! Which trace a call belongs to: W3C Trace Context, as its caller says it (`traceparent`, `tracestate`) and as it goes on to whom its handler calls.
//!
//! * `context` is the context of a call, and how it is read and written; `state` is what rides along for tracing systems.
//! * `current` knows the context of the call whose handler is running.
//!
//! Who makes contexts of its own, and tells a collector of its calls, is `otlp`.

mod context;
mod current;
mod state;

pub use context::TraceContext;
pub use current::current_trace;

pub(super) use context::Hex;
pub(super) use current::Current;
