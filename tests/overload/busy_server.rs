//! A Greeter whose handlers compute instead of waiting, and such as stand in the loop's way.
//!
//! It is part of the tests, not of the product: see `tests/it/overload`. By hand, at twice what it can do:
//!
//!     cargo run --release --example busy_server -- --runtime tokio --addr 127.0.0.1:9999 --shed-lag-ms 20
//!     loopswap load -d '{"name":"Joe"}' -c 64 --connections 8 -z 5s                                       # what it can do
//!     loopswap load -d '{"name":"Joe"}' -c 1600 --connections 8 -z 10s --rps 2000 --timeout 100ms

mod busy;

use std::env;
use std::error::Error;
use std::io;
use std::thread;
use std::time::Duration;

use loopswap::greeter::GreeterServer;
use loopswap::{Http2, Loop, Overload, Server};

use busy::Busy;

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).with_target(false).init();
    let (mut runtime, mut http2, mut addr, mut n_workers) = ("auto".to_owned(), Http2::default(), "127.0.0.1:0".to_owned(), 1);
    let (mut overload, mut busy, mut drain_timeout) =
        (Overload::default(), Busy { compute: Duration::from_millis(1) }, Duration::from_secs(25));
    let (mut drain_delay, mut start_block) = (Duration::ZERO, Duration::ZERO);
    let mut words = env::args().skip(1);
    while let Some(flag) = words.next() {
        let value = words.next().ok_or_else(|| format!("{flag} wants a value"))?;
        match &*flag {
            "--runtime" => runtime = value,
            "--http2" => http2 = value.parse()?,
            "--addr" => addr = value,
            "--workers" => n_workers = value.parse()?,
            "--compute-us" => busy.compute = Duration::from_micros(value.parse()?),
            "--shed-lag-ms" => overload.shed_lag = Some(Duration::from_millis(value.parse()?)),
            "--drain-timeout-ms" => drain_timeout = Duration::from_millis(value.parse()?),
            "--drain-delay-ms" => drain_delay = Duration::from_millis(value.parse()?),
            "--start-block-ms" => start_block = Duration::from_millis(value.parse()?),
            "--stall-log-ms" => overload.stall_log = Some(Duration::from_millis(value.parse()?)),
            _ => {
                let flags = "--runtime, --http2, --addr, --workers, --compute-us, --shed-lag-ms, --drain-timeout-ms, --drain-delay-ms, --start-block-ms, \
                             --stall-log-ms";
                return Err(format!("{flag}? There are: {flags}").into());
            }
        }
    }
    let server = Server::builder()
        .listen(addr)
        .workers(n_workers)
        .http2(http2)
        .overload(overload)
        .drain_timeout(drain_timeout)
        .drain_delay(drain_delay);
    let mut server = server.start(Loop::choose(&runtime)?, move |worker| {
        if worker.index == n_workers - 1 {
            // What no start should do.
            thread::sleep(start_block);
        }
        GreeterServer::new(busy)
    })?;
    server.drain_on_signals()?;
    server.notify_systemd();
    println!("listening on {}", server.local_addr());
    let handle = server.handle();
    let ended = server.wait();
    println!("stalls {}", handle.counters().stalls());
    handle.counters().reached().for_each(|(limit, n)| println!("{limit} {n}"));
    Ok(ended?)
}
