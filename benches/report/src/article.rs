//! The article's own figures, on its machine: 100 calls in flight on one connection, each sleeps 10 ms, 10,000 calls.

/// A row of the article.
pub(crate) struct Row {
    pub(crate) server: &'static str,
    pub(crate) http2: &'static str,
    pub(crate) runtime: &'static str,
    pub(crate) total_s: f64,
    pub(crate) slowest_ms: f64,
    pub(crate) fastest_ms: f64,
    pub(crate) average_ms: f64,
    pub(crate) requests_per_second: f64,
}

pub(crate) const ROWS: [Row; 6] = [
    row("grpcio, 100 threads", "gRPC C-core", "threads", [2.67, 45.01, 12.04, 26.34, 3746.87]),
    row("grpcio, gevent", "gRPC C-core", "gevent", [5.23, 69.31, 13.43, 51.83, 1913.44]),
    row("grpclib", "pure-Python h2", "asyncio", [6.37, 96.38, 31.54, 63.33, 1571.05]),
    row("grpclib", "pure-Python h2", "uvloop", [5.44, 90.97, 38.18, 53.13, 1839.73]),
    row("grpc.aio", "gRPC C-core", "asyncio", [2.15, 30.56, 11.09, 21.19, 4643.73]),
    row("grpc.aio", "gRPC C-core", "uvloop", [1.45, 25.14, 9.41, 14.08, 6885.81]),
];

const fn row(server: &'static str, http2: &'static str, runtime: &'static str, figures: [f64; 5]) -> Row {
    let [total_s, slowest_ms, fastest_ms, average_ms, requests_per_second] = figures;
    Row { server, http2, runtime, total_s, slowest_ms, fastest_ms, average_ms, requests_per_second }
}

/// What uvloop bought over asyncio under the same server there: requests a second, as a ratio.
pub(crate) fn loop_ratio(server: &str) -> f64 {
    let rate = |runtime: &str| {
        ROWS.iter().find(|row| row.server == server && row.runtime == runtime).map_or(f64::NAN, |row| row.requests_per_second)
    };
    rate("uvloop") / rate("asyncio")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The article says +48 % and +17 %.
    #[test]
    fn its_findings_follow_from_its_rows() {
        assert_eq!((loop_ratio("grpc.aio") * 100.0).round(), 148.0);
        assert_eq!((loop_ratio("grpclib") * 100.0).round(), 117.0);
    }
}
