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
use crate::client::Wording;
use crate::load::{Amount, Method, MethodCall, Plan, Progress, Report, Watch, Workload, pad_name, parse_data, run as run_plan};
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

    /// What to call: helloworld.Greeter/SayHello, blocks.Blocks/Read, blocks.Blocks/Append; with --proto any method in the file, streams too. Each reply is checked: a
    /// greeting by its text, a block by its contents, an append by a number that no other has; of a method from a file, that each message
    /// decodes, and of grpc.testing.TestService also their number and sizes.
    #[arg(long, env = "LOOPSWAP_CALL", value_name = "pkg.Service/Method", default_value = SAY_HELLO)]
    call: String,

    /// The request, by protobuf's JSON mapping; for a method that takes a stream also a list, [{...},{...}]. All messages of a call are sent ahead. The
    /// Greeter's has `name`, a string, and `sleep_millisecond`, an int32
    /// [default: {"name":"Joe","sleep_millisecond":10}; with --proto {}].
    #[arg(short, long, env = "LOOPSWAP_DATA", value_name = "JSON")]
    data: Option<String>,

    /// Send so many messages in each call of a method that takes a stream: those of --data over and over [default: each of --data once].
    #[arg(long, env = "LOOPSWAP_STREAM_CALL_COUNT", value_name = "N", requires = "proto")]
    stream_call_count: Option<usize>,

    /// Expect so many messages in each answer of a method that answers with a stream; another number is a wrong reply [default: as many as the requests
    /// ask for, of grpc.testing.TestService; of others any number].
    #[arg(long, env = "LOOPSWAP_REPLIES", value_name = "N", requires = "proto")]
    replies: Option<u64>,

    /// Pad the Greeter's name, or with --proto the field of --payload-field, with x to this many bytes; 0 leaves it as it is. The Greeter's reply is as long,
    /// and a greeting more.
    #[arg(long, env = "LOOPSWAP_PAYLOAD", value_name = "BYTES", default_value_t = 0)]
    payload: usize,

    /// Which field of each message --payload pads: a string or bytes, as in payload.body [default: none].
    #[arg(long, env = "LOOPSWAP_PAYLOAD_FIELD", value_name = "FIELD", requires = "proto")]
    payload_field: Option<String>,

    /// The number of the block for blocks.Blocks/Read [default: a random one each time, of the server's choice].
    #[arg(long, env = "LOOPSWAP_BLOCK", value_name = "N")]
    block: Option<u64>,

    /// The .proto file of a service of your own [default: none].
    #[arg(long, env = "LOOPSWAP_PROTO", value_name = "FILE")]
    proto: Option<PathBuf>,

    /// A folder in which the file's imports are found, beside its own; may be repeated [default: its own alone].
    #[arg(long, env = "LOOPSWAP_IMPORT_PATH", value_name = "DIR", value_delimiter = ':', requires = "proto")]
    import_path: Vec<PathBuf>,

    /// Begin calls for this long, and let --total be [default: no].
    #[arg(short = 'z', long, env = "LOOPSWAP_DURATION", value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,

    /// How long each reply may take. The server is told.
    #[arg(long, env = "LOOPSWAP_TIMEOUT", value_name = "TIME", default_value = "20s", value_parser = duration)]
    timeout: Duration,

    /// Calls to make before, which are not counted.
    #[arg(long, env = "LOOPSWAP_WARMUP", value_name = "N", default_value_t = 0)]
    warmup: u64,

    /// Word requests as h2load does, to be compared with it: with a content-length, without a grpc-timeout, and with the path written out in each
    /// [default: as gRPC's clients do].
    #[arg(long, env = "LOOPSWAP_LIKE_H2LOAD", value_parser = FalseyValueParser::new())]
    like_h2load: bool,

    /// Show no progress bar [default: one is shown when standard error is a terminal].
    #[arg(long, env = "LOOPSWAP_NO_PROGRESS", value_parser = FalseyValueParser::new())]
    no_progress: bool,
}

const SAY_HELLO: &str = "helloworld.Greeter/SayHello";
const READ: &str = "blocks.Blocks/Read";
const APPEND: &str = "blocks.Blocks/Append";

impl Args {
    /// The calls that are asked for.
    fn workload(&self) -> Result<Workload, Error> {
        let call = self.call.as_str();
        let of_ours = |method| self.proto.is_none() && call == method;
        let misplaced = [
            ("--data", SAY_HELLO, self.data.is_some() && self.proto.is_none() && call != SAY_HELLO),
            ("--payload", SAY_HELLO, self.payload > 0 && self.proto.is_none() && call != SAY_HELLO),
            ("--block", READ, self.block.is_some() && !of_ours(READ)),
        ];
        if let Some((flag, method, _)) = misplaced.into_iter().find(|(_, _, is_misplaced)| *is_misplaced) {
            return Err(Error::usage(format!("{flag} is for {method}; ask for it by --call, or leave {flag} out")));
        }
        if let Some(proto) = &self.proto {
            let padding = match (self.payload, self.payload_field.as_deref()) {
                (0, None) => None,
                (_, None) => {
                    return Err(Error::usage(
                        "--payload with --proto pads the field that --payload-field names; name one, as in payload.body",
                    ));
                }
                (0, Some(_)) => return Err(Error::usage("--payload-field names what --payload pads; say to how many bytes by --payload")),
                (n_bytes, Some(field)) => Some((field, n_bytes)),
            };
            return Ok(Workload::Method(Method::read(&MethodCall {
                proto,
                includes: &self.import_path,
                call,
                json: self.data.as_deref().unwrap_or("{}"),
                n_messages: self.stream_call_count,
                n_replies: self.replies,
                padding,
            })?));
        }
        match call {
            SAY_HELLO => {
                let data = self.data.as_deref().unwrap_or(r#"{"name":"Joe","sleep_millisecond":10}"#);
                let mut request = parse_data(data).map_err(|error| Error::usage(format!("bad --data: {error}")).with_source(error))?;
                pad_name(&mut request, self.payload)?;
                Ok(Workload::SayHello(request))
            }
            READ => Ok(Workload::ReadBlock(self.block)),
            APPEND => Ok(Workload::AppendBlock),
            other => Err(Error::usage(format!(
                "bad --call {other}: without --proto it can be {SAY_HELLO}, {READ} or {APPEND}; for a method of your own service name its file with --proto"
            ))),
        }
    }
}

/// Runs the load, and prints the report.
pub(super) fn run(args: Args) -> ExitCode {
    match load(args) {
        Ok(code) => code,
        Err(error) => fail(&error, error.exit_code()),
    }
}

fn load(args: Args) -> Result<ExitCode, Error> {
    let plan = Plan {
        target: args.client.target()?,
        workload: args.workload()?,
        concurrency: args.concurrency,
        connections: args.connections,
        amount: args.duration.map_or(Amount::Calls(args.total), Amount::Time),
        rps: args.rps,
        timeout: args.timeout,
        warmup: args.warmup,
        wording: if args.like_h2load { Wording::H2load } else { Wording::Grpc },
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
