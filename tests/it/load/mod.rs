//! `loopswap load`, the built binary, on each loop: against our servers, against stock tonic, and against servers that are bad.

mod bad;
mod good;
mod streams;

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use crate::support::{loopswap, output};

/// What a run printed as JSON, and its exit code.
struct Ran {
    report: Value,
    code: Option<i32>,
}

impl Ran {
    /// So many calls, all of them right.
    fn is_right(&self, n: u64) {
        assert_eq!((self.code, &self.report["ok"], &self.report["count"]), (Some(0), &n.into(), &n.into()), "{}", self.report);
        assert_eq!(self.report["statuses"], serde_json::json!({ "OK": n }), "{}", self.report);
    }

    /// The messages of what went wrong, the most frequent first.
    fn errors(&self) -> Vec<&str> {
        self.report["errors"].as_array().expect("a list").iter().map(|error| error["message"].as_str().expect("a text")).collect()
    }
}

/// The command, on this loop: calls without a sleep, unless the arguments ask for one.
fn load_command(runtime: &str, addr: SocketAddr, args: &[&str]) -> Command {
    let mut command = loopswap();
    command.args(["load", "--json", "--runtime", runtime, "--addr", &addr.to_string()]).args(args);
    if !args.contains(&"-d") {
        command.args(["-d", r#"{"name":"Joe"}"#]);
    }
    command
}

fn load(runtime: &str, addr: SocketAddr, args: &[&str]) -> Ran {
    let ended = output(&mut load_command(runtime, addr, args));
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    let report = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: `{}`, `{}`", ended.stdout, ended.stderr));
    Ran { report, code: ended.status.code() }
}
