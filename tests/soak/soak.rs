//! The soak: servers of gRPC's TestService on every loop and engine, side by side, under a bounded rate of mixed deeds, most of them good, some rude.
//!
//!     tests/soak/run [MINUTES] [LOOP ...] [--rate DEEDS_A_SECOND] [--engine ENGINE] [--seed N]
//!
//! * Each deed comes to the end that it should (`deeds`, `rude`).
//! * Over the second half of the time resident memory, descriptors and tasks do not grow, by a regression (`gauges`).
//! * When the clients are gone, descriptors and tasks are as few as before the first came, and SIGTERM ends the server with exit code 0.
//!
//! Each server is this program once more (`server`), so that it can say how many tasks its loop has.

mod deeds;
mod gauges;
#[path = "../../examples/interop.rs"]
#[allow(dead_code, reason = "its command line")]
mod interop;
mod rude;
mod server;
mod soaked;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use tokio::task::{LocalSet, spawn_local};

use soaked::Soaked;

type Error = Box<dyn std::error::Error>;

/// What is asked for.
struct Plan {
    time: Duration,
    loops: Vec<String>,
    engines: Vec<String>,
    /// Deeds a second, of each server.
    rate: u32,
    seed: u64,
}

impl Plan {
    fn of(words: &[String]) -> Result<Self, Error> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let (mut minutes, mut loops, mut rate, mut seed) = (5.0, Vec::new(), 50, u64::from(now.subsec_nanos()));
        let mut engines = vec!["native".to_owned(), "hyper".to_owned()];
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            match &word[..] {
                "--rate" => rate = value()?.parse()?,
                "--seed" => seed = value()?.parse()?,
                "--engine" => engines = vec![value()?.clone()],
                "tokio" | "tokio-uring" | "glommio" => loops.push(word.clone()),
                _ => {
                    minutes = word
                        .parse()
                        .map_err(|_| format!("{word}? usage: soak [MINUTES] [LOOP ...] [--rate N] [--engine ENGINE] [--seed N]"))?
                }
            }
        }
        if loops.is_empty() {
            loops = ["tokio", "tokio-uring", "glommio"].map(str::to_owned).into();
        }
        if rate == 0 {
            return Err("--rate 0 does nothing".into());
        }
        Ok(Self { time: Duration::try_from_secs_f64(minutes * 60.0)?, loops, engines, rate, seed })
    }
}

/// Whether all went well.
fn soak(plan: &Plan) -> Result<bool, Error> {
    println!("{:?} of {} deeds a second each, seed {}", plan.time, plan.rate, plan.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let deeds = LocalSet::new();
    deeds.block_on(&runtime, async {
        let pairs = plan.loops.iter().flat_map(|event_loop| plan.engines.iter().map(move |engine| (event_loop, engine)));
        let mut soaks = Vec::new();
        for (n, (event_loop, engine)) in pairs.enumerate() {
            let server = server::Child::start(event_loop, engine)?;
            soaks.push(spawn_local(soaked::soak(server, plan.time, plan.rate, plan.seed + n as u64)));
        }
        let mut all_well = true;
        let mut reports = Vec::<Soaked>::new();
        for soak in soaks {
            reports.push(soak.await?);
        }
        for report in &reports {
            println!("\n{report}");
            all_well &= report.is_well();
        }
        println!("\n{} servers soaked for {:?}: {}", reports.len(), plan.time, if all_well { "all flat, nothing left" } else { "FAILED" });
        Ok(all_well)
    })
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let ended = match words.split_first() {
        Some((serve, rest)) if serve == "serve" => server::serve(rest).map(|()| true),
        _ => match Plan::of(&words) {
            Ok(plan) => soak(&plan),
            Err(error) => {
                eprintln!("soak: {error}");
                return ExitCode::from(2);
            }
        },
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}
