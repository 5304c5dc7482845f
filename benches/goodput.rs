//! What a worker that sheds load does well when twice as much is asked of it as it can do, by loop, engine and how long its handlers compute.
//!
//!     cargo bench --bench goodput                                        # a table, in some ten minutes
//!     cargo bench --bench goodput -- --compute-us 200 --runtime tokio    # some of its rows
//!     cargo bench --bench goodput -- --shed-lag-ms 0                     # without shedding
//!     cargo bench --bench goodput -- --json FILE                         # every figure, as JSON
//!
//! A call has 100 ms. A round measures each row once, capacity first and then goodput, so that what else the machine does meets all rows; the figures are medians over
//! rounds. Under `cargo test --benches` a single row is measured for some milliseconds.

#[path = "../tests/overload/busy.rs"]
mod busy;
#[path = "../tests/overload/measure.rs"]
mod measure;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::Parser;
use loopswap::greeter::GreeterServer;
use loopswap::{Http2, Loop, Overload, Server};
use loopswap_report::Spread;
use serde_json::json;

use busy::Busy;
use measure::{Measured, measure};

/// What a worker does well at twice its capacity.
#[derive(Debug, Parser)]
#[command(name = "goodput", bin_name = "cargo bench --bench goodput --")]
struct Args {
    /// For how long handlers compute, in microseconds.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "100,200,1000")]
    compute_us: Vec<u64>,

    /// The loops [default: all].
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    runtime: Vec<String>,

    /// The engines [default: all].
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    http2: Vec<Http2>,

    /// At which lag calls are refused, in milliseconds; 0 for never.
    #[arg(long, value_name = "N", default_value_t = 20)]
    shed_lag_ms: u64,

    /// How often each row is measured.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,

    /// Write every figure to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Given by `cargo bench`; without it, as under `cargo test`, one row is measured for a moment.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is measured together.
#[derive(Clone, Debug)]
struct Row {
    compute_us: u64,
    runtime: String,
    http2: Http2,
}

impl Row {
    /// Measures it once, for three times this time in all.
    fn measure(&self, shed_lag_ms: u64, time: Duration) -> Result<Measured, loopswap::Error> {
        let mut overload = Overload::default();
        overload.shed_lag = (shed_lag_ms > 0).then(|| Duration::from_millis(shed_lag_ms));
        let busy = Busy { compute: Duration::from_micros(self.compute_us) };
        let builder = Server::builder().listen("127.0.0.1:0").workers(1).http2(self.http2).overload(overload);
        let running = builder.start(Loop::choose(&self.runtime)?, move |_worker| GreeterServer::new(busy))?;
        let addr = running.local_addr().to_string();
        Ok(measure(&addr, time, || Command::new(env!("CARGO_BIN_EXE_loopswap")), waited))
    }
}

/// For how long the worker has waited for a CPU, by the kernel's account.
fn waited() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc is there").flatten().map(|task| task.path());
    let of_worker = |task: PathBuf| {
        fs::read_to_string(task.join("comm")).ok().filter(|name| name.trim() == "worker-0")?;
        fs::read_to_string(task.join("schedstat")).ok()?.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.filter_map(of_worker).sum())
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    if !args.bench {
        let row = Row { compute_us: 100, runtime: "tokio".into(), http2: Http2::Native };
        let measured = row.measure(args.shed_lag_ms, Duration::from_millis(50))?;
        assert!(measured.capacity > 0.0, "{measured:?}");
        return Ok(());
    }
    let rows = rows(&args);
    let mut measured = vec![Vec::new(); rows.len()];
    for round in 1..=args.rounds {
        for (row, measured) in rows.iter().zip(&mut measured) {
            eprintln!("round {round} of {}: {} us, {}, {}", args.rounds, row.compute_us, row.runtime, row.http2);
            measured.push(row.measure(args.shed_lag_ms, Duration::from_secs(1))?);
        }
    }
    show(&rows, &measured);
    if let Some(file) = &args.json {
        let figures = |measured: &Measured| json!({ "capacity": measured.capacity, "goodput": measured.goodput });
        let rows = rows.iter().zip(&measured).map(|(row, measured)| {
            json!({
                "compute_us": row.compute_us, "runtime": row.runtime, "http2": row.http2.name(), "rounds": measured.iter().map(figures).collect::<Vec<_>>(),
            })
        });
        fs::write(file, serde_json::to_string_pretty(&json!({ "shed_lag_ms": args.shed_lag_ms, "rows": rows.collect::<Vec<_>>() }))?)?;
    }
    Ok(())
}

/// Every loop with every engine that is asked for, a time after the other.
fn rows(args: &Args) -> Vec<Row> {
    let all = Loop::all().iter().map(|known| known.name().to_owned()).collect();
    let runtimes = if args.runtime.is_empty() { all } else { args.runtime.clone() };
    let engines = if args.http2.is_empty() { Http2::ALL.to_vec() } else { args.http2.clone() };
    let mut rows = Vec::new();
    for compute_us in &args.compute_us {
        for runtime in &runtimes {
            rows.extend(engines.iter().map(|http2| Row { compute_us: *compute_us, runtime: runtime.clone(), http2: *http2 }));
        }
    }
    rows
}

/// Prints a line a row: the medians, and the worst of the rounds.
fn show(rows: &[Row], measured: &[Vec<Measured>]) {
    println!("{:>10} {:<12} {:<7} {:>14} {:>9} {:>7}", "compute", "loop", "engine", "capacity, 1/s", "goodput", "least");
    for (row, measured) in rows.iter().zip(measured) {
        let capacity = spread(measured.iter().map(|measured| measured.capacity)).median;
        let share = spread(measured.iter().map(|measured| 100.0 * measured.goodput / measured.capacity));
        let Row { compute_us, runtime, http2 } = row;
        println!("{compute_us:>7} us {runtime:<12} {:<7} {capacity:>14.0} {:>7.0} % {:>5.0} %", http2.name(), share.median, share.min);
    }
}

fn spread(figures: impl Iterator<Item = f64>) -> Spread {
    Spread::of(figures).expect("there was a round")
}
