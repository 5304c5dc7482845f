//! The command line: one file a subcommand, each thin over the library.

mod call;
mod client;
#[cfg(feature = "tls")]
mod client_tls;
mod doctor;
mod health;
mod load;
mod load_json;
mod progress;
mod serve;
mod summary;
mod terminal;
mod units;

use std::env;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, Resettable};
use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::Loop;

use units::duration;

/// Where `serve` listens, and where the clients look for it.
const ADDR: &str = "127.0.0.1:9999";

/// A gRPC server whose event loop is a word at launch.
///
/// Without a command it serves: `loopswap --runtime tokio-uring` is `loopswap serve --runtime tokio-uring`. Every flag has an environment variable; one that is empty
/// counts as not set.
#[derive(Debug, Parser)]
#[command(name = "loopswap", version, args_conflicts_with_subcommands = true, max_term_width = 120)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the Greeter, and the Blocks of a file (the default command).
    Serve(Box<serve::Args>),
    /// Say hello to a server, once.
    Call(call::Args),
    /// Call a server many times, check every reply, and report latencies as ghz does.
    ///
    /// Latencies are those of the calls that ended with OK and the right reply; another reply counts as an error. The exit code is 0
    /// when every call was right, and 1 otherwise. Ctrl-C ends the run and reports what was done.
    Load(load::Args),
    /// Ask a server whether it serves: exit code 0 when it does, and 1 otherwise. For probes that run a command.
    Health(health::Args),
    /// Tell which loops can run here, and why the others cannot.
    Doctor(doctor::Args),
}

/// Runs the command line of this process, and says how it ended: 0 for well, 1 for what failed, 2 for what was asked for wrongly or cannot run here.
pub fn main() -> ExitCode {
    let command_line = CommandLine::from_arg_matches(&unset_empty(CommandLine::command()).get_matches());
    let CommandLine { command, serve } = command_line.unwrap_or_else(|error| error.exit());
    match command.unwrap_or_else(|| Command::Serve(Box::new(serve))) {
        Command::Serve(args) => serve::run(&args),
        Command::Call(args) => call::run(&args),
        Command::Load(args) => load::run(args),
        Command::Health(args) => health::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    }
}

/// An environment variable that is empty counts as not set, whatever its flag takes.
fn unset_empty(command: clap::Command) -> clap::Command {
    let unset = |flag: Arg| {
        let is_empty = flag.get_env().is_some_and(|name| env::var_os(name).is_some_and(|value| value.is_empty()));
        if is_empty { flag.env(Resettable::Reset) } else { flag }
    };
    command.mut_args(unset).mut_subcommands(unset_empty)
}

/// The words for `--runtime`.
fn runtime_words() -> PossibleValuesParser {
    let loops = Loop::all();
    PossibleValuesParser::new(std::iter::once("auto").chain(loops.iter().map(Loop::name)))
}
