//! The same servers under our load generator and under h2load, in turn within each round: nobody has to trust our client.

use std::ffi::OsStr;

use loopswap_report::{Drive, Driven, Driver, Driving, Handler};

use crate::cell::Cell;
use crate::client::Client;
use crate::peers::build::find;
use crate::plan::{Kind, Plan, Row, SHAPES, Shape};

/// By how much the calls are fewer than in a cell: there are two clients, and the noise shows over the rounds.
const FEWER: u32 = 2;

/// A server, a load and a client.
pub(crate) struct Task {
    pub(crate) cell: Cell,
    pub(crate) client: Client,
}

/// Whether h2load is on this PATH.
pub(crate) fn has_h2load(path: &OsStr) -> Result<(), String> {
    find(&["h2load"], path, "apt-get install nghttp2-client")
}

/// What is to be driven: the stock server and ours on tokio, with either engine. In every other round the other client comes first.
pub(crate) fn tasks(plan: &Plan, rows: &[Row]) -> Vec<Task> {
    let is_driven = |row: &&Row| match row.kind {
        Kind::StockTonic => true,
        Kind::Loopswap => row.runtime == "tokio",
        Kind::Peer | Kind::Floor | Kind::Ceiling => false,
    };
    let rows: Vec<_> = rows.iter().filter(|row| row.unavailable.is_none()).filter(is_driven).collect();
    let cells = |round| {
        let of_shape = move |row: &Row, shape: Shape| {
            let calls = (plan.calls_of(row, &shape) / FEWER).max(shape.in_flight);
            Cell { round, row: row.clone(), shape, calls, warmup: plan.warmup.clamp(shape.in_flight, calls) }
        };
        let shapes = || SHAPES.into_iter().filter(is_shape);
        rows.iter().flat_map(move |row| shapes().map(move |shape| of_shape(row, shape))).collect::<Vec<_>>()
    };
    let mut tasks = Vec::new();
    for round in 0..plan.rounds {
        for cell in cells(round) {
            let mut clients = [Client::LikeH2load, Client::H2load];
            if round % 2 == 1 {
                clients.reverse();
            }
            tasks.extend(clients.map(|client| Task { cell: cell.clone(), client }));
        }
    }
    tasks
}

/// The loads: the article's calls on one connection and spread, and without the sleep large, middle and single batches.
fn is_shape(shape: &Shape) -> bool {
    match shape.handler {
        Handler::Sleep(_) => true,
        Handler::Nothing => shape.in_flight == 100 && shape.connections <= 100,
        Handler::Read | Handler::Append => false,
    }
}

impl Task {
    /// Measures it.
    pub(crate) fn run(&self, machine: &loopswap_report::Machine, row: String, shape: String) -> Drive {
        let measured = self.cell.run(machine, self.client).and_then(|(measured, waits)| {
            let cpu_us = measured.cpu_us.ok_or("its CPU time was not measured")?;
            let [waits, client_waits] = [waits.of_server, waits.of_client].map(|n| n as f64 / f64::from(self.cell.calls));
            Ok(Driving { requests_per_second: measured.requests_per_second, cpu_us, waits, client_waits })
        });
        let client = if self.client == Client::LikeH2load { Driver::Loopswap } else { Driver::H2load };
        let outcome = measured.map_or_else(Driven::Failed, Driven::Measured);
        Drive { round: self.cell.round, row, shape, client, calls: self.cell.calls, outcome }
    }
}
