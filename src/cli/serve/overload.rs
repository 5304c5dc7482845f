//! The flags of `loopswap serve` that say when a worker has enough.

use std::time::Duration;

use crate::Overload;
use crate::cli::duration;

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Overload")]
pub(super) struct OverloadArgs {
    /// Calls at a time on each worker; more are refused with RESOURCE_EXHAUSTED. Health checks are not [default: no limit].
    #[arg(long, env = "LOOPSWAP_MAX_CONCURRENT_CALLS", value_name = "N")]
    max_concurrent_calls: Option<usize>,

    /// Calls at a time on each connection; more are refused likewise, where the limit on streams would make clients wait [default: no limit].
    #[arg(long, env = "LOOPSWAP_MAX_CONCURRENT_CALLS_PER_CONNECTION", value_name = "N")]
    max_concurrent_calls_per_connection: Option<usize>,

    /// By how much a worker's loop may be late. Beyond, calls that have not begun are refused with RESOURCE_EXHAUSTED until it has caught up. A fifth of the
    /// clients' deadlines is a good value [default: no matter how late].
    #[arg(long, env = "LOOPSWAP_SHED_LAG", value_name = "TIME", value_parser = duration)]
    shed_lag: Option<Duration>,

    /// Bytes of requests that are not whole, of all calls of a worker together; calls that go beyond are refused.
    #[arg(long, env = "LOOPSWAP_MAX_PARTIAL_BYTES", value_name = "BYTES", default_value_t = Overload::default().partial_messages_bytes_max)]
    max_partial_bytes: usize,

    /// Log a worker whose loop has stood still for this long, because a handler blocks it; 0s for never.
    #[arg(long, env = "LOOPSWAP_STALL_LOG", value_name = "TIME", default_value = "1s", value_parser = duration)]
    stall_log: Duration,
}

impl OverloadArgs {
    pub(super) fn overload(&self) -> Overload {
        Overload {
            concurrent_calls_max: self.max_concurrent_calls,
            concurrent_calls_per_connection_max: self.max_concurrent_calls_per_connection,
            shed_lag: self.shed_lag,
            partial_messages_bytes_max: self.max_partial_bytes,
            stall_log: Some(self.stall_log).filter(|stall| !stall.is_zero()),
        }
    }
}
