//! `loopswap doctor`: which loops can run here, why the others cannot, and what would change that.

use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::builder::{FalseyValueParser, PossibleValuesParser};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, Color, ContentArrangement, Table};
use loopswap_rt::{Runtime, Worker, sleep, system};
use serde::Serialize;

use crate::cli::terminal::{coloured, fail};
use crate::{Loop, UseLoop};

/// The sleep that is measured, and how often.
const SLEEP: Duration = Duration::from_millis(10);
const N_SLEEPS: usize = 21;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Loops that must be able to run; without any, one of them must.
    #[arg(env = "LOOPSWAP_RUNTIME", value_name = "LOOP", value_parser = loop_words(), value_delimiter = ',')]
    runtimes: Vec<String>,

    /// As JSON [default: no].
    #[arg(long, env = "LOOPSWAP_JSON", value_parser = FalseyValueParser::new())]
    json: bool,
}

fn loop_words() -> PossibleValuesParser {
    let loops = Loop::all();
    PossibleValuesParser::new(loops.iter().map(Loop::name).chain(["auto"]))
}

#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    machine: Machine,
    runtimes: Vec<Verdict>,
}

#[derive(Debug, Serialize)]
struct Machine {
    kernel: String,
    /// The sysctl kernel.io_uring_disabled; null on kernels without it.
    io_uring_disabled: Option<u32>,
    seccomp: bool,
    /// Bytes; null for no limit.
    memlock_soft: Option<u64>,
    memlock_hard: Option<u64>,
    open_files: Option<u64>,
    cpus_allowed: usize,
}

#[derive(Debug, Serialize)]
struct Verdict {
    runtime: &'static str,
    available: bool,
    cause: Option<String>,
    remedy: Option<String>,
    /// How much longer than 10 ms a sleep of 10 ms takes, in microseconds: the median of 21.
    sleep_error_us: Option<u128>,
}

/// Prints the report; succeeds when what was asked for can run.
pub(super) fn run(args: &Args) -> ExitCode {
    let machine = Machine::inspect();
    let runtimes: Vec<_> = Loop::all().into_iter().map(Verdict::of).collect();
    let can_run = |name: &String| runtimes.iter().any(|verdict| verdict.available && (name == "auto" || verdict.runtime == name));
    let ok = if args.runtimes.is_empty() { can_run(&"auto".into()) } else { args.runtimes.iter().all(can_run) };
    let report = Report { ok, machine, runtimes };
    if args.json {
        match serde_json::to_string_pretty(&report) {
            Ok(text) => println!("{text}"),
            Err(error) => return fail(error, 1),
        }
    } else {
        report.print();
    }
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Machine {
    fn inspect() -> Self {
        let uname = rustix::system::uname();
        let (memlock_soft, memlock_hard) = system::memlock_limits();
        Self {
            kernel: format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy()),
            io_uring_disabled: system::io_uring_disabled(),
            seccomp: system::seccomp_filters(),
            memlock_soft,
            memlock_hard,
            open_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
            cpus_allowed: thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl Verdict {
    fn of(event_loop: Loop) -> Self {
        let runtime = event_loop.name();
        let measured = thread::Builder::new().name("doctor".into()).spawn(move || {
            event_loop.probe()?;
            crate::EventLoop::with(event_loop, SleepError)
        });
        let measured = measured.map(|thread| thread.join());
        let unavailable = |cause: String, remedy: String| Self {
            runtime,
            available: false,
            cause: Some(cause),
            remedy: Some(remedy),
            sleep_error_us: None,
        };
        match measured {
            Ok(Ok(Ok(error))) => Self { runtime, available: true, cause: None, remedy: None, sleep_error_us: Some(error.as_micros()) },
            Ok(Ok(Err(why))) => unavailable(why.cause().into(), why.remedy().into()),
            Ok(Err(_)) => unavailable("it panicked while it was tried".into(), "report this, with the message above".into()),
            Err(error) => unavailable(format!("no thread can be started: {error}"), "raise ulimit -u".into()),
        }
    }
}

/// Measures by how much a loop oversleeps.
struct SleepError;

impl UseLoop for SleepError {
    type Output = Result<Duration, loopswap_rt::Unavailable>;

    fn with<R: Runtime>(self, runtime: R) -> Self::Output {
        runtime.run(&Worker::new(0), || async {
            let mut errors = Vec::with_capacity(N_SLEEPS);
            for _ in 0..N_SLEEPS {
                let start = Instant::now();
                sleep(SLEEP).await;
                errors.push(start.elapsed().saturating_sub(SLEEP));
            }
            errors.sort_unstable();
            errors[N_SLEEPS / 2]
        })
    }
}

impl Report {
    fn print(&self) {
        let colour = coloured(&io::stdout());
        let paint = |cell: Cell, colour_of: Color| if colour { cell.fg(colour_of) } else { cell };
        let mut loops = Table::new();
        loops.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
        loops.set_header(["loop", "can run", "10 ms sleep is late by", "why not", "what to do"]);
        for verdict in &self.runtimes {
            let (word, hue) = if verdict.available { ("yes", Color::Green) } else { ("no", Color::Red) };
            loops.add_row([
                Cell::new(verdict.runtime),
                paint(Cell::new(word), hue),
                Cell::new(verdict.sleep_error_us.map_or(String::new(), |us| format!("{:.2} ms", us as f64 / 1000.0))),
                Cell::new(verdict.cause.as_deref().unwrap_or_default()),
                Cell::new(verdict.remedy.as_deref().unwrap_or_default()),
            ]);
        }
        println!("{loops}\n");
        let Machine { kernel, io_uring_disabled, seccomp, memlock_soft, memlock_hard, open_files, cpus_allowed } = &self.machine;
        println!("kernel             {kernel}");
        let disabled = match io_uring_disabled {
            None => "no such sysctl".into(),
            Some(0) => "0 (everyone may use it)".into(),
            Some(1) => "1 (privileged processes only)".into(),
            Some(n) => format!("{n} (nobody may use it)"),
        };
        println!("io_uring_disabled  {disabled}");
        println!("seccomp            {}", if *seccomp { "a filter applies" } else { "no filter" });
        let kib = |limit: &Option<u64>| limit.map_or("unlimited".into(), |bytes| format!("{} KiB", bytes / 1024));
        println!("locked memory      {} (hard limit {})", kib(memlock_soft), kib(memlock_hard));
        println!("open files         {}", open_files.map_or("unlimited".into(), |n| n.to_string()));
        println!("CPUs allowed       {cpus_allowed}");
    }
}
