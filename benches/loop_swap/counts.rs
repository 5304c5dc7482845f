//! Instructions a call of whole servers, by callgrind, where valgrind is installed.

use std::ffi::OsStr;
use std::process::Command;

use loopswap_report::{Count, Counted, Handler, Machine};

use crate::child::Server;
use crate::client::Client;
use crate::peers::build::find;
use crate::plan::{Kind, Plan, Row, Shape};

/// The load: its batches are the same whoever is slow.
const SHAPE: Shape = Shape { connections: 1, in_flight: 100, handler: Handler::Nothing };

/// Whether valgrind is on this PATH.
pub(crate) fn has_valgrind(path: &OsStr) -> Result<(), String> {
    find(&["valgrind"], path, "apt-get install valgrind")
}

/// A server whose instructions are to be counted.
pub(crate) struct Task {
    pub(crate) row: Row,
    calls: [u32; 2],
}

/// Who is counted: ours on tokio, stock tonic, and servers of others that are compiled. Valgrind does not bear the rings: tokio-uring crashes under it, glommio
/// stands still.
pub(crate) fn tasks(plan: &Plan, rows: &[Row]) -> Vec<Task> {
    let is_counted = |row: &&Row| match row.kind {
        Kind::Loopswap => row.runtime == "tokio",
        Kind::StockTonic => true,
        // A raw floor is no server, and does not end in order.
        Kind::Peer => !row.is_slow() && row.http2 != "none",
        Kind::Floor | Kind::Ceiling => false,
    };
    rows.iter()
        .filter(|row| row.unavailable.is_none())
        .filter(is_counted)
        .map(|row| Task { row: row.clone(), calls: plan.calls_counted })
        .collect()
}

impl Task {
    /// Counts.
    pub(crate) fn run(&self, machine: &Machine, row: String, shape: impl Fn(&Shape) -> String) -> Count {
        let outcome = self.count(machine).map_or_else(Counted::Failed, Counted::Instructions);
        Count { row, shape: shape(&SHAPE), outcome }
    }

    fn count(&self, machine: &Machine) -> Result<f64, String> {
        let [short, long] = self.calls.map(|calls| self.collected(calls, machine));
        Ok((long? as f64 - short? as f64) / f64::from(self.calls[1] - self.calls[0]))
    }

    /// What the server has executed when it has ended.
    fn collected(&self, calls: u32, machine: &Machine) -> Result<u64, String> {
        let server = self.row.command(1)?;
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(server.get_program()).args(server.get_args());
        command.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let server = Server::start(&mut command, machine.server_cpu)?;
        // This client checks every reply, whichever loads the cells.
        if let Err(why) = Client::Loopswap.load(server.addr(), SHAPE, calls, machine.load_cpu) {
            return Err(server.failed(&why));
        }
        // ==123== Collected : 1234567
        let words = server.end()?;
        let collected = words.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
        collected.ok_or_else(|| format!("callgrind collected nothing: {}", words.lines().last().unwrap_or("it said nothing")))
    }
}
