//! The model of a run, and its file: JSON of one version, read strictly.

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clients::Drive;
use crate::counts::Count;
use crate::footprint::Footprint;

/// The layout of the file; raised with every change that an earlier file does not fit. There is one reader, of this version.
pub const VERSION: u32 = 4;

/// Everything that was measured, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// [`VERSION`].
    pub version: u32,
    /// When it began, in UTC: `2026-11-24T09:30:00Z`.
    pub started: String,
    /// Where it took place.
    pub machine: Machine,
    /// How it was measured.
    pub plan: Plan,
    /// Whether it was ended before all its cells were measured.
    pub interrupted: bool,
    /// The servers, in the order in which they are shown.
    pub rows: Vec<Row>,
    /// The loads, likewise.
    pub shapes: Vec<Shape>,
    /// What was measured, in the order of time.
    pub cells: Vec<Cell>,
    /// What the servers cost beside their calls. Earlier files have none.
    #[serde(default)]
    pub footprints: Vec<Footprint>,
    /// Servers under our load generator and under h2load. Earlier files have none.
    #[serde(default)]
    pub drives: Vec<Drive>,
    /// Instructions of whole servers, where they were counted. Earlier files have none.
    #[serde(default)]
    pub counts: Vec<Count>,
    /// What was measured beside these.
    pub extras: Vec<Extra>,
}

/// A machine, what runs on it, and the command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// How many CPUs of which model.
    pub cpu: String,
    /// The kernel's name and release.
    pub kernel: String,
    /// The commit that was built; `with changes` behind it where the work tree had some.
    pub commit: String,
    /// The compiler's version.
    pub rustc: String,
    /// The command that repeats the run.
    pub command: String,
    /// The CPU of the servers; `None` where servers and load had to share one.
    pub server_cpu: Option<usize>,
    /// The CPU of the load.
    pub load_cpu: Option<usize>,
}

/// How often, and by whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The client, and what it checks.
    pub client: String,
    /// Rounds, each of which visits every cell once.
    pub rounds: u32,
    /// Calls before the counted ones, in each cell.
    pub warmup: u32,
    /// Cells that were to be measured, over all rounds.
    pub n_cells: usize,
}

/// A server, or a bound of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What cells name it by; the same in every run.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Who speaks HTTP/2.
    pub http2: String,
    /// The loop under it.
    pub runtime: String,
    /// What it is in the experiment.
    pub role: Role,
    /// Why it could not run: cause and remedy.
    pub unavailable: Option<String>,
}

/// What a row is in the experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Our server: what the answer is about.
    Loopswap,
    /// tonic as it comes, on tokio: what the others' CPU is held against.
    Stock,
    /// Somebody else's server.
    Peer,
    /// The same bytes for every request: what a loop's sockets cost.
    Floor,
    /// No server: tasks that only sleep on the loop.
    Ceiling,
}

/// A load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// What cells name it by; the same in every run.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// Connections.
    pub connections: u32,
    /// Calls in flight, over all connections.
    pub in_flight: u32,
    /// What the handler does before it answers.
    pub handler: Handler,
    /// Counted calls of a cell; of a slow server's, fewer.
    pub calls: u32,
}

/// What a handler does before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handler {
    /// Nothing.
    Nothing,
    /// It sleeps on the loop's timer, for so many milliseconds.
    Sleep(u32),
    /// It reads from a file, by the loop's own file I/O.
    Read,
    /// It writes to a file and waits until that is on the disk.
    Append,
}

/// A row in a shape in a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// From 0.
    pub round: u32,
    /// A row's id.
    pub row: String,
    /// A shape's id.
    pub shape: String,
    /// Counted calls.
    pub calls: u32,
    /// What came of it.
    pub outcome: Outcome,
}

/// A measure of another kind, such as start-up times: a table that is shown as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extra {
    /// What was measured, with its unit.
    pub title: String,
    /// How, and what to make of it.
    pub note: String,
    /// The columns' names; the first column holds words, the others figures.
    pub columns: Vec<String>,
    /// As many fields each as there are columns.
    pub rows: Vec<Vec<String>>,
}

/// What came of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every call was answered.
    Measured(Measured),
    /// What went wrong, in a line.
    Failed(String),
}

/// The article's columns, and ours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// From the first call to the last answer, in seconds.
    pub total_s: f64,
    /// Answers a second.
    pub requests_per_second: f64,
    /// The least latency of a call, in milliseconds.
    pub fastest_ms: f64,
    /// The mean.
    pub average_ms: f64,
    /// The greatest.
    pub slowest_ms: f64,
    /// Percentiles of the latency, in milliseconds; not every client tells them.
    pub p50_ms: Option<f64>,
    /// As `p50_ms`.
    pub p90_ms: Option<f64>,
    /// As `p50_ms`.
    pub p99_ms: Option<f64>,
    /// CPU time of the server a call, in microseconds, as the scheduler counted it; a timer has none.
    pub cpu_us: Option<f64>,
    /// Of that CPU time, what the kernel's clock found in user mode, in its ticks of mostly 10 ms.
    pub user_ticks: Option<u64>,
    /// And in the kernel.
    pub system_ticks: Option<u64>,
}

impl Measured {
    /// From what `loopswap load --json` printed, or a timer in the same words.
    ///
    /// # Errors
    ///
    /// A figure is missing: which one.
    pub fn of(report: &Value) -> Result<Self, String> {
        let number = |value: &Value, name: &str| value.as_f64().ok_or_else(|| format!("no {name} in the load's report"));
        let latency = &report["latency_ms"];
        Ok(Self {
            total_s: number(&report["total_s"], "total_s")?,
            slowest_ms: number(&report["slowest_ms"], "slowest_ms")?,
            fastest_ms: number(&report["fastest_ms"], "fastest_ms")?,
            average_ms: number(&report["average_ms"], "average_ms")?,
            requests_per_second: number(&report["requests_per_second"], "requests_per_second")?,
            p50_ms: Some(number(&latency["p50"], "p50")?),
            p90_ms: Some(number(&latency["p90"], "p90")?),
            p99_ms: Some(number(&latency["p99"], "p99")?),
            ..Self::default()
        })
    }
}

impl Run {
    /// Reads a run's file.
    ///
    /// # Errors
    ///
    /// It cannot be read, is no JSON, is of another version, or names what it does not have; each with the file's name.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Self::parse(&text).map_err(|why| format!("{}: {why}", path.display()))
    }

    /// A run from its JSON.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("this is no JSON: {error}"))?;
        match &value["version"] {
            Value::Number(version) if version.as_u64() == Some(VERSION.into()) => {}
            Value::Number(version) => return Err(format!("a run of version {version}; this program reads version {VERSION}")),
            _ if value["schema"].is_number() => {
                return Err(format!(
                    "a run of layout {}, from before version {VERSION}, the only one that this program reads",
                    value["schema"]
                ));
            }
            _ => return Err(format!("this is no run of loop_swap: it has no version ({VERSION} is the one that this program reads)")),
        }
        // From the text again, so that an error has its line.
        let run: Self = serde_json::from_str(text).map_err(|error| format!("not as version {VERSION} wants it: {error}"))?;
        run.check()?;
        Ok(run)
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings and numbers");
        text.push('\n');
        text
    }

    /// Whether every cell that was to be measured gave a figure.
    pub fn all_worked(&self) -> bool {
        !self.interrupted
            && self.cells.iter().all(|cell| matches!(cell.outcome, Outcome::Measured(_)))
            && self.drive_failures().next().is_none()
    }

    /// The row of this id.
    pub fn row(&self, id: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// What cells name is there, once, and every figure is one that a measurement can give.
    fn check(&self) -> Result<(), String> {
        let rows = unique("row", self.rows.iter().map(|row| &row.id))?;
        let shapes = unique("shape", self.shapes.iter().map(|shape| &shape.id))?;
        if let Some(shape) = self.shapes.iter().find(|shape| shape.connections == 0 || shape.in_flight < shape.connections) {
            return Err(format!("shape {}: {} connections, {} calls in flight", shape.id, shape.connections, shape.in_flight));
        }
        if let Some(extra) = self.extras.iter().find(|extra| extra.rows.iter().any(|row| row.len() != extra.columns.len())) {
            return Err(format!("the table {:?} has rows that do not fit its columns", extra.title));
        }
        let mut seen = HashSet::new();
        for cell in &self.cells {
            let Cell { round, row, shape, outcome, .. } = cell;
            let name = format!("the cell of {row} at {shape} in round {round}");
            if !rows.contains(row.as_str()) || !shapes.contains(shape.as_str()) || *round >= self.plan.rounds {
                return Err(format!("{name}: the run has no such row, shape or round"));
            }
            if !seen.insert((round, row, shape)) {
                return Err(format!("{name} is there twice"));
            }
            let Outcome::Measured(measured) = outcome else { continue };
            let Measured { total_s, requests_per_second, fastest_ms, average_ms, slowest_ms, p50_ms, p90_ms, p99_ms, cpu_us, .. } =
                measured;
            let always = [total_s, requests_per_second, fastest_ms, average_ms, slowest_ms];
            let figures = always.into_iter().chain([p50_ms, p90_ms, p99_ms, cpu_us].into_iter().flatten());
            if figures.into_iter().any(|figure| !figure.is_finite() || *figure < 0.0) || *requests_per_second == 0.0 {
                return Err(format!("{name} has a figure that cannot be measured"));
            }
        }
        self.check_footprints()?;
        self.check_drives()?;
        self.check_counts()
    }
}

/// A name as an id: lower case, one `-` for whatever is no letter or digit.
pub fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

fn unique<'a>(what: &str, ids: impl Iterator<Item = &'a String>) -> Result<HashSet<&'a str>, String> {
    let mut seen = HashSet::new();
    for id in ids {
        if !seen.insert(id.as_str()) {
            return Err(format!("{what} {id} is there twice"));
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    #[test]
    fn a_run_survives_its_file() {
        let run = Sample::new().run();
        assert_eq!(Run::parse(&run.to_json()).unwrap(), run);
    }

    #[test]
    fn other_versions_are_refused_with_the_reason() {
        let text = Sample::new().run().to_json();
        let why = Run::parse(&text.replacen("\"version\": 4", "\"version\": 3", 1)).unwrap_err();
        assert_eq!(why, "a run of version 3; this program reads version 4");
        let why = Run::parse(r#"{ "schema": 2, "cells": [] }"#).unwrap_err();
        assert!(why.contains("layout 2"), "{why}");
        assert!(Run::parse("{}").unwrap_err().contains("no version"));
        assert!(Run::parse("[3]").unwrap_err().contains("no version"));
        assert!(Run::parse("{").unwrap_err().contains("no JSON"));
        assert!(Run::read(Path::new("/nowhere/run.json")).unwrap_err().contains("cannot read /nowhere/run.json"));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let broken = |break_it: &dyn Fn(&mut Run)| {
            let mut run = Sample::new().run();
            break_it(&mut run);
            Run::parse(&run.to_json()).unwrap_err()
        };
        assert!(broken(&|run| run.cells[0].row = "nobody".into()).contains("no such row"));
        assert!(broken(&|run| run.cells[0].round = 77).contains("no such row, shape or round"));
        assert!(broken(&|run| run.cells.push(run.cells[0].clone())).contains("twice"));
        assert!(broken(&|run| run.rows.push(run.rows[0].clone())).contains("twice"));
        assert!(broken(&|run| run.extras[0].rows[0].truncate(1)).contains("do not fit"));
        assert!(broken(&|run| run.shapes[0].connections = 0).contains("0 connections"));
        assert!(broken(&|run| run.cells[0].outcome = Outcome::Measured(Measured::default())).contains("cannot be measured"));
        let text = Sample::new().run().to_json().replacen("\"started\"", "\"begun\"", 1);
        assert!(Run::parse(&text).unwrap_err().contains("unknown field `begun`"));
    }

    #[test]
    fn ids_are_words() {
        assert_eq!(slug("loopswap tokio-uring, hyper, h2"), "loopswap-tokio-uring-hyper-h2");
    }
}
