//! The committed figures, and what is too far above them.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::measure::Figures;

/// A figure may be this much above the committed one, in percent: another compiler moves it by less, a mistake by more.
const TOLERANCE_PERCENT: f64 = 5.0;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/engine/expected.json")
}

/// The figures, as the committed file has them.
pub(crate) fn to_json(figures: &[Figures]) -> String {
    let rows: Map<String, Value> = figures
        .iter()
        .map(|found| {
            let instructions = found.instructions.map(f64::round);
            let allocations = (found.allocations * 100.0).round() / 100.0;
            (found.row.name.to_owned(), json!({ "instructions": instructions, "allocations": allocations }))
        })
        .collect();
    format!("{:#}\n", Value::Object(rows))
}

/// Makes these figures the committed ones.
pub(crate) fn write(json: &str) -> Result<(), String> {
    let path = path();
    fs::write(&path, json).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Compares with the committed figures.
pub(crate) fn check(figures: &[Figures]) -> Result<(), String> {
    let path = path();
    let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let expected: Value = serde_json::from_str(&text).map_err(|error| format!("{} is no JSON: {error}", path.display()))?;
    let mut complaints = String::new();
    for found in figures {
        for (what, figure) in [("instructions", found.instructions), ("allocations", Some(found.allocations))] {
            let (Some(figure), name) = (figure, found.row.name) else { continue };
            match expected[name][what].as_f64() {
                None => {
                    let _ = writeln!(complaints, "{name}: no {what} are committed");
                }
                // Rounded when they were written.
                Some(was) if figure > was * (1.0 + TOLERANCE_PERCENT / 100.0) + 0.01 => {
                    let more = (figure / was - 1.0) * 100.0;
                    let _ = writeln!(complaints, "{name}: {figure:.2} {what} are {more:.1} % above the committed {was}");
                }
                Some(_) => {}
            }
        }
    }
    if complaints.is_empty() { Ok(()) } else { Err(format!("dearer than committed:\n{complaints}")) }
}
