//! How often a loop's timer lets a hundred tasks sleep: what no server on that loop can exceed in the article's shape.

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use loopswap::rt::{Runtime, Worker, sleep, spawn_local};
use loopswap::{EventLoop, Loop, UseLoop};
use serde_json::{Value, json};

use crate::cell::{Cell, Measured};
use crate::child::pinned;

/// Tasks that sleep side by side, and for how long: the article's.
const SLEEPERS: u32 = 100;
const SLEEP: Duration = Duration::from_millis(10);

/// The child: sleeps as often as standard input says, and prints how that went.
pub(crate) fn run(word: &str) -> ExitCode {
    let mut n = String::new();
    let slept = std::io::stdin().read_line(&mut n).ok().and_then(|_| n.trim().parse().ok()).and_then(|sleeps| {
        let event_loop = Loop::choose(word).map_err(|error| eprintln!("error: {error}")).ok()?;
        event_loop.with(Sleepers { sleeps })
    });
    match slept {
        Some(slept) => {
            println!("{slept}");
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}

struct Sleepers {
    sleeps: u32,
}

impl UseLoop for Sleepers {
    type Output = Option<Value>;

    fn with<R: Runtime>(self, runtime: R) -> Option<Value> {
        let each = (self.sleeps / SLEEPERS).max(1);
        let slept = runtime.run(&Worker::new(0), move || async move {
            let start = Instant::now();
            let sleeper = || async move {
                let mut took = Vec::with_capacity(each as usize);
                for _ in 0..each {
                    let start = Instant::now();
                    sleep(SLEEP).await;
                    took.push(start.elapsed().as_secs_f64() * 1e3);
                }
                took
            };
            let tasks: Vec<_> = (0..SLEEPERS).map(|_| spawn_local(sleeper())).collect();
            let mut took = Vec::new();
            for task in tasks {
                took.extend(task.await.unwrap_or_default());
            }
            (start.elapsed(), took)
        });
        let (total, mut took) = slept.map_err(|why| eprintln!("error: {why}")).ok()?;
        took.sort_by(f64::total_cmp);
        let at = |quantile: f64| took[((took.len() - 1) as f64 * quantile) as usize];
        Some(json!({
            "count": took.len(),
            "total_s": total.as_secs_f64(),
            "requests_per_second": took.len() as f64 / total.as_secs_f64(),
            "slowest_ms": at(1.0), "fastest_ms": at(0.0), "average_ms": took.iter().sum::<f64>() / took.len() as f64,
            "latency_ms": { "p50": at(0.5), "p90": at(0.9), "p99": at(0.99) },
        }))
    }
}

/// Measures one cell by means of the child.
pub(crate) fn measure(cell: &Cell, cpu: Option<usize>) -> Result<Measured, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(this);
    command.args(["--sleep-on", &cell.row.runtime]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pinned(cpu, || command.spawn()).map_err(|error| error.to_string())?;
    let mut stdin = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut stdin, format!("{}\n", cell.calls).as_bytes()).map_err(|error| error.to_string())?;
    drop(stdin);
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("it said nothing").to_owned());
    }
    let report: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    Measured::of(&report)
}
