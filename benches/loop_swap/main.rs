//! The experiment: every loop side by side, in tables and on a page.
//!
//!     cargo bench --bench loop_swap                                        # everything, in a quarter of an hour at most
//!     cargo bench --bench loop_swap -- --quick --html report.html          # one short round, as a page
//!     cargo bench --bench loop_swap -- --out benches/runs                  # and keep it: data, page, tables, command
//!     cargo bench --bench loop_swap -- --peers all                         # with every server of others, built on first use
//!     cargo bench --bench loop_swap -- --from run.json --html report.html  # a kept run again, without measuring
//!     cargo bench --bench loop_swap -- --compare A.json B.json             # what changed between two runs
//!
//! The built server is started as a child on each loop, on one worker, and loaded by `loopswap load`, another child, on another CPU where there is
//! one. The cells of a round are interleaved, the server is restarted for each, and rounds repeat: whole rounds shift on a shared machine, so that
//! only ratios within a round mean anything. CPU time is the scheduler's, in nanoseconds.
//!
//! Under `cargo test --benches` one small round proves that all of it works.

mod blocks;
mod ceiling;
mod cell;
mod child;
mod client;
mod counts;
mod drives;
mod floor;
mod footprint;
mod interrupt;
mod machine;
mod outputs;
mod peers;
mod plan;
mod progress;
mod raw;
mod readme;
mod record;

mod steps;
mod stock;
mod stock_blocks;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use loopswap_report::{Run, Style};

use crate::client::Client;
use crate::outputs::Outputs;
use crate::peers::Choice;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::steps::Step;

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

    /// Write the run to this file, as JSON: every measurement.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write the run to this file, as a page that stands alone.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Write the run to this file, as Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,

    /// Write the run to this file, as CSV: a line for each measurement.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,

    /// Keep the run in a folder of its own in this one, `<date>-<machine>`: data, page, tables, command.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Measure nothing: show the run of this file, which `--json` or `--out` wrote.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "client", "rounds", "peers", "out"])]
    from: Option<PathBuf>,

    /// Measure nothing: say what changed from run A to run B, and what of it is beyond noise.
    #[arg(long, num_args = 2, value_names = ["A", "B"],
        conflicts_with_all = ["quick", "client", "rounds", "peers", "out", "from", "json", "html", "markdown", "csv"])]
    compare: Option<Vec<PathBuf>>,

    /// Measure nothing: fail where the README's figures are not those of the newest kept run.
    #[arg(long, conflicts_with_all = ["quick", "client", "rounds", "peers", "out", "from", "json", "html", "markdown", "csv", "compare"])]
    check_readme: bool,

    /// Measure nothing: write the figures of the newest kept run into the README.
    #[arg(long, conflicts_with_all = ["quick", "client", "rounds", "peers", "out", "from", "json", "html", "markdown", "csv", "compare", "check_readme"])]
    renew_readme: bool,

    /// Who loads the servers.
    #[arg(long, value_enum, default_value = "loopswap")]
    client: Client,

    /// How many rounds; the figures are medians over them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,

    /// When servers are loaded by h2load too, beside our load generator, and the two compared: `auto` is in a full run, where h2load is on the PATH.
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    h2load: When,

    /// When the instructions of whole servers are counted, by callgrind: `auto` is in a full run, where valgrind is on the PATH.
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    instructions: When,

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

    /// The file of the peer's blocks.
    #[arg(long, hide = true, value_name = "PATH", requires = "serve_stock_tonic")]
    blocks_file: Option<PathBuf>,

    /// Be the floor: answer in this loop with the same bytes, whatever is asked.
    #[arg(long, hide = true, value_name = "LOOP")]
    serve_floor: Option<String>,

    /// Be the timer ceiling: sleep in this loop, and say how often.
    #[arg(long, hide = true, value_name = "LOOP")]
    sleep_on: Option<String>,
}

/// When something is done that not every machine can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.serve_stock_tonic {
        return stock::serve(args.blocks_file.as_deref());
    }
    if let Some(word) = &args.serve_floor {
        return floor::serve(word);
    }
    if let Some(word) = &args.sleep_on {
        return ceiling::run(word);
    }
    match asked(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked for, which is to measure unless it is said otherwise.
fn asked(args: &Args) -> Result<ExitCode, String> {
    if let Some([a, b]) = args.compare.as_deref() {
        say(&loopswap_report::compare(&Run::read(a)?, &Run::read(b)?, style())?);
        return Ok(ExitCode::SUCCESS);
    }
    if args.check_readme || args.renew_readme {
        say(&readme::run(args.renew_readme)?);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(path) = &args.from {
        let run = Run::read(path)?;
        let outputs = Outputs::open(args)?;
        say(&loopswap_report::tables(&run, style()));
        say(&outputs.write(&run)?);
        return Ok(ExitCode::SUCCESS);
    }
    interrupt::watch()?;
    let outputs = Outputs::open(args)?;
    let run = experiment(args);
    // Before the first cell, what was ended may be what the plan is made by, which is an error like others.
    if interrupt::stopped() && run.as_ref().map_or(true, |run| run.cells.is_empty()) {
        eprintln!("nothing was measured yet, so nothing is written");
        return Ok(interrupt::EXIT_CODE.into());
    }
    let run = run?;
    say(&loopswap_report::tables(&run, style()));
    say(&outputs.write(&run)?);
    Ok(match (run.interrupted, run.all_worked()) {
        (true, _) => interrupt::EXIT_CODE.into(),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}

/// Runs the experiment, to its end or until it is interrupted.
fn experiment(args: &Args) -> Result<Run, String> {
    let plan = match (args.bench, args.quick) {
        (false, _) => Plan::test(),
        (true, true) => Plan::quick(),
        (true, false) => Plan::full(),
    };
    let plan = Plan { rounds: args.rounds.unwrap_or(plan.rounds), client: args.client, ..plan };
    let machine = machine::inspect();
    let peers = args.peers.clone().unwrap_or(if args.bench { Choice::Ready } else { Choice::Of(Vec::new()) });
    let (peers, left_out) = peers::prepare(&peers, machine.server_cpu, interrupt::stopped);
    if !left_out.is_empty() {
        say(&format!("not all peers are built, and so not all are rows: `--peers {}` builds them\n\n", left_out.join(",")));
    }
    let rows = plan::rows(peers)?;
    let cells = plan.cells(&rows);
    let mut run = record::new(machine, &plan, &rows, cells.len());
    say(&format!("{}, {}\n{plan}\n\n", run.machine.cpu, run.machine.kernel));
    let mut steps: Vec<_> = cells.into_iter().map(Step::Cell).collect();
    steps.extend(footprint::tasks(&plan, &rows).into_iter().map(Step::Footprint));
    steps.extend(counts(args, &plan, &rows)?.into_iter().map(Step::Count));
    steps.extend(drives(args, &plan, &rows)?.into_iter().map(Step::Drive));
    let mut progress = Progress::new(steps.len());
    for step in &steps {
        if interrupt::stopped() {
            break;
        }
        progress.begin(step.label());
        record::step(&mut run, step, &plan);
        progress.end();
    }
    run.interrupted = run.cells.len() + run.footprints.len() + run.counts.len() + run.drives.len() < steps.len();
    Ok(run)
}

/// Whose instructions are counted, where that is asked for and can be done.
fn counts(args: &Args, plan: &Plan, rows: &[plan::Row]) -> Result<Vec<counts::Task>, String> {
    let can = counts::has_valgrind(&peers::build::path());
    Ok(if args.asks_for(args.instructions, can, "instructions are not counted")? { counts::tasks(plan, rows) } else { Vec::new() })
}

/// What is driven by h2load too, likewise.
fn drives(args: &Args, plan: &Plan, rows: &[plan::Row]) -> Result<Vec<drives::Task>, String> {
    let can = drives::has_h2load(&peers::build::path());
    Ok(if args.asks_for(args.h2load, can, "our load generator is not compared with h2load")? {
        drives::tasks(plan, rows)
    } else {
        Vec::new()
    })
}

impl Args {
    /// Whether to do what not every machine can do, which is said where it is missed.
    fn asks_for(&self, when: When, can: Result<(), String>, missed: &str) -> Result<bool, String> {
        match (when, can) {
            (When::Never, _) => Ok(false),
            (When::Always, can) => can.map(|()| true),
            (When::Auto, _) if self.quick || !self.bench || self.client != Client::Loopswap => Ok(false),
            (When::Auto, Err(why)) => {
                say(&format!("{missed}: {why}\n\n"));
                Ok(false)
            }
            (When::Auto, Ok(())) => Ok(true),
        }
    }
}

fn style() -> Style {
    if io::stdout().is_terminal() { Style::Terminal } else { Style::Markdown }
}

/// To standard output, which may be a pipe that nobody reads any more.
fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}
