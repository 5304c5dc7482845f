//! What a run came to.

use std::time::Duration;

use tonic::Status;

/// The percentiles that are reported.
pub(super) const PERCENTILES: [f64; 8] = [10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9];

/// How a run went.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// Calls that ended, in whichever way.
    pub(crate) count: u64,
    /// Those that ended with OK and the right reply.
    pub(crate) ok: u64,
    /// Those that ended with OK and another reply.
    pub(crate) wrong_replies: u64,
    /// Calls that were under way when the run was told to stop, and had not ended soon after. Not in `count`.
    pub(crate) abandoned: u64,
    /// From the first call's begin to the last one's end.
    pub(crate) total: Duration,
    /// Of the right calls; `None` where there are none.
    pub(crate) latencies: Option<Latencies>,
    /// Calls by their status, in the order of the codes. OK counts right replies only, so that with `wrong_replies` they make `count`.
    pub(crate) statuses: Vec<(&'static str, u64)>,
    /// Messages of what went wrong, the most frequent first.
    pub(crate) errors: Vec<(String, u64)>,
    /// Where requests or answers are streams.
    pub(crate) messages: Option<Messages>,
    /// Why the run ended before it was over.
    pub(crate) early: Option<Early>,
}

/// The messages of calls that stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Messages {
    /// By each call.
    pub(crate) sent_a_call: u64,
    /// In the answers of the right calls together.
    pub(crate) received: u64,
}

/// How long calls took.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    pub(crate) fastest: Duration,
    pub(crate) slowest: Duration,
    pub(crate) average: Duration,
    /// Percent of the calls, and what none of them exceeded.
    pub(crate) percentiles: [(f64, Duration); PERCENTILES.len()],
    pub(crate) histogram: Vec<Bucket>,
}

/// Calls that took about as long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// The longest of them, at most.
    pub(crate) mark: Duration,
    pub(crate) count: u64,
}

/// Why a run ended before it was over.
#[derive(Clone, Debug)]
pub(crate) enum Early {
    /// It was told to stop.
    Interrupted,
    /// No connection was left, for this reason.
    GivenUp(Status),
}

impl Report {
    /// Whether the run went to its end, and every call was right.
    pub(crate) fn is_success(&self) -> bool {
        self.early.is_none() && self.abandoned == 0 && self.count > 0 && self.ok == self.count
    }

    /// Calls that ended, a second.
    pub(crate) fn requests_per_second(&self) -> f64 {
        let seconds = self.total.as_secs_f64();
        if seconds > 0.0 { self.count as f64 / seconds } else { 0.0 }
    }
}
