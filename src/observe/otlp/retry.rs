//! What to do about an export that was refused: OTLP's rules ("Failures", "OTLP/gRPC Throttling").

use std::time::Duration;

use prost::Message;
use tonic::{Code, Status};

use crate::jitter::{jittered, random};

/// The wait after the first failure; each is twice as long as the one before, but for its jitter.
const INITIAL: Duration = Duration::from_secs(1);

/// The longest wait, before its jitter.
const MAX: Duration = Duration::from_secs(30);

/// A wait differs from its plan by this share at most, so that servers which lost a collector together do not come back together.
const JITTER: f64 = 0.2;

/// After how long to try again, what was refused so after so many failures before. `None`: never, the collector will not have it.
pub(super) fn pause(refusal: &Status, n_failures: u32) -> Option<Duration> {
    let told = told(refusal.details());
    let may_retry = match refusal.code() {
        Code::Cancelled | Code::DeadlineExceeded | Code::Aborted | Code::OutOfRange | Code::Unavailable | Code::DataLoss => true,
        // It recovers only if it says when.
        Code::ResourceExhausted => told.is_some(),
        _ => false,
    };
    let planned = || jittered(MAX.min(INITIAL * 2_u32.pow(n_failures.min(5))), JITTER, random());
    may_retry.then(|| told.unwrap_or_else(planned))
}

/// When the collector asks to be asked again: `google.rpc.RetryInfo` among the status' details.
fn told(details: &[u8]) -> Option<Duration> {
    let status = RichStatus::decode(details).ok()?;
    let info = status.details.iter().find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    Some(Duration::new(u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?))
}

/// `google.rpc.Status`, as far as it matters here.
#[derive(Clone, PartialEq, Message)]
struct RichStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    /// The table of the protocol's specification.
    #[test]
    fn is_tried_again_by_the_table() {
        for n in 1..17 {
            let code = Code::from(n);
            let wanted = matches!(n, 1 | 4 | 10 | 11 | 14 | 15);
            assert_eq!(pause(&Status::new(code, ""), 0).is_some(), wanted, "{code:?}");
        }
    }

    #[test]
    fn waits_as_long_as_it_is_told() {
        let told = |code, delay| {
            let details = ErrorDetails::with_retry_info(Some(delay));
            pause(&Status::with_error_details(code, "", details), 4)
        };
        let delay = Duration::from_millis(70_500);
        assert_eq!(told(Code::Unavailable, delay), Some(delay));
        assert_eq!(told(Code::ResourceExhausted, delay), Some(delay));
        assert_eq!(told(Code::InvalidArgument, delay), None);
        let other = Status::with_error_details(Code::ResourceExhausted, "", ErrorDetails::with_quota_failure_violation("", ""));
        assert_eq!(pause(&other, 0), None);
        let noise = Status::with_details(Code::Unavailable, "", vec![0xff].into());
        assert!(pause(&noise, 0).is_some(), "what cannot be read says nothing");
    }

    #[test]
    fn waits_longer_each_time_and_no_longer_than_30_s() {
        let refusal = Status::unavailable("");
        for (n, seconds) in [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 30), (6, 30), (u32::MAX, 30)] {
            let pause = pause(&refusal, n).unwrap().as_secs_f64();
            assert!((0.8..=1.2).contains(&(pause / f64::from(seconds))), "{n}: {pause} s");
        }
    }
}
