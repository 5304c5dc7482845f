//! Who loads the servers: `loopswap load`, which checks every reply; h2load, which checks the HTTP status alone; or ghz, the article's, which checks the status
//! of gRPC.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use clap::ValueEnum;
use loopswap::blocks::contents;
use loopswap_report::Handler;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;

use crate::cell::Measured;
use crate::child::{LOOPSWAP, pinned};
use crate::plan::Shape;

/// The client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    /// Ours: every status and every reply is checked.
    Loopswap,
    /// Ours, its requests worded as h2load's are.
    #[value(skip)]
    LikeH2load,
    /// nghttp2's: it must be on the PATH.
    H2load,
    /// The article's, with its very flags: it must be on the PATH, and limits what it measures.
    Ghz,
}

impl Client {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Loopswap | Self::LikeH2load => "loopswap load",
            Self::H2load => "h2load",
            Self::Ghz => "ghz",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Loopswap | Self::LikeH2load => "loopswap load, which checks every reply",
            Self::H2load => "h2load, which checks no reply",
            Self::Ghz => "ghz, which checks no reply",
        }
    }

    /// Loads a server with `calls` calls, and says how that went, and how often the client fell asleep. CPU is left to the caller.
    pub(crate) fn load(self, addr: &str, shape: Shape, calls: u32, cpu: Option<usize>) -> Result<(Measured, u64), String> {
        match self {
            Self::Loopswap | Self::LikeH2load => loopswap(addr, shape, calls, cpu, self == Self::LikeH2load),
            Self::H2load => h2load(addr, shape, calls, cpu),
            Self::Ghz => ghz(addr, shape, calls, cpu),
        }
    }
}

fn loopswap(addr: &str, shape: Shape, calls: u32, cpu: Option<usize>, like_h2load: bool) -> Result<(Measured, u64), String> {
    let Shape { connections, in_flight, handler } = shape;
    let mut command = Command::new(LOOPSWAP);
    command.args(["load", "--json", "--addr", addr]).args(like_h2load.then_some("--like-h2load"));
    for (flag, value) in [("-c", in_flight), ("-n", calls), ("--connections", connections)] {
        command.arg(flag).arg(value.to_string());
    }
    match handler {
        Handler::Nothing | Handler::Sleep(_) => {
            let sleep_ms = if let Handler::Sleep(ms) = handler { ms } else { 0 };
            command.arg("-d").arg(format!(r#"{{"name":"Joe","sleep_millisecond":{sleep_ms}}}"#))
        }
        Handler::Read | Handler::Append => command.args(["--call", method(handler)]),
    };
    let Ran { ended_well, stdout, words, waits } = run(&mut command, cpu)?;
    let report: Value = serde_json::from_str(&stdout).unwrap_or_default();
    if !ended_well || report["statuses"]["OK"] != calls {
        return Err(format!("the load failed: {} of {calls} calls were OK; {words}", report["statuses"]["OK"]));
    }
    Ok((Measured::of(&report)?, waits))
}

/// What a shape calls.
fn method(handler: Handler) -> &'static str {
    match handler {
        Handler::Nothing | Handler::Sleep(_) => "helloworld.Greeter/SayHello",
        Handler::Read => "blocks.Blocks/Read",
        Handler::Append => "blocks.Blocks/Append",
    }
}

fn h2load(addr: &str, shape: Shape, calls: u32, cpu: Option<usize>) -> Result<(Measured, u64), String> {
    let Shape { connections, in_flight, .. } = shape;
    let body = Body::new(framed(&message(shape.handler)))?;
    let mut command = Command::new("h2load");
    for (flag, value) in [("-c", connections), ("-m", in_flight / connections), ("-n", calls)] {
        command.arg(format!("{flag}{value}"));
    }
    command.args(["-H", "content-type: application/grpc", "-H", "te: trailers", "-d"]).arg(&body.path);
    command.arg(format!("http://{addr}/{}", method(shape.handler)));
    let Ran { ended_well, stdout, words, waits } = run(&mut command, cpu)?;
    let line = |start: &str| stdout.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default();
    if !ended_well || !line("requests: ").contains(&format!(" {calls} succeeded,")) {
        return Err(format!("h2load: {}; {words}", line("requests: ")));
    }
    let finished: Vec<_> = line("finished in ").split([',', ' ']).filter(|word| !word.is_empty()).collect();
    let times: Vec<_> = line("time for request:").split_whitespace().filter_map(milliseconds).collect();
    let ([total, rate, ..], [fastest, slowest, average, ..]) = (&finished[..], &times[..]) else {
        return Err(format!("h2load printed what this bench does not know: {stdout}"));
    };
    let measured = Measured {
        total_s: milliseconds(total).unwrap_or_default() / 1e3,
        slowest_ms: *slowest,
        fastest_ms: *fastest,
        average_ms: *average,
        requests_per_second: rate.parse().map_err(|error| format!("h2load says {rate}: {error}"))?,
        ..Measured::default()
    };
    Ok((measured, waits))
}

fn ghz(addr: &str, shape: Shape, calls: u32, cpu: Option<usize>) -> Result<(Measured, u64), String> {
    let Shape { connections, in_flight, handler } = shape;
    let body = Body::new(message(handler))?;
    let proto = if shape.is_of_blocks() { "blocks.proto" } else { "helloworld.proto" };
    let mut command = Command::new("ghz");
    for (flag, value) in [("-c", in_flight), ("-n", calls), ("--connections", connections)] {
        command.arg(flag).arg(value.to_string());
    }
    command.args(["--insecure", "--format", "json", "--proto"]).arg(Path::new(PROTO).join(proto));
    command.args(["--call", &method(handler).replace('/', ".")]);
    match handler {
        // The article's very words.
        Handler::Sleep(ms) => command.args(["-d", &format!(r#"{{"name":"Joe","sleep_millisecond":{ms}}}"#)]),
        // It takes an empty file for none.
        Handler::Read => command.args(["-d", "{}"]),
        Handler::Nothing | Handler::Append => command.arg("--binary-file").arg(&body.path),
    };
    let Ran { ended_well, stdout, words, waits } = run(command.arg(addr), cpu)?;
    let report: Value = serde_json::from_str(&stdout).unwrap_or_default();
    if !ended_well || report["statusCodeDistribution"]["OK"] != calls {
        return Err(format!("ghz: {} of {calls} calls were OK; {words}", report["statusCodeDistribution"]["OK"]));
    }
    let number = |name: &str| report[name].as_f64().ok_or_else(|| format!("no {name} in ghz's report"));
    let percentile = |of: u32| {
        let of = report["latencyDistribution"].as_array()?.iter().find(|latency| latency["percentage"] == of)?;
        Some(of["latency"].as_f64()? / 1e6)
    };
    let measured = Measured {
        total_s: number("total")? / 1e9,
        slowest_ms: number("slowest")? / 1e6,
        fastest_ms: number("fastest")? / 1e6,
        average_ms: number("average")? / 1e6,
        requests_per_second: number("rps")?,
        p50_ms: percentile(50),
        p90_ms: percentile(90),
        p99_ms: percentile(99),
        ..Measured::default()
    };
    Ok((measured, waits))
}

/// A client that has run.
struct Ran {
    ended_well: bool,
    stdout: String,
    /// Its last line on standard error.
    words: String,
    /// How often it fell asleep.
    waits: u64,
}

/// Runs a client on its CPU.
fn run(command: &mut Command, cpu: Option<usize>) -> Result<Ran, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pinned(cpu, || command.spawn()).map_err(|error| format!("{name} cannot be started: {error}"))?;
    let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let stderr = thread::spawn(move || text(stderr));
    let stdout = text(stdout);
    let words = stderr.join().unwrap_or_default().lines().last().unwrap_or_default().to_owned();
    // Of all its threads: the kernel adds them up for those who have waited for it. Nobody else is waited for meanwhile.
    let before = waits_of_the_ended()?;
    let ended_well = child.wait().map_err(|error| error.to_string())?.success();
    Ok(Ran { ended_well, stdout, words, waits: waits_of_the_ended()?.saturating_sub(before) })
}

/// How often children that have ended had fallen asleep: their voluntary context switches.
fn waits_of_the_ended() -> Result<u64, String> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| format!("waits are not counted: {error}"))?;
    Ok(usage.voluntary_context_switches().unsigned_abs())
}

/// All that comes, until it ends.
fn text(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = from.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `427.68ms`, `1.62s`, `85us`.
fn milliseconds(text: &str) -> Option<f64> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(at);
    let factor = match unit {
        "us" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

/// The services that ghz is told of.
const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");

/// A request's message.
fn message(handler: Handler) -> Vec<u8> {
    match handler {
        Handler::Nothing => b"\x0a\x03Joe".to_vec(),
        Handler::Sleep(ms) => [b"\x0a\x03Joe\x10", &[ms as u8][..]].concat(),
        // A block of the server's choice.
        Handler::Read => Vec::new(),
        // A block is uploaded: field 1, 4096 bytes.
        Handler::Append => [&b"\x0a\x80\x20"[..], &contents(0)].concat(),
    }
}

/// A message with its prefix.
fn framed(message: &[u8]) -> Vec<u8> {
    [&[0], &(message.len() as u32).to_be_bytes()[..], message].concat()
}

/// A request in a file, as the clients of others want it.
struct Body {
    path: PathBuf,
}

impl Body {
    fn new(bytes: Vec<u8>) -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("loop_swap-{}.grpc", std::process::id()));
        fs::write(&path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
