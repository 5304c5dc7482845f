//! Counting calls as they end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tonic::{Code, Status};

use crate::grpc::code_name;
use crate::load::report::{Bucket, PERCENTILES};
use crate::load::{Early, Latencies, Report};

/// Different messages that are told apart; the rest is counted together.
const MESSAGES_MAX: usize = 100;

/// Codes of gRPC, from 0 on.
const N_CODES: usize = 17;

/// Steps between the fastest and the slowest call, as ghz has them.
const N_STEPS: u32 = 10;

/// How a call ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// With OK, and the reply that was expected: so many messages.
    Right { n_messages: u64 },
    /// With OK, and something else.
    Wrong(String),
    /// With another status.
    Failed(Status),
}

/// What is known of the calls that have ended. Latencies are those of the right ones.
#[derive(Debug)]
pub(super) struct Tally {
    start: Instant,
    last: Instant,
    count: u64,
    wrong_replies: u64,
    /// Of right calls.
    n_messages: u64,
    codes: [u64; N_CODES],
    messages: BTreeMap<String, u64>,
    /// In nanoseconds, to three digits.
    latencies: Histogram<u64>,
    fastest: Duration,
    slowest: Duration,
    sum: Duration,
}

impl Tally {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            last: start,
            count: 0,
            wrong_replies: 0,
            n_messages: 0,
            codes: [0; N_CODES],
            messages: BTreeMap::new(),
            latencies: Histogram::new(3).expect("0 to 5 digits can be kept"),
            fastest: Duration::MAX,
            slowest: Duration::ZERO,
            sum: Duration::ZERO,
        }
    }

    /// Counts a call that was due at one time and ended at another.
    pub(super) fn add(&mut self, outcome: Outcome, due: Instant, ended: Instant) {
        self.last = ended;
        self.count += 1;
        match outcome {
            Outcome::Right { n_messages } => {
                self.n_messages += n_messages;
                self.codes[Code::Ok as usize] += 1;
                let latency = ended.saturating_duration_since(due);
                self.fastest = self.fastest.min(latency);
                self.slowest = self.slowest.max(latency);
                self.sum += latency;
                self.latencies.record(nanoseconds(latency)).expect("the histogram grows");
            }
            Outcome::Wrong(what) => {
                self.wrong_replies += 1;
                self.add_message(what);
            }
            Outcome::Failed(status) => {
                self.codes[status.code() as usize] += 1;
                self.add_message(format!("{}: {}", code_name(status.code()), status.message()));
            }
        }
    }

    fn add_message(&mut self, message: String) {
        let is_one_too_many = self.messages.len() >= MESSAGES_MAX && !self.messages.contains_key(&message);
        *self.messages.entry(if is_one_too_many { "other messages".into() } else { message }).or_default() += 1;
    }

    /// The messages of the right calls' answers.
    pub(super) fn n_messages(&self) -> u64 {
        self.n_messages
    }

    /// What it comes to, without the messages of streams.
    pub(super) fn report(&self, early: Option<Early>, abandoned: u64) -> Report {
        let mut errors: Vec<_> = self.messages.iter().map(|(message, n)| (message.clone(), *n)).collect();
        // The sort is stable: among equals, by message.
        errors.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let codes = self.codes.iter().enumerate().filter(|(_, n)| **n > 0);
        Report {
            count: self.count,
            ok: self.codes[Code::Ok as usize],
            wrong_replies: self.wrong_replies,
            abandoned,
            total: self.last.duration_since(self.start),
            latencies: self.latencies(),
            statuses: codes.map(|(code, n)| (code_name(Code::from_i32(code as i32)), *n)).collect(),
            errors,
            messages: None,
            early,
        }
    }

    fn latencies(&self) -> Option<Latencies> {
        let n = self.latencies.len();
        if n == 0 {
            return None;
        }
        // A histogram knows a value to three digits; the ends are known exactly.
        let exact = |ns| Duration::from_nanos(ns).clamp(self.fastest, self.slowest);
        Some(Latencies {
            fastest: self.fastest,
            slowest: self.slowest,
            average: Duration::from_nanos((self.sum.as_nanos() / u128::from(n)) as u64),
            percentiles: PERCENTILES.map(|percent| (percent, exact(self.latencies.value_at_quantile(percent / 100.0)))),
            histogram: self.histogram(),
        })
    }

    /// Each bucket counts what took up to its mark, and longer than the one before.
    fn histogram(&self) -> Vec<Bucket> {
        let step = (self.slowest - self.fastest) / N_STEPS;
        let mark = |n| if n == N_STEPS { self.slowest } else { self.fastest + step * n };
        let mut buckets: Vec<_> = (0..=N_STEPS).map(|n| Bucket { mark: mark(n), count: 0 }).collect();
        for cell in self.latencies.iter_recorded() {
            let lowest = self.latencies.lowest_equivalent(cell.value_iterated_to());
            let latency = Duration::from_nanos(lowest).clamp(self.fastest, self.slowest);
            let bucket = buckets.iter_mut().find(|bucket| latency <= bucket.mark).expect("the last mark is the slowest");
            bucket.count += cell.count_since_last_iteration();
        }
        buckets
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Calls that took 1 ms, 2 ms, up to 100 ms, one after the other from `start`.
    fn hundred(start: Instant) -> Tally {
        let mut tally = Tally::new(start);
        let mut now = start;
        for n in 1..=100 {
            tally.add(Outcome::Right { n_messages: 1 }, now, now + MS * n);
            now += MS * n;
        }
        tally
    }

    #[test]
    fn reports_what_was_counted() {
        let start = Instant::now();
        let report = hundred(start).report(None, 0);
        assert_eq!((report.count, report.ok, report.total), (100, 100, MS * 5050));
        assert!((report.requests_per_second() - 100.0 / 5.05).abs() < 1e-9);
        assert!(report.is_success());
        let latencies = report.latencies.unwrap();
        assert_eq!((latencies.fastest, latencies.slowest, latencies.average), (MS, MS * 100, Duration::from_micros(50_500)));
        for (percent, latency) in latencies.percentiles {
            let (expected, known) = (percent.ceil() / 1000.0, latency.as_secs_f64());
            assert!((known / expected - 1.0).abs() < 0.001, "{percent} %: {known} s, not {expected} s");
        }
    }

    #[test]
    fn the_histogram_holds_each_call_once() {
        let histogram = hundred(Instant::now()).report(None, 0).latencies.unwrap().histogram;
        assert_eq!(histogram.len(), 11);
        assert_eq!((histogram[0].mark, histogram[0].count, histogram[10].mark), (MS, 1, MS * 100));
        assert_eq!(histogram.iter().map(|bucket| bucket.count).sum::<u64>(), 100);
        assert!(histogram[1..].iter().all(|bucket| (9..=11).contains(&bucket.count)), "{histogram:?}");
    }

    #[test]
    fn all_calls_alike_make_one_bucket() {
        let now = Instant::now();
        let mut tally = Tally::new(now);
        tally.add(Outcome::Right { n_messages: 1 }, now, now + MS);
        tally.add(Outcome::Right { n_messages: 1 }, now, now + MS);
        let histogram = tally.report(None, 0).latencies.unwrap().histogram;
        assert_eq!(histogram.iter().map(|bucket| bucket.count).collect::<Vec<_>>(), [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn failures_have_no_latency_and_are_told_apart() {
        let now = Instant::now();
        let mut tally = Tally::new(now);
        tally.add(Outcome::Failed(Status::unavailable("b")), now, now + MS);
        tally.add(Outcome::Failed(Status::unavailable("a")), now, now + MS);
        tally.add(Outcome::Failed(Status::internal("c")), now, now + MS);
        tally.add(Outcome::Failed(Status::internal("c")), now, now + MS * 2);
        tally.add(Outcome::Wrong("wrong reply".into()), now, now + MS);
        let report = tally.report(None, 0);
        assert!(report.latencies.is_none() && !report.is_success());
        assert_eq!((report.count, report.ok, report.wrong_replies), (5, 0, 1));
        assert_eq!(report.statuses, [("INTERNAL", 2), ("UNAVAILABLE", 2)]);
        let errors: Vec<_> = report.errors.iter().map(|(message, n)| (message.as_str(), *n)).collect();
        assert_eq!(errors, [("INTERNAL: c", 2), ("UNAVAILABLE: a", 1), ("UNAVAILABLE: b", 1), ("wrong reply", 1)]);
    }

    #[test]
    fn messages_are_bounded() {
        let now = Instant::now();
        let mut tally = Tally::new(now);
        for n in 0..MESSAGES_MAX + 7 {
            tally.add(Outcome::Wrong(n.to_string()), now, now);
        }
        let report = tally.report(None, 0);
        assert_eq!(report.errors.len(), MESSAGES_MAX + 1);
        assert_eq!(report.errors[0], ("other messages".into(), 7));
    }
}
