//! What a server costs beside its calls: from the start of its process to the first reply, its memory, its idle connections, a second worker.

use std::time::Instant;

use loopswap_report::{Cost, Footprint, Handler, Held, Machine, Upkeep};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::child::{Server, pinned};
use crate::client::Client;
use crate::plan::{Kind, Plan, Row, Shape};
use crate::raw;

/// Descriptors that this process needs besides those of the idle connections, and a server besides its sockets.
const OTHER_FILES: u64 = 200;

/// The load of which the CPU time a call is taken.
const SHAPE: Shape = Shape { connections: 10, in_flight: 100, handler: Handler::Nothing };

/// The most connections that have a call in flight at once, and how many calls each makes, one after the other.
const BUSY_CONNECTIONS: u32 = 1_000;
const BUSY_CALLS: u32 = 10;

/// A footprint to be measured.
pub(crate) struct Task {
    pub(crate) round: u32,
    pub(crate) row: Row,
    pub(crate) workers: u32,
}

/// What is to be measured, round by round. Servers of others have their own number of workers.
pub(crate) fn tasks(plan: &Plan, rows: &[Row]) -> Vec<Task> {
    let rows: Vec<_> = rows.iter().filter(|row| row.unavailable.is_none()).collect();
    let of_round = |round| {
        let workers = |row: &Row| match row.kind {
            Kind::Loopswap => &[1, 2][..],
            Kind::StockTonic => &[1],
            Kind::Peer | Kind::Floor | Kind::Ceiling => &[],
        };
        let tasks =
            rows.iter().flat_map(move |row| workers(row).iter().map(move |workers| Task { round, row: (*row).clone(), workers: *workers }));
        let mut tasks: Vec<_> = tasks.collect();
        if round % 2 == 1 {
            tasks.reverse();
        }
        tasks
    };
    (0..plan.rounds).flat_map(of_round).collect()
}

impl Task {
    /// Measures it.
    pub(crate) fn run(&self, plan: &Plan, machine: &Machine, row: String) -> Footprint {
        let outcome = self.measure(plan, machine).map_or_else(Cost::Failed, Cost::Measured);
        Footprint { round: self.round, row, workers: self.workers, outcome }
    }

    fn measure(&self, plan: &Plan, machine: &Machine) -> Result<Upkeep, String> {
        let mut command = self.row.command(self.workers)?;
        let start = Instant::now();
        let server = Server::start(&mut command, machine.server_cpu)?;
        drop(raw::call(server.addr())?);
        let start_ms = start.elapsed().as_secs_f64() * 1e3;
        let memory_bytes = server.memory()?;
        let calls = plan.calls(&SHAPE) / 5;
        // This client checks every reply, whichever loads the cells.
        Client::Loopswap.load(server.addr(), SHAPE, calls / 5, machine.load_cpu)?;
        let before = server.cpu()?;
        Client::Loopswap.load(server.addr(), SHAPE, calls, machine.load_cpu)?;
        let cpu_us = (server.cpu()? - before).as_secs_f64() * 1e6 / f64::from(calls);
        let idle = if self.workers == 1 { Some(idle(&server, plan.idle_connections, machine.load_cpu)?) } else { None };
        server.end()?;
        let busy = if self.workers == 1 { Some(self.busy(plan.idle_connections, machine)?) } else { None };
        Ok(Upkeep { start_ms, memory_bytes, cpu_us, idle, busy })
    }

    /// By how much a server that has just started grows at most, while a call is in flight on each of many connections.
    fn busy(&self, wanted: u32, machine: &Machine) -> Result<Held, String> {
        let connections = possible(wanted.min(BUSY_CONNECTIONS))?;
        let shape = Shape { connections, in_flight: connections, handler: Handler::Nothing };
        let server = Server::start(&mut self.row.command(1)?, machine.server_cpu)?;
        drop(raw::call(server.addr())?);
        let before = server.memory()?;
        Client::Loopswap.load(server.addr(), shape, connections * BUSY_CALLS, machine.load_cpu)?;
        let grown = server.memory_peak()? as f64 - before as f64;
        server.end()?;
        Ok(Held { n_connections: connections, bytes_a_connection: grown / f64::from(connections) })
    }
}

/// Opens connections, makes a call on each, and sees by how much the server has grown. They are closed before it is told to end, which it would tell each.
fn idle(server: &Server, wanted: u32, cpu: Option<usize>) -> Result<Held, String> {
    let n_connections = possible(wanted)?;
    let before = server.memory()?;
    let connections = pinned(cpu, || (0..n_connections).map(|_| raw::call(server.addr())).collect::<Result<Vec<_>, _>>())?;
    let grown = server.memory()? as f64 - before as f64;
    drop(connections);
    Ok(Held { n_connections, bytes_a_connection: grown / f64::from(n_connections) })
}

/// As many connections as are wanted, or as the limit on open files allows.
fn possible(wanted: u32) -> Result<u32, String> {
    let n_connections = u32::try_from(open_files().saturating_sub(OTHER_FILES)).map_or(wanted, |possible| wanted.min(possible));
    if n_connections == 0 {
        return Err(format!("the limit on open files leaves no room for connections: raise `ulimit -n` beyond {OTHER_FILES}"));
    }
    Ok(n_connections)
}

/// How many files this process, and each child that it starts from now on, may open: the hard limit, up to which the soft one is raised.
fn open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(_) => current.unwrap_or(u64::MAX),
    }
}
