//! `grpc-timeout`, written.

use std::time::Duration;

/// At most eight digits and a unit; the finest that fits, rounded up (gRPC, PROTOCOL-HTTP2.md).
pub(super) fn grpc_timeout(timeout: Duration) -> String {
    const DIGITS_MAX: u128 = 99_999_999;
    let units = [("n", 1), ("u", 1_000), ("m", 1_000_000), ("S", 1_000_000_000), ("M", 60_000_000_000), ("H", 3_600_000_000_000)];
    let fitting = units.iter().map(|(unit, ns)| (unit, timeout.as_nanos().div_ceil(*ns))).find(|(_, n)| *n <= DIGITS_MAX);
    fitting.map_or_else(|| format!("{DIGITS_MAX}H"), |(unit, n)| format!("{n}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_timeout_in_the_finest_unit_that_fits() {
        assert_eq!(grpc_timeout(Duration::from_nanos(1)), "1n");
        assert_eq!(grpc_timeout(Duration::from_millis(10)), "10000000n");
        assert_eq!(grpc_timeout(Duration::from_millis(100)), "100000u");
        assert_eq!(grpc_timeout(Duration::from_secs(20)), "20000000u");
        assert_eq!(grpc_timeout(Duration::new(100, 1)), "100001m");
        assert_eq!(grpc_timeout(Duration::MAX), "99999999H");
    }
}
