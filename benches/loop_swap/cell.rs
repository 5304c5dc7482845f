//! One measurement: a server, a load, a round.

use std::process::Command;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::ceiling;
use crate::child::{LOOPSWAP, Server};
use crate::client::Client;
use crate::machine::Machine;
use crate::plan::{Kind, Row, Shape};

/// What to measure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) round: u32,
    pub(crate) row: Row,
    pub(crate) shape: Shape,
    pub(crate) calls: u32,
    pub(crate) warmup: u32,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) cell: Cell,
    pub(crate) result: Result<Measured, String>,
}

/// The article's columns, and ours.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) total_s: f64,
    pub(crate) slowest_ms: f64,
    pub(crate) fastest_ms: f64,
    pub(crate) average_ms: f64,
    pub(crate) requests_per_second: f64,
    /// Not every client tells.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    /// CPU time of the server a call, in microseconds; of a timer there is none.
    pub(crate) cpu_us: Option<f64>,
}

impl Measured {
    /// From what `loopswap load --json` printed.
    pub(crate) fn of(report: &Value) -> Result<Self, String> {
        let number = |value: &Value, name: &str| value.as_f64().ok_or_else(|| format!("no {name} in the load's report"));
        let latency = &report["latency_ms"];
        Ok(Self {
            total_s: number(&report["total_s"], "total_s")?,
            slowest_ms: number(&report["slowest_ms"], "slowest_ms")?,
            fastest_ms: number(&report["fastest_ms"], "fastest_ms")?,
            average_ms: number(&report["average_ms"], "average_ms")?,
            requests_per_second: number(&report["requests_per_second"], "requests_per_second")?,
            p50_ms: Some(number(&latency["p50"], "p50")?),
            p99_ms: Some(number(&latency["p99"], "p99")?),
            cpu_us: None,
        })
    }
}

impl Cell {
    /// Measures it. An error says what went wrong, in a line.
    pub(crate) fn run(&self, machine: &Machine, client: Client) -> Result<Measured, String> {
        let mut command = match self.row.kind {
            Kind::Ceiling => return ceiling::measure(self, machine.server_cpu),
            Kind::Loopswap => {
                let mut command = Command::new(LOOPSWAP);
                command.args([
                    "serve",
                    "--runtime",
                    &self.row.runtime,
                    "--http2",
                    self.row.engine(),
                    "--workers",
                    "1",
                    "--addr",
                    "127.0.0.1:0",
                ]);
                command
            }
            Kind::Floor => {
                let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
                command.args(["--serve-floor", &self.row.runtime]);
                command
            }
            Kind::StockTonic => {
                let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
                command.arg("--serve-stock-tonic");
                command
            }
            Kind::Peer => self.row.launch.as_ref().ok_or("this peer has no command")?.command(),
        };
        let server = Server::start(&mut command, machine.server_cpu)?;
        match self.load(&server, machine, client) {
            Ok(measured) => server.end().map(|()| measured),
            Err(why) => Err(server.failed(&why)),
        }
    }

    fn load(&self, server: &Server, machine: &Machine, client: Client) -> Result<Measured, String> {
        client.load(server.addr(), self.shape, self.warmup, machine.load_cpu)?;
        let before = server.cpu()?;
        let mut measured = client.load(server.addr(), self.shape, self.calls, machine.load_cpu)?;
        let spent: Duration = server.cpu()? - before;
        measured.cpu_us = Some(spent.as_secs_f64() * 1e6 / f64::from(self.calls));
        Ok(measured)
    }
}
