//! What a run is to do.

use std::time::Duration;

use crate::Error;
use crate::client::{Target, Wording};
use crate::load::Workload;

/// Calls in flight, at most: each has a stream, and some 200 bytes here.
const CONCURRENCY_MAX: usize = 1_000_000;

/// A run to be.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) workload: Workload,
    /// Calls in flight at a time.
    pub(crate) concurrency: usize,
    /// Connections that they are spread over, evenly.
    pub(crate) connections: usize,
    pub(crate) amount: Amount,
    /// Calls a second; 0 for as many as go.
    pub(crate) rps: u32,
    /// Of each call.
    pub(crate) timeout: Duration,
    /// Calls before the others, which are not counted.
    pub(crate) warmup: u64,
    /// Whose requests its own are like.
    pub(crate) wording: Wording,
}

/// When a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// After so many calls.
    Calls(u64),
    /// No call begins after so long.
    Time(Duration),
}

impl Plan {
    /// Calls in flight on the connection of this number.
    pub(super) fn share(&self, connection: usize) -> usize {
        self.concurrency / self.connections + usize::from(connection < self.concurrency % self.connections)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let Self { concurrency, connections, .. } = *self;
        let wrong = if concurrency == 0 {
            "--concurrency 0 calls nobody; ask for 1 or more".into()
        } else if concurrency > CONCURRENCY_MAX {
            format!("--concurrency {concurrency} is more than this program holds; ask for {CONCURRENCY_MAX} or fewer")
        } else if connections == 0 {
            "--connections 0 reaches nobody; ask for 1 or more".into()
        } else if connections > concurrency {
            format!(
                "--connections {connections} is more than --concurrency {concurrency}: some would stay idle; \
                 ask for fewer connections, or for more calls at a time"
            )
        } else if self.amount == Amount::Calls(0) {
            "--total 0 asks for no calls; ask for 1 or more".into()
        } else if self.amount == Amount::Time(Duration::ZERO) {
            "--duration 0 leaves no time; write it as in 10s".into()
        } else {
            return Ok(());
        };
        Err(Error::usage(wrong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_means_nothing_is_refused() {
        let plan = Plan {
            target: Target::resolve("127.0.0.1:9999").unwrap(),
            workload: Workload::AppendBlock,
            concurrency: 2,
            connections: 2,
            amount: Amount::Calls(1),
            rps: 0,
            timeout: Duration::from_secs(1),
            warmup: 0,
            wording: Wording::Grpc,
        };
        assert!(plan.check().is_ok());
        let wrong = [
            (Plan { concurrency: 0, ..plan.clone() }, "--concurrency 0"),
            (Plan { concurrency: CONCURRENCY_MAX + 1, ..plan.clone() }, "1000000 or fewer"),
            (Plan { connections: 0, ..plan.clone() }, "--connections 0"),
            (Plan { connections: 3, ..plan.clone() }, "--connections 3 is more than --concurrency 2"),
            (Plan { amount: Amount::Calls(0), ..plan.clone() }, "--total 0"),
            (Plan { amount: Amount::Time(Duration::ZERO), ..plan }, "--duration 0"),
        ];
        for (plan, words) in wrong {
            let error = plan.check().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
