//! What is measured: rows (servers) × shapes (loads) × rounds.

use std::fmt;
use std::process::{Command, Stdio};

use loopswap_report::Handler;
use serde_json::Value;

use crate::cell::Cell;
use crate::client::Client;
use crate::peers::{Launch, Peer};

/// How often, and how long.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) client: Client,
    pub(crate) rounds: u32,
    /// Calls of a cell with the sleep: the article's 10,000.
    pub(crate) calls_asleep: u32,
    /// Calls of a cell without it.
    pub(crate) calls_awake: u32,
    /// Calls of a cell with a thousand connections: to open them is a part of what it costs, so that it is the same number for every server.
    pub(crate) calls_crowded: u32,
    /// Calls of a cell that reads blocks.
    pub(crate) calls_reading: u32,
    /// Calls of a cell that appends blocks, each of which waits for the disk.
    pub(crate) calls_appending: u32,
    /// The two run lengths by which instructions are counted. What the shorter one costs, start and end included, is in both.
    pub(crate) calls_counted: [u32; 2],
    /// Calls before the counted ones.
    pub(crate) warmup: u32,
    /// Connections that are held idle, as far as the limit on open files allows.
    pub(crate) idle_connections: u32,
}

/// By how much the calls of our native engine and of the floors are more where they come in large batches. At half a microsecond each more are needed for the
/// kernel's clock, which ticks some hundred times a second, to tell what the kernel spends from the rest.
const OF_FAST_ONES: u32 = 4;

/// By how much the calls of others' servers are fewer, without the sleep and with it, and those of the slow ones among them: a run with all of them is to take
/// a quarter of an hour. They are as steady for it.
const OF_PEERS: (u32, u32) = (4, 4);
const OF_SLOW_ONES: (u32, u32) = (50, 4);

impl Plan {
    /// What is quoted.
    pub(crate) fn full() -> Self {
        Self {
            client: Client::Loopswap,
            rounds: 5,
            calls_asleep: 10_000,
            calls_awake: 60_000,
            calls_crowded: 5_000,
            calls_reading: 30_000,
            calls_appending: 2_000,
            calls_counted: [2_000, 6_000],
            warmup: 1_000,
            idle_connections: 10_000,
        }
    }

    /// A first look.
    pub(crate) fn quick() -> Self {
        Self {
            client: Client::Loopswap,
            rounds: 1,
            calls_asleep: 1_000,
            calls_awake: 6_000,
            calls_crowded: 1_000,
            calls_reading: 3_000,
            calls_appending: 200,
            calls_counted: [2_000, 6_000],
            warmup: 500,
            idle_connections: 500,
        }
    }

    /// Does it work?
    pub(crate) fn test() -> Self {
        Self {
            client: Client::Loopswap,
            rounds: 1,
            calls_asleep: 300,
            calls_awake: 300,
            calls_crowded: 300,
            calls_reading: 300,
            calls_appending: 100,
            calls_counted: [100, 300],
            warmup: 100,
            idle_connections: 20,
        }
    }

    /// The cells, in the order in which they run: each round visits each row in each shape, and every other round backwards, so that none always
    /// comes first.
    pub(crate) fn cells(&self, rows: &[Row]) -> Vec<Cell> {
        let mut cells = Vec::new();
        for round in 0..self.rounds {
            let mut of_round: Vec<_> = SHAPES
                .iter()
                .flat_map(|shape| rows.iter().filter(|row| row.unavailable.is_none()).map(move |row| (row, *shape)))
                .filter(|(row, shape)| row.has(shape))
                // Fewer calls than are to be in flight would leave connections unused.
                .filter(|(_, shape)| shape.in_flight <= self.calls(shape))
                .map(|(row, shape)| Cell {
                    round,
                    row: row.clone(),
                    shape,
                    calls: self.calls_of(row, &shape),
                    warmup: self.warmup_of(row, &shape),
                })
                .collect();
            if round % 2 == 1 {
                of_round.reverse();
            }
            cells.append(&mut of_round);
        }
        cells
    }

    pub(crate) fn calls(&self, shape: &Shape) -> u32 {
        match shape.handler {
            // The article's number is for the article's shape.
            Handler::Sleep(_) if shape.connections > 1 => self.calls_asleep / 2,
            Handler::Sleep(_) => self.calls_asleep,
            Handler::Nothing if shape.is_crowded() => self.calls_crowded,
            Handler::Nothing => self.calls_awake,
            Handler::Read => self.calls_reading,
            Handler::Append => self.calls_appending,
        }
    }

    /// Never fewer than are in flight.
    pub(crate) fn calls_of(&self, row: &Row, shape: &Shape) -> u32 {
        let (awake, asleep) = match row.kind {
            Kind::Peer if shape.is_crowded() => (1, 1),
            Kind::Peer if row.is_slow() => OF_SLOW_ONES,
            Kind::Peer => OF_PEERS,
            Kind::Loopswap | Kind::StockTonic | Kind::Floor | Kind::Ceiling => (1, 1),
        };
        let fewer = if matches!(shape.handler, Handler::Sleep(_)) { asleep } else { awake };
        let more = if row.is_fast() && shape.comes_in_batches() { OF_FAST_ONES } else { 1 };
        (self.calls(shape) * more).div_ceil(fewer).max(shape.in_flight)
    }

    /// Never more than what is counted.
    fn warmup_of(&self, row: &Row, shape: &Shape) -> u32 {
        let warmup = if row.is_slow() { self.warmup.div_ceil(10) } else { self.warmup };
        warmup.max(shape.in_flight).min(self.calls_of(row, shape))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, calls_asleep, calls_awake, calls_crowded, calls_reading, calls_appending, .. } = self;
        let s = if *rounds == 1 { "" } else { "s" };
        write!(
            f,
            "{rounds} round{s}, interleaved; {calls_asleep} calls a cell with the sleep, half over many connections, {calls_awake} without, {calls_crowded} over a thousand connections, {calls_reading} that read, {calls_appending} that append, of others' servers fewer, of the fastest in large batches {OF_FAST_ONES} times as many; one worker, restarted for each cell; load by {}",
            self.client.name()
        )
    }
}

/// A load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) connections: u32,
    pub(crate) in_flight: u32,
    pub(crate) handler: Handler,
}

impl Shape {
    const fn new(connections: u32, in_flight: u32, handler: Handler) -> Self {
        Self { connections, in_flight, handler }
    }

    /// Whether the Blocks are called, not the Greeter.
    pub(crate) fn is_of_blocks(&self) -> bool {
        matches!(self.handler, Handler::Read | Handler::Append)
    }

    fn is_crowded(&self) -> bool {
        self.connections >= 1_000
    }

    /// Whether there are many calls in flight, ten on a connection or more, and none of them waits.
    fn comes_in_batches(&self) -> bool {
        self.handler == Handler::Nothing && self.in_flight >= 100 && self.in_flight >= 10 * self.connections
    }
}

/// The article's shape first; then its calls spread over connections; then, without the sleep, from the largest batches to none; then the I/O that the sleep
/// stands for.
pub(crate) const SHAPES: [Shape; 12] = [
    Shape::new(1, 100, Handler::Sleep(10)),
    Shape::new(50, 100, Handler::Sleep(10)),
    Shape::new(1, 100, Handler::Nothing),
    Shape::new(10, 100, Handler::Nothing),
    Shape::new(1, 10, Handler::Nothing),
    Shape::new(100, 100, Handler::Nothing),
    Shape::new(50, 200, Handler::Nothing),
    Shape::new(1000, 1000, Handler::Nothing),
    Shape::new(1, 100, Handler::Read),
    Shape::new(10, 100, Handler::Read),
    Shape::new(1, 100, Handler::Append),
    Shape::new(10, 100, Handler::Append),
];

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, in_flight, handler } = self;
        write!(f, "{connections} connection{} × {}, ", if *connections == 1 { "" } else { "s" }, in_flight / connections)?;
        match handler {
            Handler::Sleep(ms) => write!(f, "{ms} ms sleep"),
            Handler::Nothing => f.write_str("no sleep"),
            Handler::Read => f.write_str("4 KiB read"),
            Handler::Append => f.write_str("4 KiB upload, append and sync"),
        }
    }
}

/// A server of the experiment, or the timer that bounds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) http2: &'static str,
    pub(crate) runtime: String,
    pub(crate) kind: Kind,
    /// How a peer is started.
    pub(crate) launch: Option<Launch>,
    /// Why it cannot run here.
    pub(crate) unavailable: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `loopswap serve`.
    Loopswap,
    /// `tonic::transport::Server`, on tokio's current-thread runtime.
    StockTonic,
    /// Somebody else's server: see `peers`.
    Peer,
    /// The same bytes for every request: what the loop's sockets cost.
    Floor,
    /// No server: a hundred tasks that sleep again and again. No server can answer more often.
    Ceiling,
}

impl Row {
    fn has(&self, shape: &Shape) -> bool {
        match self.kind {
            Kind::Loopswap | Kind::StockTonic => true,
            // The peers have the Greeter alone.
            Kind::Peer => match shape.handler {
                Handler::Nothing => true,
                Handler::Sleep(_) => self.launch.as_ref().is_some_and(|launch| launch.sleeps),
                Handler::Read | Handler::Append => false,
            },
            Kind::Floor => shape.handler == Handler::Nothing,
            Kind::Ceiling => matches!(shape.handler, Handler::Sleep(_)) && shape.connections == 1,
        }
    }

    /// Whether a call costs it a tenth of what it costs others.
    fn is_fast(&self) -> bool {
        match self.kind {
            Kind::Loopswap => self.http2 == NATIVE,
            Kind::Floor => true,
            Kind::StockTonic | Kind::Peer | Kind::Ceiling => false,
        }
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.launch.as_ref().is_some_and(|launch| launch.slow)
    }

    /// The engine's word.
    pub(crate) fn engine(&self) -> &'static str {
        if self.http2 == NATIVE { "native" } else { "hyper" }
    }
}

/// Our engine, as the tables name it.
const NATIVE: &str = "native";
/// The other one, which stock tonic has as well.
const HYPER: &str = "hyper, h2";

/// The rows: each loop that the binary knows on each engine, with its floor and its timer's ceiling, stock tonic, and the peers. `doctor` says which loops can run.
pub(crate) fn rows(peers: Vec<Peer>) -> Result<Vec<Row>, String> {
    let doctor = Command::new(crate::child::LOOPSWAP).args(["doctor", "--json"]).stdin(Stdio::null()).output();
    let doctor = doctor.map_err(|error| format!("{} cannot be started: {error}", crate::child::LOOPSWAP))?;
    let verdicts: Value =
        serde_json::from_slice(&doctor.stdout).map_err(|error| format!("`loopswap doctor --json` printed no JSON: {error}"))?;
    let mut rows = vec![Row {
        name: "stock tonic".into(),
        http2: HYPER,
        runtime: "tokio current_thread".into(),
        kind: Kind::StockTonic,
        launch: None,
        unavailable: None,
    }];
    let mut bounds = Vec::new();
    for verdict in verdicts["runtimes"].as_array().into_iter().flatten() {
        let runtime = verdict["runtime"].as_str().unwrap_or_default().to_owned();
        let unavailable = (verdict["available"] != true).then(|| {
            let text = |field: &str| verdict[field].as_str().unwrap_or("unknown").to_owned();
            format!("{}; {}", text("cause"), text("remedy"))
        });
        let row = |name: &str, http2, kind| Row {
            name: format!("{name} {runtime}"),
            http2,
            runtime: runtime.clone(),
            kind,
            launch: None,
            unavailable: unavailable.clone(),
        };
        rows.extend([row("loopswap", HYPER, Kind::Loopswap), row("loopswap", NATIVE, Kind::Loopswap)]);
        bounds.extend([row("canned floor", "none", Kind::Floor), row("timer ceiling", "none", Kind::Ceiling)]);
    }
    // Engine by engine, tokio first: the others are compared with it.
    rows.sort_by_key(|row| (row.kind != Kind::StockTonic, row.http2 == NATIVE, row.runtime != "tokio"));
    bounds.sort_by_key(|row| row.kind == Kind::Ceiling);
    rows.extend(peers.into_iter().map(of_peer));
    rows.append(&mut bounds);
    Ok(rows)
}

fn of_peer(peer: Peer) -> Row {
    let Peer { name, http2, runtime, launch, unavailable, .. } = peer;
    Row { name: name.into(), http2, runtime: runtime.into(), kind: Kind::Peer, launch: Some(launch), unavailable }
}
