//! From what the plan and its cells are here to the model of a run, which outlives them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use loopswap_report::{Extra, Machine, Outcome, Role, Run, VERSION, slug};

use crate::interrupt;
use crate::plan::{Kind, Plan, Row, SHAPES, Shape};
use crate::steps::Step;

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
        counts: Vec::new(),
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

/// Measures what a step asks for, and adds what came of it. What is measured while the run is stopped is not the server's: its children were ended.
pub(crate) fn step(run: &mut Run, step: &Step, plan: &Plan) {
    match step {
        Step::Cell(cell) => {
            let outcome = cell.measure(&run.machine, plan.client).map_or_else(Outcome::Failed, Outcome::Measured);
            let (row, shape) = (row_id(&cell.row), shape_id(&cell.shape));
            keep(&mut run.cells, loopswap_report::Cell { round: cell.round, row, shape, calls: cell.calls, outcome });
        }
        Step::Footprint(task) => keep(&mut run.footprints, task.run(plan, &run.machine, row_id(&task.row))),
        Step::Count(task) => keep(&mut run.counts, task.run(&run.machine, row_id(&task.row), shape_id)),
        Step::Drive(task) => keep(&mut run.drives, task.run(&run.machine, row_id(&task.cell.row), shape_id(&task.cell.shape))),
    }
}

fn keep<T>(measured: &mut Vec<T>, one: T) {
    if !interrupt::stopped() {
        measured.push(one);
    }
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
