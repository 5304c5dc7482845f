//! The experiment: every loop side by side, in one table.
//!
//!     cargo bench --bench loop_swap                        # everything, in about ten minutes
//!     cargo bench --bench loop_swap -- --quick             # one short round
//!     cargo bench --bench loop_swap -- --json FILE         # every measurement, too
//!     cargo bench --bench loop_swap -- --peers all         # with every server of others, built on first use
//!
//! The built server is started as a child on each loop, on one worker, and loaded by `loopswap load`, another child, on another CPU where there is
//! one. The cells of a round are interleaved, the server is restarted for each, and rounds repeat: whole rounds shift on a shared machine, so that
//! only ratios within a round mean anything. CPU time is the scheduler's, in nanoseconds.
//!
//! Under `cargo test --benches` one small round proves that all of it works.

mod ceiling;
mod cell;
mod child;
mod client;
mod floor;
mod machine;
mod peers;
mod plan;
mod report;
mod stock;
mod table;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cell::Outcome;
use crate::client::Client;
use crate::peers::Choice;
use crate::plan::Plan;
use crate::report::Report;

/// The binary's allocator, for the stock peer that this process becomes: the rows differ in the server, not in malloc.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The experiment: every loop side by side.
#[derive(Debug, Parser)]
#[command(name = "loop_swap", bin_name = "cargo bench --bench loop_swap --")]
struct Args {
    /// One short round instead of five: figures to look at, not to quote.
    #[arg(long)]
    quick: bool,

    /// Write every measurement to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Who loads the servers.
    #[arg(long, value_enum, default_value = "loopswap")]
    client: Client,

    /// How many rounds; the figures are medians over them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,

    /// Which servers of others are rows, too: `none`, `ready`, `all`, or of `python`, `rust` and `cpp`, with commas between. They are built on first
    /// use, which downloads what they are made of; `ready` has those that are built already. By default `ready`, under `cargo test` `none`.
    #[arg(long, value_name = "LIST")]
    peers: Option<Choice>,

    /// Given by `cargo bench`; without it, as under `cargo test`, only a small round is run.
    #[arg(long, hide = true)]
    bench: bool,

    /// Be the peer: serve with stock tonic.
    #[arg(long, hide = true)]
    serve_stock_tonic: bool,

    /// Be the floor: answer in this loop with the same bytes, whatever is asked.
    #[arg(long, hide = true, value_name = "LOOP")]
    serve_floor: Option<String>,

    /// Be the timer ceiling: sleep in this loop, and say how often.
    #[arg(long, hide = true, value_name = "LOOP")]
    sleep_on: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.serve_stock_tonic {
        return stock::serve();
    }
    if let Some(word) = &args.serve_floor {
        return floor::serve(word);
    }
    if let Some(word) = &args.sleep_on {
        return ceiling::run(word);
    }
    match experiment(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the experiment and prints it. False when a cell that should have worked did not.
fn experiment(args: &Args) -> Result<bool, String> {
    // Before the minutes of work, not after them.
    let json = match &args.json {
        None => None,
        Some(path) => {
            let file = std::fs::File::create(path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            Some((path, file))
        }
    };
    let plan = match (args.bench, args.quick) {
        (false, _) => Plan::test(),
        (true, true) => Plan::quick(),
        (true, false) => Plan::full(),
    };
    let plan = Plan { rounds: args.rounds.unwrap_or(plan.rounds), client: args.client, ..plan };
    let machine = machine::inspect();
    say(&format!("{machine}\n{plan}\n\n"));
    let peers = args.peers.clone().unwrap_or(if args.bench { Choice::Ready } else { Choice::Of(Vec::new()) });
    let (peers, left_out) = peers::prepare(&peers, machine.server_cpu);
    if !left_out.is_empty() {
        say(&format!("not all peers are built, and so not all are rows: `--peers {}` builds them\n\n", left_out.join(",")));
    }
    let rows = plan::rows(peers)?;
    let cells = plan.cells(&rows);
    let bar = ProgressBar::new(cells.len() as u64)
        .with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} ({eta} left)").expect("a valid template"));
    let mut outcomes = Vec::with_capacity(cells.len());
    for cell in cells {
        bar.set_message(format!("round {} {} {}", cell.round + 1, cell.row.name, cell.shape));
        outcomes.push(Outcome { result: cell.run(&machine, args.client), cell });
        bar.inc(1);
    }
    bar.finish_and_clear();
    let report = Report::new(machine, plan, rows, outcomes);
    say(&table::text(&report));
    if let Some((path, file)) = json {
        serde_json::to_writer_pretty(file, &report.to_json()).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        say(&format!("every measurement: {}\n", path.display()));
    }
    Ok(report.all_worked())
}

/// To standard output, which may be a pipe that nobody reads any more.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
