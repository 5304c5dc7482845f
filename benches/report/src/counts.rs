//! Instructions a call of whole servers: what repeats where time does not.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::number::{figure, ratio};
use crate::run::{Extra, Run};

/// A server's count. It repeats to a percent, so that one is enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// A row's id.
    pub row: String,
    /// The load's id.
    pub shape: String,
    /// What came of it.
    pub outcome: Counted,
}

/// What came of a count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Instructions a call, in user mode.
    Instructions(f64),
    /// Why they were not counted, in a line.
    Failed(String),
}

/// The table, where this was counted.
pub(crate) fn instructions(run: &Run) -> Option<Extra> {
    let shape = run.counts.first().and_then(|count| run.shapes.iter().find(|shape| shape.id == count.shape))?;
    let stock = run.stock().and_then(|stock| run.instructions_of(&stock.id));
    let rows = run.rows.iter().filter_map(|row| {
        let count = run.counts.iter().find(|count| count.row == row.id)?;
        let (found, beside) = match &count.outcome {
            Counted::Instructions(found) => (figure(*found), stock.map_or(String::new(), |stock| ratio(found / stock))),
            Counted::Failed(why) => (format!("failed: {why}"), String::new()),
        };
        Some(vec![row.name.clone(), row.http2.clone(), found, beside])
    });
    Some(Extra {
        title: format!("Instructions a call, of the whole server in user mode: {}", shape.title),
        note: "Counted in this run, by callgrind: two run lengths, each on a server just started, subtracted and divided. What the kernel does is not among them, and servers on rings, which valgrind does not bear, are not counted."
            .into(),
        columns: ["server", "HTTP/2 by", "instructions", "÷ stock tonic"].map(String::from).to_vec(),
        rows: rows.collect(),
    })
}

impl Run {
    fn instructions_of(&self, row: &str) -> Option<f64> {
        self.counts.iter().filter(|count| count.row == row).find_map(|count| match count.outcome {
            Counted::Instructions(found) => Some(found),
            Counted::Failed(_) => None,
        })
    }

    /// Each names a row and a shape of the run, once, all of them the same shape, with a figure that can be counted.
    pub(crate) fn check_counts(&self) -> Result<(), String> {
        let mut seen = HashSet::new();
        for Count { row, shape, outcome } in &self.counts {
            let is_known = self.row(row).is_some() && self.shapes.iter().any(|of| of.id == *shape);
            if !is_known || *shape != self.counts[0].shape || !seen.insert(row) {
                return Err(format!(
                    "the instructions of {row} at {shape}: the run has no such row or shape, another one, or they are there twice"
                ));
            }
            if matches!(outcome, Counted::Instructions(found) if !found.is_finite() || *found <= 0.0) {
                return Err(format!("the instructions of {row} at {shape} cannot be counted"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    fn run() -> Run {
        let mut run = Sample::new().run();
        let count = |row: &str, outcome| Count { row: row.into(), shape: "10x10".into(), outcome };
        run.counts = vec![
            count("loopswap-tokio-native", Counted::Instructions(3000.0)),
            count("loopswap-glommio-native", Counted::Failed("valgrind knows no such ring".into())),
            count("stock-tonic", Counted::Instructions(54_000.0)),
        ];
        run
    }

    #[test]
    fn counts_stand_beside_stock_tonic() {
        let table = instructions(&run()).unwrap();
        let row = |name: &str| table.rows.iter().find(|row| row[0] == name).unwrap()[2..].to_vec();
        assert_eq!(row("stock tonic"), ["54,000", "1.00"]);
        assert_eq!(row("loopswap tokio"), ["3,000", "0.06"]);
        assert_eq!(row("loopswap glommio"), ["failed: valgrind knows no such ring", ""]);
        assert!(instructions(&Sample::new().run()).is_none(), "nothing was counted");
    }

    #[test]
    fn counts_that_do_not_fit_are_refused() {
        let broken = |break_it: &dyn Fn(&mut Run)| {
            let mut run = run();
            break_it(&mut run);
            Run::parse(&run.to_json()).unwrap_err()
        };
        assert_eq!(Run::parse(&run().to_json()).unwrap(), run());
        assert!(broken(&|run| run.counts[0].row = "nobody".into()).contains("no such row"));
        assert!(broken(&|run| run.counts[1].shape = "1x100".into()).contains("another one"));
        assert!(broken(&|run| run.counts.push(run.counts[0].clone())).contains("twice"));
        assert!(broken(&|run| run.counts[0].outcome = Counted::Instructions(0.0)).contains("cannot be counted"));
    }
}
