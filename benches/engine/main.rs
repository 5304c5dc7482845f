//! What a call costs without sockets: instructions and allocations, counted, the same at every run.
//!
//!     cargo bench --bench engine                    # a table, in about a minute
//!     cargo bench --bench engine -- --check         # and fails where a figure is more than 5 % above expected.json
//!     cargo bench --bench engine -- --write         # makes today's figures the expected ones
//!     cargo bench --bench engine -- --json FILE     # the figures, as JSON
//!     cargo bench --bench engine -- --profile ROW   # where a row's instructions go, by callgrind_annotate
//!
//! A connection of each engine is fed what a client sends when its header tables have settled, on a loop in memory; each answer is verified. Instructions
//! are callgrind's, of two run lengths, subtracted and divided, and only while the server has its turn. Without valgrind, the allocations alone are
//! counted. The row `harness` is a server that copies out a canned answer: what the loop in memory costs.
//!
//! Under `cargo test --benches` a few calls of each row are made and verified.

mod client;
mod expected;
mod measure;
mod row;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::measure::Figures;
use crate::row::Row;

#[global_allocator]
static ALLOCATOR: measure::Counting = measure::Counting;

/// What a call costs without sockets.
#[derive(Debug, Parser)]
#[command(name = "engine", bin_name = "cargo bench --bench engine --")]
struct Args {
    /// Fail where a figure is more than 5 % above the committed one.
    #[arg(long)]
    check: bool,

    /// Make these figures the committed ones.
    #[arg(long, conflicts_with = "check")]
    write: bool,

    /// Write the figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Show where the instructions of a row go.
    #[arg(long, value_name = "ROW", value_parser = Row::parse)]
    profile: Option<Row>,

    /// Given by `cargo bench`; without it, as under `cargo test`, a few calls are made and nothing is counted.
    #[arg(long, hide = true)]
    bench: bool,

    /// Be what callgrind looks at: serve so many batches of a row.
    #[arg(long, hide = true, value_name = "ROW", value_parser = Row::parse, requires = "batches")]
    child: Option<Row>,

    #[arg(long, hide = true, value_name = "N")]
    batches: Option<usize>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    if let (Some(row), Some(n_batches)) = (args.child, args.batches) {
        row.open().batches(n_batches);
        return Ok(());
    }
    if let Some(row) = args.profile {
        return measure::profile(row);
    }
    if !args.bench {
        for row in Row::ALL {
            row.open().batches(3);
        }
        return Ok(());
    }
    let has_valgrind = measure::has_valgrind();
    if !has_valgrind {
        say("valgrind is not installed: allocations alone are counted\n");
    }
    let mut figures = Vec::new();
    say(&format!("{:<28} {:>16} {:>16}\n", "", "instructions", "allocations"));
    for row in Row::ALL {
        let instructions = if has_valgrind { Some(measure::instructions(row)?) } else { None };
        let found = Figures { row, instructions, allocations: measure::allocations(row) };
        say(&format!("{found}\n"));
        figures.push(found);
    }
    say("each a call, or a message where the row is one of messages\n");
    let json = expected::to_json(&figures);
    if let Some(path) = &args.json {
        std::fs::write(path, &json).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    if args.write {
        return expected::write(&json);
    }
    if args.check { expected::check(&figures) } else { Ok(()) }
}

/// To standard output, which may be a pipe that nobody reads any more.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
