//! `loopswap serve`: the Greeter, and the Blocks of a file, on the loop that is asked for.
//!
//! Flags that belong together are in files of their own: `admin` is what the server tells of itself, `care` the life of a connection, `limits` what
//! one may cost, `overload` when a worker has enough, `observe` and `otlp` what is
//! seen of its calls.

mod admin;
mod care;
mod limits;
mod listen;
mod observe;
#[cfg(feature = "otel")]
mod otlp;
mod overload;
mod reflection;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "grpc-web")]
mod web;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::builder::{FalseyValueParser, PossibleValuesParser};
use serde_json::json;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::blocks::{BLOCKS_MAX, BlocksServer, FileBlocks, Store};
use crate::cli::serve::admin::AdminArgs;
use crate::cli::serve::care::CareArgs;
use crate::cli::serve::limits::LimitArgs;
use crate::cli::serve::listen::ListenArgs;
use crate::cli::terminal::{coloured, fail};
use crate::cli::{duration, runtime_words};
use crate::greeter::{GreeterServer, Hello};
use crate::observe::CALLS;
use crate::{Error, Http2, Limits, Loop, Router, Server};

use observe::Observe;
use overload::OverloadArgs;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The event loop. `auto` takes the first that can run here (tokio-uring, tokio, glommio), and logs why it passed others over; a named one runs or
    /// fails.
    #[arg(long, env = "LOOPSWAP_RUNTIME", value_name = "LOOP", default_value = "auto", value_parser = runtime_words())]
    runtime: String,

    /// What speaks HTTP/2: `native` is our own engine, `hyper` the one that stock tonic stands on.
    #[arg(long, env = "LOOPSWAP_HTTP2", value_name = "ENGINE", default_value = "native", value_parser = http2_words())]
    http2: String,

    /// Worker threads, each with a loop of its own. The default is the CPUs that this process may use.
    #[arg(long, env = "LOOPSWAP_WORKERS", value_name = "N", default_value_t = thread::available_parallelism().map_or(1, usize::from))]
    workers: usize,

    /// Pin each worker to a CPU of its own [default: no].
    #[arg(long, env = "LOOPSWAP_PIN_CPUS", value_parser = FalseyValueParser::new())]
    pin_cpus: bool,

    /// How long calls under way may take to end after SIGTERM or SIGINT; then they are cut. A second signal cuts them at once.
    #[arg(long, env = "LOOPSWAP_DRAIN_TIMEOUT", value_name = "TIME", default_value = "25s", value_parser = duration)]
    drain_timeout: Duration,

    /// Serve the blocks of this file too (blocks.Blocks: Read, Append), by the loop's own file I/O [default: no file, no Blocks].
    #[arg(long, env = "LOOPSWAP_BLOCKS_FILE", value_name = "PATH")]
    blocks_file: Option<PathBuf>,

    /// Make --blocks-file, of so many blocks of 4096 bytes, where it is missing [default: it must be there].
    #[arg(long, env = "LOOPSWAP_BLOCKS_CREATE", value_name = "N", requires = "blocks_file", value_parser = clap::value_parser!(u64).range(1..))]
    blocks_create: Option<u64>,

    /// The most blocks that --blocks-file may have. Append is refused then.
    #[arg(long, env = "LOOPSWAP_BLOCKS_MAX", value_name = "N", default_value_t = BLOCKS_MAX)]
    blocks_max: u64,

    #[command(flatten)]
    observe: Observe,

    #[cfg(feature = "otel")]
    #[command(flatten)]
    otlp: otlp::OtlpArgs,

    /// What to log on standard error: error, warn, info, debug, trace, or directives of tracing-subscriber.
    #[arg(long, env = "LOOPSWAP_LOG", value_name = "FILTER", default_value = "info")]
    log: String,

    /// Say where it listens, and log, as JSON lines [default: no].
    #[arg(long, env = "LOOPSWAP_JSON", value_parser = FalseyValueParser::new())]
    json: bool,

    #[command(flatten)]
    listen: ListenArgs,

    #[command(flatten)]
    admin: AdminArgs,

    #[command(flatten)]
    care: CareArgs,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    overload: OverloadArgs,

    #[cfg(feature = "tls")]
    #[command(flatten)]
    tls: tls::TlsArgs,

    #[cfg(feature = "grpc-web")]
    #[command(flatten)]
    web: web::WebArgs,
}

/// The engines' words.
fn http2_words() -> PossibleValuesParser {
    Http2::ALL.map(Http2::name).into()
}

/// Serves until it is told to end.
pub(super) fn run(args: &Args) -> ExitCode {
    if let Err(error) = init_log(args) {
        return fail(error, 2);
    }
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, error.exit_code()),
    }
}

fn init_log(args: &Args) -> Result<(), String> {
    // To tracing-subscriber a word alone is a target of which all is logged, so a level that is misspelt would silence the server.
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    if let Some(word) = args.log.split(',').map(str::trim).find(|word| !word.contains(['=', '[']) && !is_level(word)) {
        return Err(format!(
            "bad value `{}` for --log: `{word}` is no level; write error, warn, info, debug or trace, or {word}=debug",
            args.log
        ));
    }
    let filter = EnvFilter::builder().parse(&args.log).map_err(|error| {
        format!("bad value `{}` for --log: {error}; write a level, as in `info`, or directives, as in `loopswap=debug,h2=info`", args.log)
    })?;
    // Who asks for them sees them, whatever else is logged.
    let filter =
        if args.observe.log_calls { filter.add_directive(format!("{CALLS}=info").parse().expect("it is a directive")) } else { filter };
    let colour = coloured(&io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colour).with_target(false);
    if args.json {
        log.json().flatten_event(true).init();
    } else {
        log.init();
    }
    Ok(())
}

/// The file of the Blocks, if there is one. A wrong one is found before a port is bound.
fn blocks(args: &Args) -> Result<Option<Arc<Store>>, Error> {
    let Some(path) = &args.blocks_file else { return Ok(None) };
    if let Some(n) = args.blocks_create {
        if n > args.blocks_max {
            return Err(Error::usage(format!("--blocks-create {n} is more than --blocks-max {} allows", args.blocks_max)));
        }
        Store::create(path, n)?;
    }
    let store = Store::open(path, args.blocks_max)?;
    tracing::info!(n_blocks = store.n_readable(), "serving the blocks of {}", path.display());
    Ok(Some(Arc::new(store)))
}

fn serve(args: &Args) -> Result<(), Error> {
    let event_loop = Loop::choose(&args.runtime)?;
    let name = event_loop.name();
    let http2: Http2 = args.http2.parse()?;
    let mut limits = Limits::default();
    args.care.apply(&mut limits);
    args.limits.apply(&mut limits);
    let overload = args.overload.overload();
    let message_bytes_max = args.limits.message_bytes_max(overload.partial_messages_bytes_max).map_err(Error::usage)?;
    let blocks = blocks(args)?;
    let admin = args.admin.clone();
    let builder = Server::builder()
        .workers(args.workers)
        .pin_cpus(args.pin_cpus)
        .drain_timeout(args.drain_timeout)
        .http2(http2)
        .limits(limits)
        .overload(overload);
    #[cfg(feature = "tls")]
    let builder = args.tls.configure(builder)?;
    #[cfg(feature = "grpc-web")]
    let builder = args.web.configure(builder)?;
    #[cfg(feature = "otel")]
    let builder = args.otlp.configure(builder)?;
    let builder = args.listen.configure(args.observe.apply(args.admin.configure(builder)))?;
    let mut running = builder.start(event_loop, move |worker| {
        let router = Router::new().add(GreeterServer::new(Hello).max_decoding_message_size(message_bytes_max));
        let router = match &blocks {
            Some(store) => {
                let blocks = FileBlocks::new(Arc::clone(store), worker.index as u64);
                router.add(BlocksServer::new(blocks).max_decoding_message_size(message_bytes_max))
            }
            None => router,
        };
        admin.add_to(router)
    })?;
    running.drain_on_signals()?;
    let metrics = running.metrics_addr();
    if let Some(metrics) = metrics {
        tracing::info!("metrics at http://{metrics}/metrics");
    }
    for address in running.local_addrs() {
        let line = if args.json {
            let mut said = json!({
                "event": "listening", "addr": address.to_string(), "runtime": name, "http2": http2.name(), "workers": args.workers
            });
            if let Some(metrics) = metrics {
                said["metrics"] = metrics.to_string().into();
            }
            said.to_string()
        } else {
            let workers = if args.workers == 1 { "worker" } else { "workers" };
            format!("listening on {address} ({name}, {http2}, {} {workers})", args.workers)
        };
        // Nobody may be reading; that is no reason not to serve.
        let _ = writeln!(io::stdout(), "{line}");
    }
    running.notify_systemd();
    let handle = running.handle();
    let ended = running.wait();
    for (limit, n) in handle.counters().reached() {
        tracing::info!(n, "limit reached: {limit}");
    }
    #[cfg(feature = "tls")]
    for (refusal, n) in handle.counters().tls_refusals() {
        tracing::info!(n, "TLS refused: {}", refusal.name());
    }
    match handle.counters().stalls() {
        0 => {}
        n => tracing::info!(n, "stalls"),
    }
    tracing::info!("ended");
    ended
}
