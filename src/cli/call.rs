//! `loopswap call`: one SayHello.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use loopswap_rt::Runtime;
use prost::Message;
use serde::Serialize;
use tonic::{Code, Status};

use crate::cli::client::ClientArgs;
use crate::cli::duration;
use crate::cli::terminal::{self, BAD, coloured, fail, styled};
use crate::client::{Prepared, SAY_HELLO, Target, call_once, run_on};
use crate::greeter::{HelloReply, HelloRequest};
use crate::grpc::code_name;
use crate::{Error, ErrorKind, EventLoop, UseLoop};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    client: ClientArgs,

    /// Who says hello.
    #[arg(long, env = "LOOPSWAP_NAME", default_value = "Joe")]
    name: String,

    /// How long the server is to sleep before it answers, in milliseconds.
    #[arg(long, env = "LOOPSWAP_SLEEP_MS", value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    sleep_ms: i32,

    /// How long the reply may take. The server is told.
    #[arg(long, env = "LOOPSWAP_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = duration)]
    timeout: Duration,
}

/// Makes the call; succeeds when it ends with OK.
pub(super) fn run(args: &Args) -> ExitCode {
    let (target, event_loop) = match args.client.target().and_then(|target| Ok((target, args.client.event_loop()?))) {
        Ok(both) => both,
        Err(error) => return fail(&error, error.exit_code()),
    };
    let request = HelloRequest { name: args.name.clone(), sleep_millisecond: args.sleep_ms };
    let (addr, runtime) = (target.text().to_owned(), event_loop.name());
    let called = event_loop.with(Call { target, request, timeout: args.timeout });
    let (reply, latency) = match called {
        Ok(called) => (called.reply, Some(called.latency)),
        // A server that is not there is how this call ended.
        Err(error) if error.kind() == ErrorKind::Connect => (Err(Status::unavailable(error.to_string())), None),
        Err(error) => return fail(&error, error.exit_code()),
    };
    let json = args.client.json.then(|| Json {
        status: code_name(reply.as_ref().map_or_else(Status::code, |_| Code::Ok)),
        message: reply.as_ref().err().map_or("", Status::message),
        reply: reply.as_ref().ok().map(|reply| reply.message.as_str()),
        latency_ms: latency.map(|latency| latency.as_nanos() as f64 / 1e6),
        addr: &addr,
        runtime,
    });
    match (json, &reply) {
        (Some(json), _) => terminal::print_json(&json),
        (None, Ok(reply)) => terminal::print(format_args!("{}\n", reply.message)),
        (None, Err(status)) => {
            let style = styled(BAD, coloured(&io::stderr()));
            eprintln!("{style}{}:{style:#} {}", code_name(status.code()), status.message());
        }
    }
    if reply.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How it went, for scripts.
#[derive(Debug, Serialize)]
struct Json<'a> {
    status: &'static str,
    /// The status's; empty with OK.
    message: &'a str,
    /// Null without one.
    reply: Option<&'a str>,
    /// Without connecting; null where that failed.
    latency_ms: Option<f64>,
    addr: &'a str,
    runtime: &'static str,
}

/// A call to be.
struct Call {
    target: Target,
    request: HelloRequest,
    timeout: Duration,
}

/// A call that was made, and how long it took once there was a connection.
struct Called {
    reply: Result<HelloReply, Status>,
    latency: Duration,
}

impl UseLoop for Call {
    type Output = Result<Called, Error>;

    fn with<R: Runtime>(self, runtime: R) -> Self::Output {
        let call = Prepared::new(&self.target, SAY_HELLO, &self.request.encode_to_vec(), self.timeout)?;
        let on = runtime.clone();
        run_on(&runtime, move || async move {
            let (encoded, latency) = call_once(&on, &self.target, call).await?;
            let reply = encoded.and_then(|encoded| {
                HelloReply::decode(&encoded[..]).map_err(|error| Status::internal(format!("the reply is not a HelloReply: {error}")))
            });
            Ok(Called { reply, latency })
        })
    }
}
