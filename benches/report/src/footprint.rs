//! What a server costs beside its calls: to start, to hold, to keep idle connections, to have one worker more.

use serde::{Deserialize, Serialize};

use crate::figures::Spread;
use crate::run::{Role, Row, Run};

/// A server in a round, with so many workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Footprint {
    /// From 0.
    pub round: u32,
    /// A row's id.
    pub row: String,
    /// Its workers; all of them may use one CPU.
    pub workers: u32,
    /// What came of it.
    pub outcome: Cost,
}

/// What came of a footprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// It was measured.
    Measured(Upkeep),
    /// What went wrong, in a line.
    Failed(String),
}

/// The figures of a footprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upkeep {
    /// From the start of the process to its first reply, in milliseconds.
    pub start_ms: f64,
    /// Resident memory after its first reply, in bytes.
    pub memory_bytes: u64,
    /// CPU time a call, in microseconds, at 10 connections × 10.
    pub cpu_us: f64,
    /// What it keeps for a connection that is idle after its first call; not measured with every number of workers.
    pub idle: Option<Held>,
    /// What it needs at most for a connection with a call in flight, likewise. Earlier files have none.
    #[serde(default)]
    pub busy: Option<Held>,
}

/// Memory that connections take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// How many there were; of the idle ones fewer than 10,000 where the limit on open files allows no more.
    pub n_connections: u32,
    /// By how much resident memory grew for each, in bytes; of busy ones, its peak.
    pub bytes_a_connection: f64,
}

/// A figure of a footprint.
pub(crate) type Figure = fn(&Upkeep) -> Option<f64>;

impl Run {
    /// A figure of a row with so many workers over the rounds; `None` where it was not measured or failed in any.
    pub(crate) fn upkeep(&self, row: &str, workers: u32, figure: Figure) -> Option<Spread> {
        let of_rounds: Option<Vec<_>> = self.footprints_of(row, workers).map(|(_, cost)| measured(cost)).collect();
        Spread::of(of_rounds?.into_iter().filter_map(figure))
    }

    /// A figure by the same of another row, or of other workers, in the same round.
    pub(crate) fn upkeep_ratio(&self, (row, workers): (&str, u32), (to, to_workers): (&str, u32), figure: Figure) -> Option<Spread> {
        Spread::of(self.footprints_of(row, workers).filter_map(|(round, cost)| {
            let (_, other) = self.footprints_of(to, to_workers).find(|(of, _)| *of == round)?;
            Some(figure(measured(cost)?)? / figure(measured(other)?)?).filter(|ratio| ratio.is_finite())
        }))
    }

    /// Everything that was measured, whichever row's.
    pub(crate) fn upkeeps(&self) -> impl Iterator<Item = &Upkeep> {
        self.footprints.iter().filter_map(|footprint| measured(&footprint.outcome))
    }

    /// What went wrong with the footprints of a row.
    pub(crate) fn footprint_failure(&self, row: &str) -> Option<&str> {
        self.footprints.iter().filter(|footprint| footprint.row == row).find_map(|footprint| match &footprint.outcome {
            Cost::Failed(why) => Some(why.as_str()),
            Cost::Measured(_) => None,
        })
    }

    /// The servers whose footprints were looked for.
    pub(crate) fn servers_with_footprints(&self) -> Vec<&Row> {
        let is_server = |row: &&Row| !matches!(row.role, Role::Floor | Role::Ceiling);
        self.rows.iter().filter(is_server).filter(|row| self.footprints.iter().any(|footprint| footprint.row == row.id)).collect()
    }

    fn footprints_of<'a>(&'a self, row: &'a str, workers: u32) -> impl Iterator<Item = (u32, &'a Cost)> {
        let is_it = move |footprint: &&Footprint| footprint.row == row && footprint.workers == workers;
        self.footprints.iter().filter(is_it).map(|footprint| (footprint.round, &footprint.outcome))
    }

    /// Each names a row of the run, once a round, with figures that can be measured.
    pub(crate) fn check_footprints(&self) -> Result<(), String> {
        let mut seen = std::collections::HashSet::new();
        for Footprint { round, row, workers, outcome } in &self.footprints {
            let name = format!("the footprint of {row} with {workers} workers in round {round}");
            if self.row(row).is_none() || *round >= self.plan.rounds || !seen.insert((round, row, workers)) {
                return Err(format!("{name}: the run has no such row or round, or it is there twice"));
            }
            let Cost::Measured(Upkeep { start_ms, cpu_us, idle, busy, .. }) = outcome else { continue };
            let mut held = [idle, busy].into_iter().flatten().map(|held| held.bytes_a_connection);
            // Memory may shrink meanwhile; time does not.
            if ![*start_ms, *cpu_us].iter().all(|figure| figure.is_finite() && *figure >= 0.0) || !held.all(f64::is_finite) {
                return Err(format!("{name} has a figure that cannot be measured"));
            }
        }
        Ok(())
    }
}

fn measured(cost: &Cost) -> Option<&Upkeep> {
    match cost {
        Cost::Measured(upkeep) => Some(upkeep),
        Cost::Failed(_) => None,
    }
}
