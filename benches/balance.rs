//! How evenly connections, and with them calls, come to workers under each `--balance`; and what it costs to hand connections over.
//!
//!     cargo bench --bench balance                                                # tables, in some two minutes
//!     cargo bench --bench balance -- --workers 2 --connections 4,16 --rounds 50  # other numbers
//!     cargo bench --bench balance -- --runtime glommio                           # another loop
//!     cargo bench --bench balance -- --json FILE                                 # every figure, as JSON
//!
//! In a round a load of its own, by `loopswap load`, opens connections and makes one call after the other on each; how many came to which worker the server's metrics
//! say. The skew is what the busiest worker has, as a multiple of the mean: 1 is even, and the number of workers is all on one. Then clients connect, wait for the
//! server's SETTINGS, and leave, which is what a connection costs without calls. The balances take turns, so that what else the machine does meets all. Under
//! `cargo test --benches` a small round of each is made, and what must be even is.

use std::error::Error;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use loopswap::greeter::{GreeterServer, Hello};
use loopswap::{Balance, Loop, Metrics, Running, Server, TextFormat};
use loopswap_report::Spread as OverRounds;
use serde_json::{Value, json};
use socket2::SockRef;

/// Clients that connect and leave, at a time.
const N_CLIENTS: usize = 4;

/// What a client says first (RFC 9113, 3.4): preface, and empty SETTINGS.
const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// How long the server's counters may take to have what clients have seen.
const PATIENCE: Duration = Duration::from_secs(20);

/// How connections and calls come to workers.
#[derive(Debug, Parser)]
#[command(name = "balance", bin_name = "cargo bench --bench balance --")]
struct Args {
    /// The loop.
    #[arg(long, value_name = "LOOP", default_value = "tokio")]
    runtime: String,

    /// Workers.
    #[arg(long, value_name = "N", default_value_t = 4)]
    workers: usize,

    /// Connections of a round.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "8,32,100")]
    connections: Vec<usize>,

    /// Rounds of each number of connections, and of each balance's cost.
    #[arg(long, value_name = "N", default_value_t = 20)]
    rounds: usize,

    /// For how long a round's calls are made, and for how long clients connect.
    #[arg(long, value_name = "MS", default_value_t = 250)]
    round_ms: u64,

    /// Write every figure to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Given by `cargo bench`; without it, as under `cargo test`, a small round of each is made.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A server of this process.
struct Served {
    balance: Balance,
    running: Running,
    metrics: Metrics,
    n_workers: usize,
}

/// What came to each worker.
#[derive(Debug)]
struct Spread {
    connections: Vec<u64>,
    calls: Vec<u64>,
}

/// What connections cost that come and go.
#[derive(Debug)]
struct Cost {
    a_second: f64,
    /// Of the server's own threads, a connection.
    cpu_us: f64,
}

/// What was measured of a balance.
struct Measured {
    balance: Balance,
    /// By the number of connections.
    spreads: Vec<(usize, Vec<Spread>)>,
    costs: Vec<Cost>,
}

impl Served {
    fn start(args: &Args, balance: Balance) -> Result<Self, loopswap::Error> {
        let metrics = Metrics::new();
        let builder = Server::builder().listen("127.0.0.1:0").workers(args.workers).balance(balance).metrics(&metrics);
        let running = builder.start(Loop::choose(&args.runtime)?, |_worker| GreeterServer::new(Hello))?;
        Ok(Self { balance, running, metrics, n_workers: args.workers })
    }

    fn addr(&self) -> SocketAddr {
        self.running.local_addr().as_tcp().expect("it listens on TCP")
    }

    /// A counter by worker, its other labels summed up.
    fn by_worker(&self, name: &str) -> Vec<u64> {
        let mut sums = vec![0; self.n_workers];
        for line in self.metrics.render(TextFormat::Prometheus).lines() {
            let Some(labels) = line.strip_prefix(name).and_then(|rest| rest.strip_prefix('{')) else { continue };
            let (labels, value) = labels.rsplit_once("} ").expect("labels end");
            let worker =
                labels.split(',').find_map(|label| label.strip_prefix("worker=\"")?.strip_suffix('"')).expect("each has its worker");
            sums[worker.parse::<usize>().expect("a number")] += value.parse::<u64>().expect("counters are whole numbers");
        }
        sums
    }

    fn spread(&self) -> Spread {
        Spread { connections: self.by_worker("loopswap_connections_accepted_total"), calls: self.by_worker("grpc_server_handled_total") }
    }

    /// Makes calls on so many connections: for this long, or so many.
    fn round(&self, connections: usize, amount: [&str; 2]) -> Spread {
        let before = self.spread();
        let n = connections.to_string();
        let mut load = Command::new(env!("CARGO_BIN_EXE_loopswap"));
        load.args(["load", "--runtime", "tokio", "--json", "--addr", &self.addr().to_string(), "-d", r#"{"name":"Joe"}"#]);
        let ended = load.args(["--connections", &n, "-c", &n]).args(amount).output().expect("the binary starts");
        let report: Value = serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        let n_calls = report["ok"].as_u64().expect("a number");
        assert!(ended.status.success() && n_calls > 0, "{report}");
        // A call is counted when its answer has left.
        let give_up = Instant::now() + PATIENCE;
        loop {
            let now = self.spread();
            let since = |now: Vec<u64>, before: &[u64]| now.iter().zip(before).map(|(now, before)| now - before).collect::<Vec<_>>();
            let spread = Spread { connections: since(now.connections, &before.connections), calls: since(now.calls, &before.calls) };
            if spread.calls.iter().sum::<u64>() >= n_calls {
                assert_eq!(spread.connections.iter().sum::<u64>(), connections as u64, "{spread:?}");
                return spread;
            }
            assert!(Instant::now() < give_up, "{n_calls} calls were made, and counted were {spread:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Has clients connect and leave for so long.
    fn cost(&self, time: Duration) -> Cost {
        let (addr, cpu, start) = (self.addr(), cpu(), Instant::now());
        let client = || {
            let mut n = 0_u32;
            while start.elapsed() < time {
                connect_and_leave(addr);
                n += 1;
            }
            n
        };
        let n = thread::scope(|scope| {
            let clients: Vec<_> = (0..N_CLIENTS).map(|_| scope.spawn(client)).collect();
            clients.into_iter().map(|client| client.join().expect("it connects")).sum::<u32>()
        });
        let took = start.elapsed();
        Cost { a_second: f64::from(n) / took.as_secs_f64(), cpu_us: (cpu_after(cpu) / n).as_secs_f64() * 1e6 }
    }
}

/// A reset ends it, so that no port is kept back.
fn connect_and_leave(addr: SocketAddr) {
    let mut socket = TcpStream::connect(addr).expect("it listens");
    SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("a socket has such an option");
    socket.write_all(OPENING).expect("it is taken");
    socket.read_exact(&mut [0; 9]).expect("the server's SETTINGS come");
}

/// The CPU time of the server's threads so far.
fn cpu() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc is there").flatten().map(|task| task.path());
    let of_server = |task: PathBuf| {
        fs::read_to_string(task.join("comm")).ok().filter(|name| name.starts_with("worker-") || name.trim() == "acceptor")?;
        fs::read_to_string(task.join("schedstat")).ok()?.split_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.filter_map(of_server).sum())
}

fn cpu_after(before: Duration) -> Duration {
    cpu().saturating_sub(before)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    if !args.bench {
        return Ok(try_out(&Args { workers: 2, ..args })?);
    }
    let servers = Balance::ALL.map(|balance| Served::start(&args, balance));
    let servers = servers.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut measured: Vec<_> = servers
        .iter()
        .map(|served| Measured {
            balance: served.balance,
            spreads: args.connections.iter().map(|n| (*n, Vec::new())).collect(),
            costs: Vec::new(),
        })
        .collect();
    let time = format!("{}ms", args.round_ms);
    for round in 1..=args.rounds {
        eprintln!("round {round} of {}", args.rounds);
        for (served, measured) in servers.iter().zip(&mut measured) {
            measured.spreads.iter_mut().for_each(|(n, spreads)| spreads.push(served.round(*n, ["-z", &time])));
            measured.costs.push(served.cost(Duration::from_millis(args.round_ms)));
        }
    }
    show(&args, &measured);
    if let Some(file) = &args.json {
        fs::write(file, serde_json::to_string_pretty(&as_json(&args, &measured))?)?;
    }
    Ok(())
}

/// A small round of each.
fn try_out(args: &Args) -> Result<(), loopswap::Error> {
    for balance in Balance::ALL {
        let served = Served::start(args, balance)?;
        let spread = served.round(4, ["-n", "20"]);
        if balance == Balance::LeastConnections {
            assert_eq!(spread.connections, [2, 2], "it is even");
        }
        assert_eq!(spread.calls.iter().sum::<u64>(), 20);
        let cost = served.cost(Duration::from_millis(5));
        assert!(cost.a_second > 0.0 && cost.cpu_us > 0.0, "{cost:?}");
    }
    Ok(())
}

/// What the busiest worker has, as a multiple of the mean.
fn skew(by_worker: &[u64]) -> f64 {
    let most = by_worker.iter().max().copied().unwrap_or(0) as f64;
    most * by_worker.len() as f64 / by_worker.iter().sum::<u64>() as f64
}

fn show(args: &Args, measured: &[Measured]) {
    println!(
        "{} workers on {}, {} rounds; the busiest worker's share as a multiple of the mean: median, and worst round\n",
        args.workers, args.runtime, args.rounds
    );
    println!(
        "{:<18} {:>11} {:>8} {:>6} {:>14} {:>14} {:>6}",
        "balance", "connections", "skew", "worst", "one has none", "skew of calls", "worst"
    );
    for Measured { balance, spreads, .. } in measured {
        for (n, spreads) in spreads {
            let connections = over_rounds(spreads.iter().map(|spread| skew(&spread.connections)));
            let calls = over_rounds(spreads.iter().map(|spread| skew(&spread.calls)));
            let n_idle = spreads.iter().filter(|spread| spread.connections.contains(&0)).count();
            let idle = 100.0 * n_idle as f64 / spreads.len() as f64;
            let [(median, worst), (calls, worst_calls)] = [connections, calls].map(|skew| (skew.median, skew.max));
            println!("{:<18} {n:>11} {median:>8.2} {worst:>6.2} {idle:>12.0} % {calls:>14.2} {worst_calls:>6.2}", balance.name());
        }
    }
    println!("\n{:<18} {:>16} {:>22}", "balance", "connections, 1/s", "server's CPU for each");
    for Measured { balance, costs, .. } in measured {
        let rate = over_rounds(costs.iter().map(|cost| cost.a_second)).median;
        let cpu = over_rounds(costs.iter().map(|cost| cost.cpu_us)).median;
        println!("{:<18} {rate:>16.0} {cpu:>19.1} us", balance.name());
    }
}

fn as_json(args: &Args, measured: &[Measured]) -> Value {
    let spread = |spread: &Spread| json!({ "connections": spread.connections, "calls": spread.calls });
    let cost = |cost: &Cost| json!({ "connections_a_second": cost.a_second, "cpu_us": cost.cpu_us });
    let of_number =
        |(n, spreads): &(usize, Vec<Spread>)| json!({ "connections": n, "rounds": spreads.iter().map(spread).collect::<Vec<_>>() });
    let of_balance = |Measured { balance, spreads, costs }: &Measured| {
        json!({
            "balance": balance.name(),
            "spreads": spreads.iter().map(of_number).collect::<Vec<_>>(),
            "costs": costs.iter().map(cost).collect::<Vec<_>>(),
        })
    };
    json!({ "runtime": args.runtime, "workers": args.workers, "balances": measured.iter().map(of_balance).collect::<Vec<_>>() })
}

fn over_rounds(figures: impl Iterator<Item = f64>) -> OverRounds {
    OverRounds::of(figures).expect("there was a round")
}
