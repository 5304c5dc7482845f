//! `loopswap load`: the client of the experiment, with ghz's flags and ghz's summary.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use loopswap_rt::Runtime;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tokio::sync::watch;

use crate::cli::client::ClientArgs;
use crate::cli::load_json::{Facts, Json};
use crate::cli::progress::Bar;
use crate::cli::terminal::{self, coloured, fail};
use crate::cli::{duration, summary};
use crate::load::{Amount, Asked, Method, Plan, Progress, Report, Watch, pad_name, parse_data, run as run_plan};
use crate::{Error, ErrorKind, EventLoop, UseLoop};

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "The article's load: loopswap load -c 100 -n 10000")]
pub(super) struct Args {
    #[command(flatten)]
    client: ClientArgs,

    /// Calls in flight at a time.
    #[arg(short, long, env = "LOOPSWAP_CONCURRENCY", value_name = "N", default_value_t = 50)]
    concurrency: usize,

    /// Calls in all.
    #[arg(short = 'n', long, env = "LOOPSWAP_TOTAL", value_name = "N", default_value_t = 200)]
    total: u64,

    /// Connections, over which the calls in flight are spread evenly.
    #[arg(long, env = "LOOPSWAP_CONNECTIONS", value_name = "N", default_value_t = 1)]
    connections: usize,

    /// Calls a second, at most; 0 for as many as go. With a rate, a latency counts from the time at which the call was due, so that calls which a slow
    /// server holds up show it. The loop's timer keeps the rate: tokio's is up to 1 ms late, and so are the latencies; tokio-uring's 0.1 ms.
    #[arg(long, env = "LOOPSWAP_RPS", value_name = "N", default_value_t = 0)]
    rps: u32,

    /// The request, by protobuf's JSON mapping. The Greeter's has `name`, a string, and `sleep_millisecond`, an int32
    /// [default: {"name":"Joe","sleep_millisecond":10}; with --call {}].
    #[arg(short, long, env = "LOOPSWAP_DATA", value_name = "JSON")]
    data: Option<String>,

    /// The .proto file of your own service, in place of the Greeter [default: the Greeter's].
    #[arg(long, env = "LOOPSWAP_PROTO", value_name = "FILE", requires = "call")]
    proto: Option<PathBuf>,

    /// A folder in which the file's imports are found, beside its own; may be repeated [default: its own alone].
    #[arg(long, env = "LOOPSWAP_IMPORT_PATH", value_name = "DIR", value_delimiter = ':', requires = "proto")]
    import_path: Vec<PathBuf>,

    /// The unary method to call. A reply is right when it has OK and decodes [default: helloworld.Greeter/SayHello].
    #[arg(long, env = "LOOPSWAP_CALL", value_name = "pkg.Service/Method", requires = "proto")]
    call: Option<String>,

    /// Pad the name with x to this many bytes; 0 leaves it as it is. The reply is as long, and a greeting more.
    #[arg(long, env = "LOOPSWAP_PAYLOAD", value_name = "BYTES", default_value_t = 0, conflicts_with = "proto")]
    payload: usize,

    /// Begin calls for this long, and let --total be [default: no].
    #[arg(short = 'z', long, env = "LOOPSWAP_DURATION", value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,

    /// How long each reply may take. The server is told.
    #[arg(long, env = "LOOPSWAP_TIMEOUT", value_name = "TIME", default_value = "20s", value_parser = duration)]
    timeout: Duration,

    /// Calls to make before, which are not counted.
    #[arg(long, env = "LOOPSWAP_WARMUP", value_name = "N", default_value_t = 0)]
    warmup: u64,

    /// Show no progress bar [default: one is shown when standard error is a terminal].
    #[arg(long, env = "LOOPSWAP_NO_PROGRESS", value_parser = FalseyValueParser::new())]
    no_progress: bool,
}

/// Runs the load, and prints the report.
pub(super) fn run(args: Args) -> ExitCode {
    match load(args) {
        Ok(code) => code,
        Err(error) => fail(&error, error.exit_code()),
    }
}

fn load(args: Args) -> Result<ExitCode, Error> {
    let asked = asked(&args)?;
    let plan = Plan {
        target: args.client.target()?,
        asked,
        concurrency: args.concurrency,
        connections: args.connections,
        amount: args.duration.map_or(Amount::Calls(args.total), Amount::Time),
        rps: args.rps,
        timeout: args.timeout,
        warmup: args.warmup,
    };
    let event_loop = args.client.event_loop()?;
    let facts = Facts {
        concurrency: plan.concurrency,
        connections: plan.connections,
        rps: plan.rps,
        addr: plan.target.text().into(),
        runtime: event_loop.name(),
    };
    let amount = plan.amount;
    let progress = Arc::new(Progress::default());
    let stop = stop_on_signals()?;
    let bar = (!args.no_progress).then(|| Bar::start(amount, Arc::clone(&progress)));
    let report = event_loop.with(Run { plan, watch: Watch { progress, stop } });
    drop(bar);
    let report = report?;
    if args.client.json {
        terminal::print_json(&Json::new(&report, facts));
    } else {
        terminal::print(summary::text(&report, amount, coloured(&io::stdout())));
    }
    Ok(if report.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the calls ask for.
fn asked(args: &Args) -> Result<Asked, Error> {
    if let (Some(proto), Some(call)) = (&args.proto, &args.call) {
        let data = args.data.as_deref().unwrap_or("{}");
        return Ok(Asked::Method(Method::read(proto, &args.import_path, call, data)?));
    }
    let data = args.data.as_deref().unwrap_or(r#"{"name":"Joe","sleep_millisecond":10}"#);
    let mut request = parse_data(data).map_err(|error| Error::usage(format!("bad --data: {error}")).with_source(error))?;
    pad_name(&mut request, args.payload)?;
    Ok(Asked::Hello(request))
}

/// `true` after the first SIGINT or SIGTERM. The second does what it does by default: it ends the process.
fn stop_on_signals() -> Result<watch::Receiver<bool>, Error> {
    let failed = |error: io::Error| Error::new(ErrorKind::Worker, format!("signals cannot be watched: {error}")).with_source(error);
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    let (stop, stopped) = watch::channel(false);
    let body = move || {
        for signal in signals.forever() {
            if stop.send_replace(true) {
                let _ = emulate_default_handler(signal);
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(body).map_err(failed)?;
    Ok(stopped)
}

struct Run {
    plan: Plan,
    watch: Watch,
}

impl UseLoop for Run {
    type Output = Result<Report, Error>;

    fn with<R: Runtime>(self, runtime: R) -> Self::Output {
        run_plan(runtime, self.plan, self.watch)
    }
}
