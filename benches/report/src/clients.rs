//! The same server under our load generator and under h2load, in turn: whether they find the same, and what it is where they do not.
//!
//! Ours words its requests as h2load does here, so that the server has the same work. A client that is slower than the server lets it run out of work: it
//! waits, and what it spends on falling asleep and being woken is counted as its CPU. A client that is faster falls asleep itself, and the server pays for
//! waking it. So clients may differ although each measures rightly, and then the waits tell.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::figures::Spread;
use crate::number::{figure, ratio};
use crate::run::{Extra, Run};
use crate::verdict::{STEP_MIN, Verdict};

/// A server under one of the two clients, in a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drive {
    /// From 0.
    pub round: u32,
    /// A row's id.
    pub row: String,
    /// A shape's id.
    pub shape: String,
    /// Who loaded it.
    pub client: Driver,
    /// Counted calls.
    pub calls: u32,
    /// What came of it.
    pub outcome: Driven,
}

/// Who loads a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// `loopswap load`.
    Loopswap,
    /// nghttp2's.
    H2load,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driven {
    /// Every call was answered.
    Measured(Driving),
    /// What went wrong, in a line.
    Failed(String),
}

/// The figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Driving {
    /// Answers a second.
    pub requests_per_second: f64,
    /// CPU time of the server a call, in microseconds.
    pub cpu_us: f64,
    /// How often the server fell asleep, a call: its voluntary context switches.
    pub waits: f64,
    /// How often the client did, to be woken by the server. Not counted in earlier files.
    #[serde(default)]
    pub client_waits: f64,
}

impl Driving {
    /// What the server pays for beside the calls: to fall asleep and be woken, and to wake the client.
    fn all_waits(&self) -> f64 {
        self.waits + self.client_waits
    }
}

/// What a wait more may cost a server at most, in microseconds, to explain a difference: to fall asleep, to be woken, and to find its caches cold; or to wake a
/// client on another CPU.
const WAIT_US_MAX: f64 = 30.0;

/// What a pair of figures says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    Agree,
    /// They differ, and there are more waits under the client under which the server costs more.
    Waits,
    Differ,
    TooFew,
}

/// The figures of the two clients, ours first, in the rounds that have both.
type Rounds<'a> = Vec<(&'a Driving, &'a Driving)>;

/// The table, where this was measured.
pub(crate) fn beside_h2load(run: &Run) -> Option<Extra> {
    let mut findings = Vec::new();
    let rows: Vec<_> = pairs(run).into_iter().map(|(row, shape)| of_pair(run, row, shape, &mut findings)).collect();
    let words = [
        "server and load",
        "req/s, ours",
        "h2load ÷ ours",
        "CPU µs a call, ours",
        "h2load ÷ ours",
        "waits a 1,000 calls, server + client, ours",
        "h2load",
        "CPU a call",
    ];
    let title = "Our load generator beside h2load: the same server, the same load, in turn".into();
    (!rows.is_empty()).then(|| Extra { title, note: note(&findings), columns: words.map(String::from).to_vec(), rows })
}

fn note(findings: &[Finding]) -> String {
    let n = |of| findings.iter().filter(|finding| **finding == of).count();
    let mut parts = vec![format!("By the server's CPU a call, {} of {} pairs agree within noise", n(Finding::Agree), findings.len())];
    if n(Finding::Waits) > 0 {
        parts.push(format!("in {} they differ where there are more waits under one of them", n(Finding::Waits)));
    }
    if n(Finding::Differ) > 0 {
        parts.push(format!("{} differ for a reason that was not measured", n(Finding::Differ)));
    }
    if n(Finding::TooFew) > 0 {
        parts.push(format!("of {} there are too few rounds", n(Finding::TooFew)));
    }
    format!(
        "{}. Our client words its requests as h2load does, so that the server has the same work. Of a server that is faster than its client, requests a second are the client's, and h2load can be the slower one. Such a server runs out of work: it falls asleep and is woken, at its own cost; and a client that runs out of answers falls asleep, and the server spends what it takes to wake it. A wait is either of these, and at most {WAIT_US_MAX:.0} µs a wait more are taken for an explanation. Medians over the rounds; a ratio is within a round.",
        parts.join("; ")
    )
}

fn of_pair(run: &Run, row: &str, shape: &str, findings: &mut Vec<Finding>) -> Vec<String> {
    let name = run.row(row).map_or(row.to_owned(), |row| format!("{}, {}", row.name, row.http2));
    let title = run.shapes.iter().find(|of| of.id == shape).map_or(shape, |shape| shape.title.as_str());
    let mut cells = vec![format!("{name}: {title}")];
    let rounds = match rounds_of(run, row, shape) {
        Ok(rounds) => rounds,
        Err(why) => {
            cells.extend(std::iter::repeat_n(String::new(), 6));
            cells.push(format!("failed: {why}"));
            return cells;
        }
    };
    let median =
        |of: fn(&(&Driving, &Driving)) -> f64| Spread::of(rounds.iter().map(of)).map_or(String::new(), |spread| figure(spread.median));
    let step =
        |of: fn(&(&Driving, &Driving)) -> f64| Spread::of(rounds.iter().map(of)).map_or(String::new(), |spread| ratio(spread.median));
    cells.extend([
        median(|(ours, _)| ours.requests_per_second),
        step(|(ours, other)| other.requests_per_second / ours.requests_per_second),
        median(|(ours, _)| ours.cpu_us),
        step(|(ours, other)| other.cpu_us / ours.cpu_us),
        waits(&rounds, |(ours, _)| *ours),
        waits(&rounds, |(_, other)| *other),
    ]);
    let finding = find(&rounds);
    findings.push(finding);
    cells.push(
        match finding {
            Finding::Agree => "agree within noise",
            Finding::Waits => "differ with the waits",
            Finding::Differ => "differ",
            Finding::TooFew => "too few rounds",
        }
        .into(),
    );
    cells
}

/// The server's and the client's waits in a thousand calls, `10.1 + 58.7`.
fn waits<'a>(rounds: &Rounds<'a>, of: fn(&(&'a Driving, &'a Driving)) -> &'a Driving) -> String {
    let median = |waits: fn(&Driving) -> f64| {
        Spread::of(rounds.iter().map(|round| waits(of(round)) * 1e3)).map_or(String::new(), |spread| figure(spread.median))
    };
    format!("{} + {}", median(|driving| driving.waits), median(|driving| driving.client_waits))
}

fn find(rounds: &Rounds<'_>) -> Finding {
    let Some(step) = Spread::of(rounds.iter().map(|(ours, other)| other.cpu_us / ours.cpu_us)) else { return Finding::TooFew };
    match Verdict::of_ratio(&step) {
        Verdict::TooFew => Finding::TooFew,
        Verdict::Undecided => Finding::Agree,
        Verdict::Greater | Verdict::Less => {
            // A round in which they hardly differ has nothing to explain.
            let differing = rounds.iter().filter(|(ours, other)| (other.cpu_us / ours.cpu_us - 1.0).abs() >= STEP_MIN);
            let of_waits = differing.map(|(ours, other)| (other.cpu_us - ours.cpu_us) / (other.all_waits() - ours.all_waits()));
            let a_wait = Spread::of(of_waits.map(|us| if us.is_finite() { us } else { f64::MAX }));
            // In every other one they wait more often where they cost more.
            if a_wait.is_some_and(|us| us.min > 0.0 && us.median <= WAIT_US_MAX) { Finding::Waits } else { Finding::Differ }
        }
    }
}

/// Which servers were driven by both, in which shapes, in the order of time.
fn pairs(run: &Run) -> Vec<(&str, &str)> {
    let mut pairs = Vec::new();
    for drive in &run.drives {
        let pair = (drive.row.as_str(), drive.shape.as_str());
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    // In the order of the rows, as in every other table; whichever way the first round went.
    pairs.sort_by_key(|(row, _)| run.rows.iter().position(|of| of.id == *row));
    pairs
}

/// The figures of the rounds that have both; or what failed in one of them.
fn rounds_of<'a>(run: &'a Run, row: &str, shape: &str) -> Result<Rounds<'a>, &'a str> {
    let of = |client: Driver| run.drives.iter().filter(move |drive| drive.row == row && drive.shape == shape && drive.client == client);
    let measured = |drive: &'a Drive| match &drive.outcome {
        Driven::Measured(driving) => Ok(driving),
        Driven::Failed(why) => Err(why.as_str()),
    };
    let both = |ours: &'a Drive| {
        let other = of(Driver::H2load).find(|other| other.round == ours.round)?;
        Some(measured(ours).and_then(|ours| Ok((ours, measured(other)?))))
    };
    of(Driver::Loopswap).filter_map(both).collect()
}

impl Run {
    /// Each names a row and a shape of the run, once a round and client, with figures that can be measured.
    pub(crate) fn check_drives(&self) -> Result<(), String> {
        let mut seen = HashSet::new();
        for Drive { round, row, shape, client, outcome, .. } in &self.drives {
            let name = format!("{row} at {shape} under {client:?} in round {round}");
            let is_known = self.row(row).is_some() && self.shapes.iter().any(|of| of.id == *shape) && *round < self.plan.rounds;
            if !is_known || !seen.insert((round, row, shape, client)) {
                return Err(format!("{name}: the run has no such row, shape or round, or it is there twice"));
            }
            let Driven::Measured(Driving { requests_per_second, cpu_us, waits, client_waits }) = outcome else { continue };
            let are_positive = [*requests_per_second, *cpu_us].iter().all(|figure| figure.is_finite() && *figure > 0.0);
            if !are_positive || ![*waits, *client_waits].iter().all(|waits| waits.is_finite() && *waits >= 0.0) {
                return Err(format!("{name} has a figure that cannot be measured"));
            }
        }
        Ok(())
    }

    /// What failed under the two clients, each in a line.
    pub(crate) fn drive_failures(&self) -> impl Iterator<Item = String> {
        self.drives.iter().filter_map(|drive| match &drive.outcome {
            Driven::Failed(why) => Some(format!("{} at {} under {:?} failed: {why}", drive.row, drive.shape, drive.client)),
            Driven::Measured(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    const ROW: &str = "loopswap-tokio-native";

    /// CPU and waits of our client, and of the other, in three rounds.
    fn run(ours: [(f64, f64); 3], other: [(f64, f64); 3]) -> Run {
        let mut run = Sample::new().run();
        for (client, figures) in [(Driver::Loopswap, ours), (Driver::H2load, other)] {
            for (round, (cpu_us, waits)) in (0..).zip(figures) {
                let outcome = Driven::Measured(Driving { requests_per_second: 1000.0, cpu_us, waits, client_waits: 0.01 });
                run.drives.push(Drive { round, row: ROW.into(), shape: "10x10".into(), client, calls: 100, outcome });
            }
        }
        run
    }

    fn said(run: &Run) -> (String, String) {
        let table = beside_h2load(run).unwrap();
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
        (table.rows[0].last().unwrap().clone(), table.note)
    }

    const OURS: [(f64, f64); 3] = [(1.0, 0.001), (1.1, 0.002), (0.9, 0.001)];

    #[test]
    fn clients_that_find_the_same_agree() {
        let run = run(OURS, [(1.1, 0.001), (1.0, 0.002), (0.9, 0.001)]);
        let (word, note) = said(&run);
        assert_eq!(word, "agree within noise");
        assert!(note.starts_with("By the server's CPU a call, 1 of 1 pairs agree within noise. Our client words"), "{note}");
        let table = beside_h2load(&run).unwrap();
        assert_eq!(table.rows[0][..5], ["loopswap tokio, native: 10 connections × 10, no sleep", "1,000", "1.00", "1.00", "1.00"]);
        assert_eq!(table.rows[0][5..7], ["1.00 + 10.0", "1.00 + 10.0"]);
    }

    #[test]
    fn a_client_that_falls_asleep_is_woken_at_the_servers_cost() {
        let mut run = run([(4.0, 0.001), (4.1, 0.001), (4.0, 0.001)], [(3.6, 0.001), (3.7, 0.001), (3.6, 0.001)]);
        assert_eq!(said(&run).0, "differ", "there are as many waits under both");
        for drive in run.drives.iter_mut().filter(|drive| drive.client == Driver::Loopswap) {
            let Driven::Measured(driving) = &mut drive.outcome else { unreachable!("none failed") };
            driving.client_waits = 0.06;
        }
        assert_eq!(said(&run).0, "differ with the waits", "0.4 µs for 50 of a thousand: 8 µs each");
    }

    #[test]
    fn a_difference_comes_with_waits_or_is_told_as_it_is() {
        let by_waits = [(1.4, 0.041), (1.5, 0.042), (1.3, 0.041)];
        let (word, note) = said(&run(OURS, by_waits));
        assert_eq!(word, "differ with the waits");
        assert!(note.contains("0 of 1 pairs agree within noise; in 1 they differ where there are more waits under one of them"), "{note}");
        assert_eq!(said(&run(by_waits, OURS)).0, "differ with the waits", "whichever lets it wait");
        let one_hardly = [(1.4, 0.041), (1.11, 0.001), (1.3, 0.041)];
        assert_eq!(
            said(&run(OURS, one_hardly)).0,
            "differ with the waits",
            "a round with a step of 1 % explains nothing and contradicts nothing"
        );
        // No wait more; more waits where it costs less; a wait that would cost 400 µs; one round that contradicts.
        for other in [
            [(1.4, 0.001), (1.5, 0.002), (1.3, 0.001)],
            [(0.6, 0.041), (0.5, 0.042), (0.7, 0.041)],
            [(1.4, 0.002), (1.5, 0.003), (1.3, 0.002)],
            [(1.4, 0.041), (1.5, 0.001), (1.3, 0.041)],
        ] {
            let (word, note) = said(&run(OURS, other));
            assert_eq!(word, "differ");
            assert!(note.contains("1 differ for a reason that was not measured"), "{note}");
        }
    }

    #[test]
    fn what_was_not_measured_gives_no_verdict() {
        assert!(beside_h2load(&Sample::new().run()).is_none());
        let mut few = run(OURS, OURS);
        few.drives.retain(|drive| drive.round < 2);
        assert_eq!(said(&few).0, "too few rounds");
        let mut failed = run(OURS, OURS);
        failed.drives[4].outcome = Driven::Failed("it died".into());
        assert_eq!(said(&failed).0, "failed: it died");
        assert_eq!(failed.drive_failures().collect::<Vec<_>>(), ["loopswap-tokio-native at 10x10 under H2load failed: it died"]);
    }

    #[test]
    fn drives_that_do_not_fit_are_refused() {
        let broken = |break_it: &dyn Fn(&mut Run)| {
            let mut run = run(OURS, OURS);
            break_it(&mut run);
            Run::parse(&run.to_json()).unwrap_err()
        };
        let good = run(OURS, OURS);
        assert_eq!(Run::parse(&good.to_json()).unwrap(), good);
        assert!(broken(&|run| run.drives[0].row = "nobody".into()).contains("no such row"));
        assert!(broken(&|run| run.drives[0].shape = "none".into()).contains("no such row, shape"));
        assert!(broken(&|run| run.drives.push(run.drives[0].clone())).contains("twice"));
        let cannot = Driven::Measured(Driving { requests_per_second: 1.0, cpu_us: 0.0, waits: 0.0, client_waits: 0.0 });
        assert!(broken(&|run| run.drives[0].outcome = cannot.clone()).contains("cannot be measured"));
    }
}
