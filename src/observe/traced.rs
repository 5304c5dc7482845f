//! What is told of a call beside its counts: its span, for logs; its place in a trace; and what a collector of spans gets in the end.

use std::time::Duration;

use loopswap_rt::Address;
use tonic::Code;
use tracing::Span;
use tracing::span::EnteredSpan;

use crate::grpc::{Head, Peer};
#[cfg(feature = "otel")]
use crate::observe::otlp::{Record, Tracer};
use crate::observe::text::code_name;
use crate::observe::trace::{Current, Hex};
use crate::observe::{CALLS, TraceContext};

/// How much of a path is told: real ones are shorter, and others may be as long as a header list.
const PATH_BYTES_MAX: usize = 256;

/// How a worker tells of its calls.
pub(super) struct Telling {
    pub(super) runtime: &'static str,
    pub(super) worker: usize,
    /// For logs: a span of `tracing` each call.
    pub(super) spans: bool,
    #[cfg(feature = "otel")]
    pub(super) tracer: Option<Tracer>,
}

/// A call that is told of.
pub(super) struct Traced {
    span: Span,
    /// What the handler's own calls tell.
    context: Option<TraceContext>,
    /// What the collector gets.
    #[cfg(feature = "otel")]
    record: Option<Record>,
}

/// While this lives, what runs is a part of the call.
pub(crate) struct Entered {
    _span: EnteredSpan,
    _current: Current,
}

impl Telling {
    /// Whether anything is to be told.
    #[inline]
    pub(super) fn is_wanted(&self) -> bool {
        #[cfg(feature = "otel")]
        if self.tracer.is_some() {
            return true;
        }
        self.spans
    }

    /// A call begins. Without a head it was refused for that.
    pub(super) fn begin(&self, head: Option<&Head>, peer: Option<&Peer>) -> Traced {
        let path = head.map_or(&b""[..], Head::path);
        let method = String::from_utf8_lossy(&path[..path.len().min(PATH_BYTES_MAX)]);
        let came_with = head.and_then(TraceContext::of);
        // Who makes no spans of its own lets the caller's stand for them.
        #[cfg(feature = "otel")]
        let (context, record) = match &self.tracer {
            Some(tracer) => {
                let (context, record) = tracer.begin(came_with, &method, peer);
                (Some(context), record)
            }
            None => (came_with, None),
        };
        #[cfg(not(feature = "otel"))]
        let context = came_with;
        let span = if self.spans { self.span(&method, peer, context.as_ref()) } else { Span::none() };
        Traced {
            span,
            context,
            #[cfg(feature = "otel")]
            record,
        }
    }

    fn span(&self, method: &str, peer: Option<&Peer>, context: Option<&TraceContext>) -> Span {
        let peer: Option<&Address> = peer.map(|peer| &peer.remote);
        let trace_id = context.map(TraceContext::trace_id);
        let span_id = context.map(TraceContext::span_id);
        tracing::info_span!(
            target: CALLS,
            "call",
            %method,
            peer = peer.map(display),
            loop = self.runtime,
            worker = self.worker,
            trace_id = trace_id.as_ref().map(|id| display(Hex(id))),
            span_id = span_id.as_ref().map(|id| display(Hex(id))),
        )
    }
}

impl Traced {
    /// Its handler runs.
    pub(super) fn enter(&self) -> Entered {
        Entered { _span: self.span.clone().entered(), _current: Current::enter(self.context.as_ref()) }
    }

    /// It has ended. `is_known`: there is such a method.
    #[cfg_attr(not(feature = "otel"), expect(unused_variables, reason = "for the collector alone"))]
    pub(super) fn ended(&self, code: Code, took: Duration, is_known: bool) {
        let latency_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if !self.span.is_none() {
            tracing::info!(target: CALLS, parent: &self.span, status = code_name(code), latency_us, "call ended");
        }
        #[cfg(feature = "otel")]
        if let (Some(record), Some(context)) = (&self.record, &self.context) {
            record.ended(context, code, took, is_known);
        }
    }
}
