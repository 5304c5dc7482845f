//! `loopswap health`: one question whether a server serves, for probes that run a command.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use loopswap_rt::{Runtime, timeout};
use prost::Message;
use serde::Serialize;
use tonic::{Code, Status};

use crate::cli::client::ClientArgs;
use crate::cli::duration;
use crate::cli::terminal::{self, BAD, coloured, fail, styled};
use crate::client::{Prepared, Target, call_once, late, run_on};
use crate::grpc::code_name;
use crate::server::health::{HealthCheckRequest, HealthCheckResponse, Told};
use crate::{Error, ErrorKind, EventLoop, Health, UseLoop};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    client: ClientArgs,

    /// The full name of a service, as in helloworld.Greeter [default: the server as a whole].
    #[arg(long, env = "LOOPSWAP_HEALTH_SERVICE", value_name = "NAME", default_value = "", hide_default_value = true)]
    service: String,

    /// How long connecting and the answer may take together.
    #[arg(long, env = "LOOPSWAP_HEALTH_TIMEOUT", value_name = "TIME", default_value = "1s", value_parser = duration)]
    timeout: Duration,
}

/// Asks; succeeds when the answer is SERVING.
pub(super) fn run(args: &Args) -> ExitCode {
    let (target, event_loop) = match args.client.target().and_then(|target| Ok((target, args.client.event_loop()?))) {
        Ok(both) => both,
        Err(error) => return fail(&error, error.exit_code()),
    };
    let addr = target.text().to_owned();
    let answer = match event_loop.with(Check { target, service: args.service.clone(), allowed: args.timeout }) {
        Ok(answer) => answer,
        // A server that is not there does not serve.
        Err(error) if error.kind() == ErrorKind::Connect => Err(Status::unavailable(error.to_string())),
        Err(error) => return fail(&error, error.exit_code()),
    };
    let (status, message) = match &answer {
        Ok(told) => (told.as_str_name(), ""),
        Err(status) => (code_name(status.code()), status.message()),
    };
    let serves = matches!(answer, Ok(Told::Serving));
    if args.client.json {
        terminal::print_json(&Json { status, message, service: &args.service, addr: &addr, serves });
    } else if serves {
        terminal::print(format_args!("{status}\n"));
    } else {
        let style = styled(BAD, coloured(&io::stderr()));
        let why = if message.is_empty() { String::new() } else { format!(": {message}") };
        eprintln!("{style}{status}{style:#}{why}");
    }
    if serves { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The answer, for scripts.
#[derive(Debug, Serialize)]
struct Json<'a> {
    /// The protocol's word, or the status of a call that failed.
    status: &'a str,
    /// Why it failed; empty where it did not.
    message: &'a str,
    service: &'a str,
    addr: &'a str,
    serves: bool,
}

/// A question to be asked.
struct Check {
    target: Target,
    service: String,
    allowed: Duration,
}

impl UseLoop for Check {
    type Output = Result<Result<Told, Status>, Error>;

    fn with<R: Runtime>(self, runtime: R) -> Self::Output {
        let Self { target, service, allowed } = self;
        let path = format!("/{}/Check", Health::NAME);
        let call = Prepared::new(&target, &path, &HealthCheckRequest { service }.encode_to_vec(), allowed)?;
        let on = runtime.clone();
        run_on(&runtime, move || async move {
            let Ok(called) = timeout(allowed, call_once(&on, &target, call)).await else {
                return Ok(Err(late(allowed)));
            };
            let (reply, _) = called?;
            Ok(reply.and_then(|reply| told(&reply)))
        })
    }
}

fn told(reply: &[u8]) -> Result<Told, Status> {
    let reply = HealthCheckResponse::decode(reply).map_err(|error| error.to_string());
    let told = reply.and_then(|reply| Told::try_from(reply.status).map_err(|error| error.to_string()));
    told.map_err(|why| Status::new(Code::Internal, format!("the answer means nothing: {why}")))
}
