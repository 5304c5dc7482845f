//! From what the plan and its cells are here to the model of a run, which outlives them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use loopswap_report::{Extra, Machine, Measured, Outcome, Role, Run, VERSION, slug};

use crate::cell::Cell;
use crate::drives;
use crate::footprint::Task;
use crate::plan::{Kind, Plan, Row, SHAPES, Shape};

/// A run of which nothing is measured yet.
pub(crate) fn new(machine: Machine, plan: &Plan, rows: &[Row], n_cells: usize) -> Run {
    Run {
        version: VERSION,
        started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        machine,
        plan: loopswap_report::Plan { client: plan.client.name().into(), rounds: plan.rounds, warmup: plan.warmup, n_cells },
        interrupted: false,
        rows: rows.iter().map(row).collect(),
        shapes: SHAPES.iter().map(|of| shape(plan, of)).collect(),
        cells: Vec::with_capacity(n_cells),
        footprints: Vec::new(),
        drives: Vec::new(),
        extras: vec![engines()],
    }
}

/// What a call costs the engines without sockets, which another bench counts.
fn engines() -> Extra {
    let committed: BTreeMap<String, BTreeMap<String, f64>> =
        serde_json::from_str(include_str!("../engine/expected.json")).expect("that bench wrote it");
    let row = |(name, figures): (String, BTreeMap<String, f64>)| {
        let figure = |of: &str| figures.get(of).map_or(String::new(), f64::to_string);
        vec![name, figure("instructions"), figure("allocations")]
    };
    Extra {
        title: "Instructions and allocations a call, without sockets: engine, service, calls in flight".into(),
        note:
            "As committed, not counted in this run: `cargo bench --bench engine -- --check` counts them, and fails where they have risen."
                .into(),
        columns: ["case", "instructions", "allocations"].map(String::from).to_vec(),
        rows: committed.into_iter().map(row).collect(),
    }
}

/// Adds what came of a cell.
pub(crate) fn add(run: &mut Run, cell: &Cell, result: Result<Measured, String>) {
    let outcome = result.map_or_else(Outcome::Failed, Outcome::Measured);
    run.cells.push(loopswap_report::Cell {
        round: cell.round,
        row: row_id(&cell.row),
        shape: shape_id(&cell.shape),
        calls: cell.calls,
        outcome,
    });
}

/// Drives a server, and adds what came of it.
pub(crate) fn drive(run: &mut Run, task: &drives::Task) {
    let drive = task.run(&run.machine, row_id(&task.cell.row), shape_id(&task.cell.shape));
    run.drives.push(drive);
}

/// Measures a footprint, and adds it.
pub(crate) fn footprint(run: &mut Run, task: &Task, plan: &Plan) {
    let footprint = task.run(plan, &run.machine, row_id(&task.row));
    run.footprints.push(footprint);
}

fn row(row: &Row) -> loopswap_report::Row {
    loopswap_report::Row {
        id: row_id(row),
        name: row.name.clone(),
        http2: row.http2.into(),
        runtime: row.runtime.clone(),
        role: match row.kind {
            Kind::Loopswap => Role::Loopswap,
            Kind::StockTonic => Role::Stock,
            Kind::Peer => Role::Peer,
            Kind::Floor => Role::Floor,
            Kind::Ceiling => Role::Ceiling,
        },
        unavailable: row.unavailable.clone(),
    }
}

fn shape(plan: &Plan, shape: &Shape) -> loopswap_report::Shape {
    loopswap_report::Shape {
        id: shape_id(shape),
        title: shape.to_string(),
        connections: shape.connections,
        in_flight: shape.in_flight,
        handler: shape.handler,
        calls: plan.calls(shape),
    }
}

/// The same in every run, so that runs can be compared.
fn row_id(row: &Row) -> String {
    match row.kind {
        Kind::Loopswap => slug(&format!("{} {}", row.name, row.engine())),
        Kind::StockTonic | Kind::Peer | Kind::Floor | Kind::Ceiling => slug(&row.name),
    }
}

fn shape_id(shape: &Shape) -> String {
    slug(&shape.to_string())
}
