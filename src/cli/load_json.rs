//! The report of `loopswap load` as one JSON object. Names carry their units, and stay as they are: scripts read them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::load::{Early, Latencies, Report};

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Facts {
    pub(super) concurrency: usize,
    pub(super) connections: usize,
    pub(super) rps: u32,
    pub(super) addr: String,
    pub(super) runtime: &'static str,
}

/// The object. What only right calls have is null where there are none.
#[derive(Debug, Serialize)]
pub(super) struct Json<'a> {
    count: u64,
    ok: u64,
    total_s: f64,
    slowest_ms: Option<f64>,
    fastest_ms: Option<f64>,
    average_ms: Option<f64>,
    requests_per_second: f64,
    /// `p10` to `p99`, and `p999`.
    latency_ms: Option<BTreeMap<String, f64>>,
    /// With `wrong_replies` they make `count`.
    statuses: BTreeMap<&'static str, u64>,
    errors: Vec<Message<'a>>,
    /// Where requests or answers are streams; else null. What was received is that of the right calls.
    messages_sent_a_call: Option<u64>,
    messages_received: Option<u64>,
    wrong_replies: u64,
    /// Calls without a reply when the run was interrupted; not in `count`.
    abandoned: u64,
    interrupted: bool,
    /// Why no connection was left, if none was.
    gave_up: Option<&'a str>,
    #[serde(flatten)]
    facts: Facts,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    message: &'a str,
    count: u64,
}

impl<'a> Json<'a> {
    pub(super) fn new(report: &'a Report, facts: Facts) -> Self {
        let latencies = report.latencies.as_ref();
        let percentile = |(percent, latency): (f64, Duration)| (format!("p{percent}").replace('.', ""), ms(latency));
        let percentiles = |latencies: &Latencies| latencies.percentiles.map(percentile).into_iter().collect();
        Self {
            count: report.count,
            ok: report.ok,
            total_s: report.total.as_secs_f64(),
            slowest_ms: latencies.map(|latencies| ms(latencies.slowest)),
            fastest_ms: latencies.map(|latencies| ms(latencies.fastest)),
            average_ms: latencies.map(|latencies| ms(latencies.average)),
            requests_per_second: report.requests_per_second(),
            latency_ms: latencies.map(percentiles),
            statuses: report.statuses.iter().copied().collect(),
            errors: report.errors.iter().map(|(message, count)| Message { message, count: *count }).collect(),
            messages_sent_a_call: report.messages.map(|messages| messages.sent_a_call),
            messages_received: report.messages.map(|messages| messages.received),
            wrong_replies: report.wrong_replies,
            abandoned: report.abandoned,
            interrupted: matches!(report.early, Some(Early::Interrupted)),
            gave_up: match &report.early {
                Some(Early::GivenUp(status)) => Some(status.message()),
                _ => None,
            },
            facts,
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Messages;

    #[test]
    fn the_names_stay_as_they_are() {
        let ms = Duration::from_millis;
        let percents = [10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9];
        let report = Report {
            count: 3,
            ok: 1,
            wrong_replies: 1,
            abandoned: 4,
            total: ms(1500),
            latencies: Some(Latencies {
                fastest: ms(1),
                slowest: ms(3),
                average: Duration::from_micros(1500),
                percentiles: percents.map(|percent| (percent, ms(2))),
                histogram: Vec::new(),
            }),
            statuses: vec![("OK", 1), ("INTERNAL", 1)],
            errors: vec![("INTERNAL: no".into(), 1)],
            messages: Some(Messages { sent_a_call: 2, received: 7 }),
            early: Some(Early::Interrupted),
        };
        let facts = Facts { concurrency: 2, connections: 1, rps: 0, addr: "[::1]:9999".into(), runtime: "tokio" };
        let expected = concat!(
            r#"{"count":3,"ok":1,"total_s":1.5,"slowest_ms":3.0,"fastest_ms":1.0,"average_ms":1.5,"requests_per_second":2.0,"#,
            r#""latency_ms":{"p10":2.0,"p25":2.0,"p50":2.0,"p75":2.0,"p90":2.0,"p95":2.0,"p99":2.0,"p999":2.0},"#,
            r#""statuses":{"INTERNAL":1,"OK":1},"errors":[{"message":"INTERNAL: no","count":1}],"#,
            r#""messages_sent_a_call":2,"messages_received":7,"wrong_replies":1,"#,
            r#""abandoned":4,"interrupted":true,"gave_up":null,"#,
            r#""concurrency":2,"connections":1,"rps":0,"addr":"[::1]:9999","runtime":"tokio"}"#,
        );
        assert_eq!(serde_json::to_string(&Json::new(&report, facts)).unwrap(), expected);
    }
}
