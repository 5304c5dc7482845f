//! Spans of calls, exported to a collector that is a server of ours: what they say, whose they are, and what becomes of them when it is slow, away or refuses them.
//!
//! `collector` is the collector. That its messages are OpenTelemetry's is looked at by another's definitions, in `tests/foreign`.

mod away;
mod collector;
mod environment;
mod flush;
mod nested;
mod refused;
mod spans;

use std::net::SocketAddr;

use crate::support::{Served, loopswap, served};

/// Serves on this loop and engine, with metrics, and exports to this collector.
fn serve_exporting(runtime: &str, engine: &str, collector: SocketAddr, args: &[&str]) -> (Served, SocketAddr) {
    let mut command = loopswap();
    command.args(["serve", "--runtime", runtime, "--http2", engine, "--workers", "1", "--addr", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
    let served = served(command.args(["--otlp", &format!("http://{collector}"), "--otlp-service", "shop"]).args(args));
    let metrics = crate::observe::metrics_addr(&served);
    (served, metrics)
}
