//! What is measured: rows (servers) × shapes (loads) × rounds.

use std::fmt;
use std::process::{Command, Stdio};

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
    /// Calls before the counted ones.
    pub(crate) warmup: u32,
}

/// By how much a slow server's calls are fewer.
const SLOWER: u32 = 10;

impl Plan {
    /// What is quoted.
    pub(crate) fn full() -> Self {
        Self { client: Client::Loopswap, rounds: 5, calls_asleep: 10_000, calls_awake: 100_000, warmup: 2_000 }
    }

    /// A first look.
    pub(crate) fn quick() -> Self {
        Self { client: Client::Loopswap, rounds: 1, calls_asleep: 5_000, calls_awake: 20_000, warmup: 1_000 }
    }

    /// Does it work?
    pub(crate) fn test() -> Self {
        Self { client: Client::Loopswap, rounds: 1, calls_asleep: 300, calls_awake: 300, warmup: 100 }
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
                .map(|(row, shape)| Cell { round, row: row.clone(), shape, calls: self.calls_of(row, &shape), warmup: self.warmup_of(row) })
                .collect();
            if round % 2 == 1 {
                of_round.reverse();
            }
            cells.append(&mut of_round);
        }
        cells
    }

    pub(crate) fn calls(&self, shape: &Shape) -> u32 {
        if shape.sleep_ms > 0 { self.calls_asleep } else { self.calls_awake }
    }

    /// The article's own number for every row; without the sleep, a slow server gives a steady figure sooner.
    fn calls_of(&self, row: &Row, shape: &Shape) -> u32 {
        let calls = self.calls(shape);
        if shape.sleep_ms == 0 && row.is_slow() { calls.div_ceil(SLOWER) } else { calls }
    }

    fn warmup_of(&self, row: &Row) -> u32 {
        if row.is_slow() { self.warmup.div_ceil(SLOWER) } else { self.warmup }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, calls_asleep, calls_awake, .. } = self;
        let s = if *rounds == 1 { "" } else { "s" };
        write!(
            f,
            "{rounds} round{s}, interleaved; {calls_asleep} calls a cell with the sleep, {calls_awake} without, of Python's servers a tenth; one worker, restarted for each cell; load by {}",
            self.client.name()
        )
    }
}

/// A load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) connections: u32,
    pub(crate) in_flight: u32,
    pub(crate) sleep_ms: u32,
}

/// The article's shape first; then its calls spread over connections; then, without the sleep, from the largest batches to none.
pub(crate) const SHAPES: [Shape; 7] = [
    Shape { connections: 1, in_flight: 100, sleep_ms: 10 },
    Shape { connections: 50, in_flight: 100, sleep_ms: 10 },
    Shape { connections: 1, in_flight: 100, sleep_ms: 0 },
    Shape { connections: 10, in_flight: 100, sleep_ms: 0 },
    Shape { connections: 1, in_flight: 10, sleep_ms: 0 },
    Shape { connections: 100, in_flight: 100, sleep_ms: 0 },
    Shape { connections: 50, in_flight: 200, sleep_ms: 0 },
];

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, in_flight, sleep_ms } = self;
        write!(f, "{connections} connection{} × {}, ", if *connections == 1 { "" } else { "s" }, in_flight / connections)?;
        if *sleep_ms > 0 { write!(f, "{sleep_ms} ms sleep") } else { f.write_str("no sleep") }
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
            Kind::Peer => shape.sleep_ms == 0 || self.launch.as_ref().is_some_and(|launch| launch.sleeps),
            Kind::Floor => shape.sleep_ms == 0,
            Kind::Ceiling => shape.sleep_ms > 0 && shape.connections == 1,
        }
    }

    fn is_slow(&self) -> bool {
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
