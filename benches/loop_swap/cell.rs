//! One measurement: a server, a load, a round.

use std::process::Command;
use std::time::Duration;

use loopswap_report::Machine;
pub(crate) use loopswap_report::Measured;

use crate::blocks::Blocks;
use crate::ceiling;
use crate::child::{LOOPSWAP, Server};
use crate::client::Client;
use crate::plan::{Kind, Row, Shape};

/// What to measure.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) round: u32,
    pub(crate) row: Row,
    pub(crate) shape: Shape,
    pub(crate) calls: u32,
    pub(crate) warmup: u32,
}

/// How often those two fell asleep.
pub(crate) struct Waits {
    pub(crate) of_server: u64,
    pub(crate) of_client: u64,
}

impl Cell {
    /// Measures it. An error says what went wrong, in a line.
    pub(crate) fn measure(&self, machine: &Machine, client: Client) -> Result<Measured, String> {
        if self.row.kind == Kind::Ceiling {
            return ceiling::measure(self, machine.server_cpu);
        }
        self.run(machine, client).map(|(measured, _)| measured)
    }

    /// Measures a server, and how often it and its client fell asleep meanwhile.
    pub(crate) fn run(&self, machine: &Machine, client: Client) -> Result<(Measured, Waits), String> {
        let mut command = self.row.command(1)?;
        let blocks = if self.shape.is_of_blocks() { Some(Blocks::new(self.calls)?) } else { None };
        if let Some(blocks) = &blocks {
            command.arg("--blocks-file").arg(blocks.path());
        }
        let server = Server::start(&mut command, machine.server_cpu)?;
        match self.load(&server, machine, client) {
            Ok(measured) => server.end().map(|_| measured),
            Err(why) => Err(server.failed(&why)),
        }
    }

    fn load(&self, server: &Server, machine: &Machine, client: Client) -> Result<(Measured, Waits), String> {
        client.load(server.addr(), self.shape, self.warmup, machine.load_cpu)?;
        let (before, waits_before, ticks_before) = (server.cpu()?, server.waits()?, server.ticks());
        let (mut measured, of_client) = client.load(server.addr(), self.shape, self.calls, machine.load_cpu)?;
        let spent: Duration = server.cpu()? - before;
        let waits = Waits { of_server: server.waits()?.saturating_sub(waits_before), of_client };
        measured.cpu_us = Some(spent.as_secs_f64() * 1e6 / f64::from(self.calls));
        if let Some(((user_before, system_before), (user, system))) = ticks_before.zip(server.ticks()) {
            (measured.user_ticks, measured.system_ticks) = (Some(user - user_before), Some(system - system_before));
        }
        Ok((measured, waits))
    }
}

impl Row {
    /// What starts it, with so many workers if it is ours.
    pub(crate) fn command(&self, workers: u32) -> Result<Command, String> {
        let this = || std::env::current_exe().map(Command::new).map_err(|error| error.to_string());
        Ok(match self.kind {
            Kind::Loopswap => {
                let mut command = Command::new(LOOPSWAP);
                command.args(["serve", "--runtime", &self.runtime, "--http2", self.engine(), "--addr", "127.0.0.1:0"]);
                command.args(["--workers", &workers.to_string()]);
                command
            }
            Kind::Floor => {
                let mut command = this()?;
                command.args(["--serve-floor", &self.runtime]);
                command
            }
            Kind::StockTonic => {
                let mut command = this()?;
                command.arg("--serve-stock-tonic");
                command
            }
            Kind::Peer => self.launch.as_ref().ok_or("this peer has no command")?.command(),
            Kind::Ceiling => return Err("a timer is no server".into()),
        })
    }
}
