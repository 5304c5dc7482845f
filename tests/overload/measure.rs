//! How much of what a worker can do it does well when twice as much is asked of it: calls that are answered with OK within their deadline. Of a server with one
//! worker and a Greeter whose handlers compute, for the tests and for the bench `goodput`.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Of each call of an open loop at twice the capacity.
const DEADLINE: &str = "100ms";

/// The load is spread over so many connections, each with as many calls at a time as are allowed: the client never waits for the server.
const CONNECTIONS: &str = "8";
const IN_FLIGHT: &str = "1600";

/// Calls that went well in each second that the worker had for them: the time for which it waited for a CPU, which others had, is not its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// The most that it can do.
    pub(crate) capacity: f64,
    /// At twice that.
    pub(crate) goodput: f64,
}

/// Measures its capacity for `time`, and its goodput for twice as long. `loopswap` is the binary; `waited` says for how long the worker has waited for a CPU so far.
pub(crate) fn measure(addr: &str, time: Duration, loopswap: impl Fn() -> Command, waited: impl Fn() -> Duration) -> Measured {
    let load = |args: &[&str]| {
        load(loopswap().args(["load", "--runtime", "tokio", "--json", "--addr", addr, "--connections", CONNECTIONS]).args(args), &waited)
    };
    let [once, twice] = [1, 2].map(|n| format!("{}ms", (time * n).as_millis()));
    load(&["-n", "100", "-c", "8"]);
    let (capacity, _) = load(&["-z", &once, "-c", "8"]);
    let rps = (2.0 * capacity).round().to_string();
    let (goodput, report) = load(&["-z", &twice, "-c", IN_FLIGHT, "--timeout", DEADLINE, "--rps", &rps]);
    assert!(report["statuses"].get("INTERNAL").is_none() && report["wrong_replies"] == 0, "{report}");
    Measured { capacity, goodput }
}

/// Makes calls: how many went well in a second, and the report.
fn load(command: &mut Command, waited: impl Fn() -> Duration) -> (f64, Value) {
    let (start, waited_before) = (Instant::now(), waited());
    let ended = command.args(["-d", r#"{"name":"Joe"}"#]).output().expect("the binary starts");
    let waited = waited() - waited_before;
    let share = 1.0 - waited.as_secs_f64() / start.elapsed().as_secs_f64();
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let figure = |name: &str| report[name].as_f64().expect("a number");
    (figure("ok") / (figure("total_s") * share), report)
}
