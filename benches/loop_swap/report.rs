//! From measurements to figures: medians over the rounds, ratios within each round.

use serde_json::{Value, json};

use crate::cell::{Measured, Outcome};
use crate::machine::Machine;
use crate::plan::{Kind, Plan, Row, Shape};

/// The layout of the JSON; raised when a reader of the old one would be misled.
const SCHEMA: u32 = 2;

/// A run of the experiment.
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) plan: Plan,
    pub(crate) rows: Vec<Row>,
    outcomes: Vec<Outcome>,
}

/// The figures of one row in one shape.
pub(crate) struct Figures {
    /// Medians over the rounds.
    pub(crate) median: Measured,
    /// The least CPU a call of any round, in microseconds.
    pub(crate) cpu_us_min: Option<f64>,
    /// Requests a second, and CPU a call, by those of tokio on the same engine in the same round; medians.
    pub(crate) rate_ratio: Option<f64>,
    pub(crate) cpu_ratio: Option<f64>,
    /// CPU a call by that of stock tonic, and of the same loop's floor, in the same round; medians.
    pub(crate) cpu_to_stock: Option<f64>,
    pub(crate) cpu_to_floor: Option<f64>,
    /// Requests a second by those of the loop's own timer in the same round; the median.
    pub(crate) of_ceiling: Option<f64>,
}

impl Report {
    pub(crate) fn new(machine: Machine, plan: Plan, rows: Vec<Row>, outcomes: Vec<Outcome>) -> Self {
        Self { machine, plan, rows, outcomes }
    }

    /// Whether every cell that was run gave a figure.
    pub(crate) fn all_worked(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.result.is_ok())
    }

    /// The figures of a row in a shape: `None` where it was not measured, an error where it failed.
    pub(crate) fn figures(&self, row: &Row, shape: Shape) -> Option<Result<Figures, String>> {
        let rounds: Result<Vec<_>, String> = self
            .outcomes
            .iter()
            .filter(|outcome| outcome.cell.row == *row && outcome.cell.shape == shape)
            .map(|outcome| outcome.result.as_ref().map(|measured| (outcome.cell.round, measured)).map_err(Clone::clone))
            .collect();
        let rounds = match rounds {
            Ok(rounds) if rounds.is_empty() => return None,
            Ok(rounds) => rounds,
            Err(why) => return Some(Err(why)),
        };
        let over = |of: &dyn Fn(&Measured) -> Option<f64>| median(rounds.iter().filter_map(|(_, measured)| of(measured)).collect());
        let by = |other: Option<&Row>, of: &dyn Fn(&Measured) -> Option<f64>| {
            let other = other?;
            median(rounds.iter().filter_map(|(round, measured)| Some(of(measured)? / of(self.measured(other, shape, *round)?)?)).collect())
        };
        let base = self.rows.iter().find(|other| other.is_base_of(row));
        let stock = self.rows.iter().find(|other| other.kind == Kind::StockTonic);
        let floor = self.rows.iter().find(|other| other.kind == Kind::Floor && other.runtime == row.timer());
        let ceiling = self.rows.iter().find(|other| other.kind == Kind::Ceiling && other.runtime == row.timer());
        let all = |of: fn(&Measured) -> f64| over(&|measured| Some(of(measured))).unwrap_or_default();
        Some(Ok(Figures {
            median: Measured {
                total_s: all(|measured| measured.total_s),
                slowest_ms: all(|measured| measured.slowest_ms),
                fastest_ms: all(|measured| measured.fastest_ms),
                average_ms: all(|measured| measured.average_ms),
                requests_per_second: all(|measured| measured.requests_per_second),
                p50_ms: over(&|measured| measured.p50_ms),
                p99_ms: over(&|measured| measured.p99_ms),
                cpu_us: over(&|measured| measured.cpu_us),
            },
            cpu_us_min: rounds.iter().filter_map(|(_, measured)| measured.cpu_us).min_by(f64::total_cmp),
            rate_ratio: by(base, &|measured| Some(measured.requests_per_second)),
            cpu_ratio: by(base, &|measured| measured.cpu_us),
            cpu_to_stock: by(stock, &|measured| measured.cpu_us),
            cpu_to_floor: by(floor, &|measured| measured.cpu_us),
            of_ceiling: by(ceiling, &|measured| Some(measured.requests_per_second)),
        }))
    }

    fn measured(&self, row: &Row, shape: Shape, round: u32) -> Option<&Measured> {
        let of_cell = |outcome: &&Outcome| outcome.cell.row == *row && outcome.cell.shape == shape && outcome.cell.round == round;
        self.outcomes.iter().find(of_cell)?.result.as_ref().ok()
    }

    /// Every measurement.
    pub(crate) fn to_json(&self) -> Value {
        let cells = self.outcomes.iter().map(|outcome| {
            let measured = outcome.result.as_ref().ok();
            json!({ "cell": outcome.cell, "measured": measured, "failed": outcome.result.as_ref().err() })
        });
        json!({
            "schema": SCHEMA,
            "machine": self.machine,
            "plan": self.plan,
            "rows": self.rows,
            "cells": cells.collect::<Vec<_>>(),
        })
    }
}

impl Row {
    /// The loop whose timer bounds this row.
    fn timer(&self) -> &str {
        if self.kind == Kind::StockTonic || self.runtime.starts_with("tokio ") { "tokio" } else { &self.runtime }
    }
}

/// The middle value; the mean of the two middle ones where there are two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}
