//! Whether a worker takes on another call, or has enough.
//!
//! It is asked twice. When the request's head has come: the call that is refused then costs no more than its answer. And when its handler is about to run for the
//! first time, because a batch that was read at once may hold more work than there is time for. A handler that has begun is never taken back.
//!
//! Calls of health checks are let in always, and count for nothing: an orchestrator that is told of overload as of ill health restarts the server, which helps
//! nobody.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use loopswap_rt::now;
use tonic::Status;
use tonic::metadata::MetadataValue;

use crate::grpc::Head;
use crate::grpc::verdict::Refusal;
use crate::http2::Violation;
use crate::pulse::Pulse;

/// The service of gRPC's health checks (grpc/doc/health-checking.md).
const HEALTH: &[u8] = b"/grpc.health.v1.Health/";

/// When a client may try again whom a worker has refused that had fallen behind (gRFC A6, "Pushback"): soon, but not while the worker catches up.
const PUSHBACK: Duration = Duration::from_secs(1);

/// How much a worker takes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// Calls of the worker at a time.
    pub(crate) calls_max: Option<usize>,
    /// Calls of a connection at a time.
    pub(crate) calls_of_connection_max: Option<usize>,
    /// By how much the loop may be late.
    pub(crate) lag_max: Option<Duration>,
}

/// What lets calls in on one worker.
pub(crate) struct Admission {
    capacity: Capacity,
    n_calls: Cell<usize>,
    pulse: Arc<Pulse>,
    refusals: Refusals,
    /// Told of each call that is refused.
    tell: Box<dyn Fn(Violation)>,
}

/// What is answered over each limit, made once: to refuse must cost less than to serve.
struct Refusals {
    calls: Refusal,
    calls_of_connection: Refusal,
    behind: Refusal,
}

/// One call's place. Dropped, it is free again.
pub(crate) struct Permit {
    admission: Rc<Admission>,
    has_begun: bool,
}

impl Admission {
    /// `None` where everything is let in. `tell` is told of each call that is refused.
    pub(crate) fn new(capacity: Capacity, pulse: Arc<Pulse>, tell: Box<dyn Fn(Violation)>) -> Option<Rc<Self>> {
        let Capacity { calls_max, calls_of_connection_max, lag_max } = capacity;
        if calls_max.is_none() && calls_of_connection_max.is_none() && lag_max.is_none() {
            return None;
        }
        let refusals = Refusals::new(capacity);
        Some(Rc::new(Self { capacity, n_calls: Cell::new(0), pulse, refusals, tell }))
    }

    /// Lets a call in, or says what it is answered instead. Its connection has so many calls under way. A call that is let in without a permit counts for
    /// nothing.
    pub(super) fn admit(self: &Rc<Self>, head: &Head, n_calls_of_connection: usize) -> Result<Option<Permit>, &Refusal> {
        if head.path().starts_with(HEALTH) {
            return Ok(None);
        }
        let is_full = |n: usize, max: Option<usize>| max.is_some_and(|max| n >= max);
        let (violation, refusal) = if is_full(n_calls_of_connection, self.capacity.calls_of_connection_max) {
            (Violation::ConnectionCalls, &self.refusals.calls_of_connection)
        } else if is_full(self.n_calls.get(), self.capacity.calls_max) {
            (Violation::WorkerCalls, &self.refusals.calls)
        } else if self.is_behind() {
            (Violation::WorkerLag, &self.refusals.behind)
        } else {
            self.n_calls.set(self.n_calls.get() + 1);
            return Ok(Some(Permit { admission: Rc::clone(self), has_begun: false }));
        };
        (self.tell)(violation);
        Err(refusal)
    }

    fn is_behind(&self) -> bool {
        self.capacity.lag_max.is_some_and(|max| self.pulse.late(now()) > max)
    }
}

impl Permit {
    /// Whether the call's handler may run on, or may begin to.
    pub(super) fn may_run(&mut self) -> bool {
        if !self.has_begun && self.admission.is_behind() {
            (self.admission.tell)(Violation::WorkerLag);
            return false;
        }
        self.has_begun = true;
        true
    }

    /// What a call is answered that may not.
    pub(super) fn refusal(&self) -> &Refusal {
        &self.admission.refusals.behind
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.n_calls.set(self.admission.n_calls.get() - 1);
    }
}

impl Refusals {
    /// RESOURCE_EXHAUSTED (statuscodes.md: "Server temporarily out of resources"), with the name of the limit.
    fn new(capacity: Capacity) -> Self {
        let refusal = |violation: Violation, text: String| Refusal::grpc(&Status::resource_exhausted(format!("{violation}: {text}")));
        let calls = capacity.calls_max.unwrap_or_default();
        let calls_of_connection = capacity.calls_of_connection_max.unwrap_or_default();
        let mut behind = Status::resource_exhausted(format!("{}: the worker has more to do than it can", Violation::WorkerLag));
        let pushback_ms = MetadataValue::from(PUSHBACK.as_millis() as u64);
        behind.metadata_mut().insert("grpc-retry-pushback-ms", pushback_ms);
        Self {
            calls: refusal(Violation::WorkerCalls, format!("the worker has {calls} calls under way, the most it may have")),
            calls_of_connection: refusal(
                Violation::ConnectionCalls,
                format!("the connection has {calls_of_connection} calls under way, the most it may have"),
            ),
            behind: Refusal::grpc(&behind),
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("capacity", &self.capacity).field("n_calls", &self.n_calls).finish_non_exhaustive()
    }
}
