//! The report of `loopswap load` as text: ghz's summary, so that the article's figures and ours stand side by side.

use std::fmt::Write;
use std::time::Duration;

use crate::cli::terminal::{BAD, BAR, GOOD, HEADING, styled};
use crate::load::{Amount, Early, Latencies, Messages, Report};

/// The longest bar of the histogram, in characters.
const BAR_LEN: u64 = 40;

/// The whole report.
pub(super) fn text(report: &Report, amount: Amount, coloured: bool) -> String {
    let mut out = String::new();
    write_to(&mut out, report, amount, coloured).expect("a String takes everything");
    out
}

fn write_to(out: &mut String, report: &Report, amount: Amount, coloured: bool) -> std::fmt::Result {
    let heading = styled(HEADING, coloured);
    // Where no call was right, none has a latency.
    let of = |pick: fn(&Latencies) -> Duration| report.latencies.as_ref().map_or("-".into(), |latencies| time(pick(latencies)));
    writeln!(out, "{heading}Summary:{heading:#}")?;
    writeln!(out, "  Count:\t{}", report.count)?;
    writeln!(out, "  Total:\t{}", time(report.total))?;
    writeln!(out, "  Slowest:\t{}", of(|latencies| latencies.slowest))?;
    writeln!(out, "  Fastest:\t{}", of(|latencies| latencies.fastest))?;
    writeln!(out, "  Average:\t{}", of(|latencies| latencies.average))?;
    writeln!(out, "  Requests/sec:\t{:.2}", report.requests_per_second())?;
    if let Some(Messages { sent_a_call, received }) = report.messages {
        writeln!(out, "  Messages:\t{sent_a_call} sent by each call; {received} received, {:.2} a right call", mean(received, report.ok))?;
    }
    if let Some(latencies) = &report.latencies {
        writeln!(out, "\n{heading}Response time histogram:{heading:#}")?;
        write_histogram(out, latencies, coloured)?;
        writeln!(out, "\n{heading}Latency distribution:{heading:#}")?;
        for (percent, latency) in latencies.percentiles {
            writeln!(out, "  {percent} % in {}", time(latency))?;
        }
    }
    if report.count > 0 {
        writeln!(out, "\n{heading}Status code distribution:{heading:#}")?;
        let wrong = (report.wrong_replies > 0).then_some(("WRONG REPLY", report.wrong_replies));
        let rows: Vec<_> = report.statuses.iter().copied().chain(wrong).collect();
        let width = rows.iter().map(|(status, _)| status.len()).max().unwrap_or_default();
        for (status, n) in rows {
            let style = styled(if status == "OK" { GOOD } else { BAD }, coloured);
            writeln!(out, "  {style}[{status}]{style:#}{:pad$}   {n} responses", "", pad = width - status.len())?;
        }
    }
    if !report.errors.is_empty() {
        writeln!(out, "\n{heading}Error distribution:{heading:#}")?;
        let width = report.errors.iter().map(|(_, n)| n.to_string().len()).max().unwrap_or_default();
        for (message, n) in &report.errors {
            writeln!(out, "  [{n}]{:pad$}   {message}", "", pad = width - n.to_string().len())?;
        }
    }
    if let Some(early) = &report.early {
        let bad = styled(BAD, coloured);
        let what = match early {
            Early::Interrupted => "Interrupted",
            Early::GivenUp(_) => "Given up",
        };
        writeln!(out, "\n{bad}{what}{bad:#} {}", ending(report, amount, early))?;
    }
    Ok(())
}

/// How a run ended that did not go to its end.
fn ending(report: &Report, amount: Amount, early: &Early) -> String {
    let mut text = match amount {
        Amount::Calls(total) => format!("after {} of {total} calls", report.count),
        Amount::Time(time) => format!("after {:.1} s of {}", report.total.as_secs_f64(), humantime::format_duration(time)),
    };
    if report.abandoned > 0 {
        text.push_str(&format!("; {} more had no reply yet", report.abandoned));
    }
    if let Early::GivenUp(status) = early {
        text.push_str(&format!("; no connection is left: {}", status.message()));
    }
    text
}

fn write_histogram(out: &mut String, latencies: &Latencies, coloured: bool) -> std::fmt::Result {
    let bar_style = styled(BAR, coloured);
    let rows: Vec<_> = latencies.histogram.iter().map(|bucket| (format!("{:.3}", ms(bucket.mark)), bucket.count)).collect();
    let mark_width = rows.iter().map(|(mark, _)| mark.len()).max().unwrap_or_default();
    let most = rows.iter().map(|(_, n)| *n).max().unwrap_or_default().max(1);
    let count_width = most.to_string().len();
    for (mark, n) in rows {
        let bar = "∎".repeat(((n * BAR_LEN + most / 2) / most) as usize);
        let pad = count_width - n.to_string().len();
        writeln!(out, "  {mark:mark_width$} [{n}]{:pad$} |{bar_style}{bar}{bar_style:#}", "")?;
    }
    Ok(())
}

/// As ghz writes times: nanoseconds below 10 µs, milliseconds below 1 s, then seconds.
fn time(duration: Duration) -> String {
    if duration < Duration::from_micros(10) {
        format!("{} ns", duration.as_nanos())
    } else if ms(duration) < 1000.0 {
        format!("{:.2} ms", ms(duration))
    } else {
        format!("{:.2} s", duration.as_secs_f64())
    }
}

/// 0 where there is nothing to divide by.
fn mean(sum: u64, n: u64) -> f64 {
    if n == 0 { 0.0 } else { sum as f64 / n as f64 }
}

fn ms(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;
    use crate::load::Bucket;

    fn report() -> Report {
        let ms = Duration::from_millis;
        let us = Duration::from_micros;
        let percents = [10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9];
        let latencies = Latencies {
            fastest: us(9_940),
            slowest: ms(45),
            average: us(26_340),
            percentiles: percents.map(|percent| (percent, us((percent * 450.0) as u64))),
            histogram: vec![
                Bucket { mark: us(9_940), count: 1 },
                Bucket { mark: ms(30), count: 8000 },
                Bucket { mark: ms(45), count: 1999 },
            ],
        };
        Report {
            count: 10_000,
            ok: 10_000,
            wrong_replies: 0,
            abandoned: 0,
            total: ms(2_669),
            latencies: Some(latencies),
            statuses: vec![("OK", 10_000)],
            errors: Vec::new(),
            messages: None,
            early: None,
        }
    }

    #[test]
    fn is_ghzs_summary() {
        let expected = "\
Summary:
  Count:\t10000
  Total:\t2.67 s
  Slowest:\t45.00 ms
  Fastest:\t9.94 ms
  Average:\t26.34 ms
  Requests/sec:\t3746.72

Response time histogram:
  9.940  [1]    |
  30.000 [8000] |∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎∎
  45.000 [1999] |∎∎∎∎∎∎∎∎∎∎

Latency distribution:
  10 % in 4.50 ms
  25 % in 11.25 ms
  50 % in 22.50 ms
  75 % in 33.75 ms
  90 % in 40.50 ms
  95 % in 42.75 ms
  99 % in 44.55 ms
  99.9 % in 44.95 ms

Status code distribution:
  [OK]   10000 responses
";
        assert_eq!(text(&report(), Amount::Calls(10_000), false), expected);
    }

    #[test]
    fn lists_what_went_wrong() {
        let report = Report {
            count: 112,
            ok: 0,
            wrong_replies: 2,
            abandoned: 3,
            total: Duration::from_nanos(500),
            latencies: None,
            statuses: vec![("DEADLINE_EXCEEDED", 10), ("UNAVAILABLE", 100)],
            errors: vec![("UNAVAILABLE: the connection broke".into(), 100), ("wrong reply: \"Bye\"".into(), 2)],
            messages: None,
            early: Some(Early::GivenUp(Status::unavailable("nobody listens"))),
        };
        let expected = "
Status code distribution:
  [DEADLINE_EXCEEDED]   10 responses
  [UNAVAILABLE]         100 responses
  [WRONG REPLY]         2 responses

Error distribution:
  [100]   UNAVAILABLE: the connection broke
  [2]     wrong reply: \"Bye\"

Given up after 112 of 200 calls; 3 more had no reply yet; no connection is left: nobody listens
";
        let text = text(&report, Amount::Calls(200), false);
        assert!(text.contains("  Total:\t500 ns\n  Slowest:\t-\n  Fastest:\t-\n  Average:\t-\n"), "{text}");
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn messages_are_counted_where_they_stream() {
        let streams = |received, ok| Report { messages: Some(Messages { sent_a_call: 3, received }), ok, ..report() };
        let text = |report| text(&report, Amount::Calls(10_000), false);
        let (some, none) = (text(streams(50_000, 10_000)), text(streams(0, 0)));
        assert!(some.contains("\n  Messages:\t3 sent by each call; 50000 received, 5.00 a right call\n"), "{some}");
        assert!(none.contains("; 0 received, 0.00 a right call\n"), "{none}");
    }

    #[test]
    fn colours_are_asked_for() {
        assert!(!text(&report(), Amount::Calls(1), false).contains('\u{1b}'));
        assert!(text(&report(), Amount::Calls(1), true).contains("\u{1b}[32m[OK]\u{1b}[0m   10000 responses"));
    }
}
