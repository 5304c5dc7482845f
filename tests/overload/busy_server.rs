//! A Greeter whose handlers compute instead of waiting, and such as stand in the loop's way.
//!
//! It is part of the tests, not of the product: see `tests/it/overload`. By hand, at twice what it can do:
//!
//!     cargo run --release --example busy_server -- --runtime tokio --addr 127.0.0.1:9999 --shed-lag-ms 20
//!     loopswap load -d '{"name":"Joe"}' -c 64 --connections 8 -z 5s                                       # what it can do
//!     loopswap load -d '{"name":"Joe"}' -c 1600 --connections 8 -z 10s --rps 2000 --timeout 100ms

use std::env;
use std::error::Error;
use std::io;
use std::thread;
use std::time::Duration;

use loopswap::greeter::{Greeter, GreeterServer, HelloReply, HelloRequest};
use loopswap::{Http2, Loop, Overload, Request, Response, Server, Status};
use rustix::time::{ClockId, clock_gettime};

/// Computes for so long before each reply.
#[derive(Clone, Copy)]
struct Busy {
    compute: Duration,
}

impl Greeter for Busy {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let HelloRequest { name, sleep_millisecond } = request.into_inner();
        if name == "block" {
            // What no handler should do.
            thread::sleep(Duration::from_millis(sleep_millisecond.unsigned_abs().into()));
        } else {
            compute(self.compute);
        }
        Ok(Response::new(HelloReply { message: format!("Hello, {name}!") }))
    }
}

/// Takes so much of the CPU, however many others want it.
fn compute(time: Duration) {
    let used = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("it counts upwards from 0");
    let end = used() + time;
    while used() < end {
        (0..100).for_each(std::hint::black_box(|_| ()));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).with_target(false).init();
    let (mut runtime, mut http2, mut addr, mut n_workers) = ("auto".to_owned(), Http2::default(), "127.0.0.1:0".to_owned(), 1);
    let (mut overload, mut busy) = (Overload::default(), Busy { compute: Duration::from_millis(1) });
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
            "--stall-log-ms" => overload.stall_log = Some(Duration::from_millis(value.parse()?)),
            _ => {
                let usage =
                    "[--runtime LOOP] [--http2 ENGINE] [--addr ADDR] [--workers N] [--compute-us N] [--shed-lag-ms N] [--stall-log-ms N]";
                return Err(format!("{flag}? usage: busy_server {usage}").into());
            }
        }
    }
    let server = Server::builder().listen(addr).workers(n_workers).http2(http2).overload(overload);
    let mut server = server.start(Loop::choose(&runtime)?, move |_worker| GreeterServer::new(busy))?;
    server.drain_on_signals()?;
    server.notify_systemd();
    println!("listening on {}", server.local_addr());
    let handle = server.handle();
    let ended = server.wait();
    println!("stalls {}", handle.counters().stalls());
    handle.counters().reached().for_each(|(limit, n)| println!("{limit} {n}"));
    Ok(ended?)
}
