//! What a worker makes spans with: which trace a call is of, whether it is recorded, and what is recorded of it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use loopswap_rt::Address;
use tonic::Code;

use crate::grpc::Peer;
use crate::observe::TraceContext;
use crate::observe::otlp::Spans;
use crate::observe::otlp::ids::{Ids, is_among};
use crate::observe::otlp::spans::Span;

/// One a worker.
pub(in crate::observe) struct Tracer {
    ids: Ids,
    own: Rc<Own>,
}

/// What its spans share.
struct Own {
    spans: Arc<Spans>,
    runtime: &'static str,
    worker: usize,
}

/// A call that is recorded, while it is under way.
pub(in crate::observe) struct Record {
    own: Rc<Own>,
    parent: Option<[u8; 8]>,
    path: Box<str>,
    remote: Option<Address>,
    local: Option<Address>,
}

impl Tracer {
    pub(in crate::observe) fn new(spans: Arc<Spans>, runtime: &'static str, worker: usize) -> Self {
        Self { ids: Ids::new(), own: Rc::new(Own { spans, runtime, worker }) }
    }

    /// A call begins that came with this context, or with none. Its own context; and its record, where its trace is recorded.
    pub(in crate::observe) fn begin(
        &self,
        came_with: Option<TraceContext>,
        path: &str,
        peer: Option<&Peer>,
    ) -> (TraceContext, Option<Record>) {
        let context = match &came_with {
            Some(parent) => parent.child(self.ids.span()),
            None => {
                let trace_id = self.ids.trace();
                TraceContext::root(trace_id, self.ids.span(), is_among(trace_id, self.own.spans.root_ratio()))
            }
        };
        let record = context.is_sampled().then(|| Record {
            own: Rc::clone(&self.own),
            parent: came_with.map(|parent| parent.span_id()),
            path: path.into(),
            remote: peer.map(|peer| peer.remote.clone()),
            local: peer.and_then(|peer| peer.local.clone()),
        });
        (context, record)
    }
}

impl Record {
    /// The call has ended, now, after this time.
    pub(in crate::observe) fn ended(&self, context: &TraceContext, code: Code, took: Duration, is_known: bool) {
        let ended = SystemTime::now();
        let Own { spans, runtime, worker } = &*self.own;
        spans.push(Span {
            context: context.clone(),
            parent: self.parent,
            path: self.path.clone(),
            is_known,
            code,
            began: ended.checked_sub(took).unwrap_or(ended),
            ended,
            remote: self.remote.clone(),
            local: self.local.clone(),
            runtime,
            worker: *worker,
        });
    }
}
