//! `serve`'s flags for seeing inside.

use clap::builder::FalseyValueParser;

use crate::Builder;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Observe {
    /// Serve metrics for Prometheus (/metrics), and probes (/healthz, /readyz), over HTTP at this address, IP:PORT [default: they are not served].
    #[arg(long, env = "LOOPSWAP_METRICS", value_name = "ADDR", help_heading = HEADING)]
    metrics: Option<String>,

    /// Log each call when it ends: its method, peer, status and latency, on loop and worker; what handlers log is told apart by call [default: no].
    #[arg(long, env = "LOOPSWAP_LOG_CALLS", value_parser = FalseyValueParser::new(), help_heading = HEADING)]
    pub(super) log_calls: bool,
}

pub(super) const HEADING: &str = "Seeing inside";

impl Observe {
    /// Has the server do so.
    pub(super) fn apply(&self, builder: Builder) -> Builder {
        let builder = builder.call_spans(self.log_calls);
        match &self.metrics {
            Some(address) => builder.metrics_addr(address),
            None => builder,
        }
    }
}
