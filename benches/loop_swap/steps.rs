//! A run, step by step: what is measured one after the other, each with its name for the progress.

use crate::cell::Cell;
use crate::{counts, drives, footprint};

/// Something to measure.
pub(crate) enum Step {
    /// A server under a load.
    Cell(Cell),
    /// What a server costs beside its calls.
    Footprint(footprint::Task),
    /// Its instructions a call.
    Count(counts::Task),
    /// A server under our load generator or h2load.
    Drive(drives::Task),
}

impl Step {
    /// What is said while it is measured.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Cell(cell) => format!("round {} {} {}", cell.round + 1, cell.row.name, cell.shape),
            Self::Footprint(task) => {
                format!("round {} {} {}, {} at work, beside its calls", task.round + 1, task.row.name, task.row.http2, task.workers)
            }
            Self::Count(task) => format!("{} {}, its instructions", task.row.name, task.row.http2),
            Self::Drive(task) => {
                format!("round {} {} {} under {}", task.cell.round + 1, task.cell.row.name, task.cell.shape, task.client.word())
            }
        }
    }
}
