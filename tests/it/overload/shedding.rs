//! A worker that has fallen behind refuses what it has no time for, and does well what it does: at twice what it can do, calls that are answered in time are as many
//! as at its best, where without shedding fewer are.

#[path = "../../overload/measure.rs"]
mod measure;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;

use crate::raw::{Connection, call, status};
use crate::support::{eventually, loopswap};

use super::{assert_refused, busy};
use measure::measure;

crate::on_every_loop_and_engine!(
    a_batch_that_takes_too_long_is_cut_short,
    goodput_at_twice_the_capacity_is_that_at_the_capacity,
    without_shedding_they_are_fewer,
);

/// One call blocks the loop, and those that were read with it, whose handlers have not begun, are refused.
fn a_batch_that_takes_too_long_is_cut_short(runtime: &str, engine: &str) {
    let mut server = busy(runtime, engine, &["--shed-lag-ms", "100", "--compute-us", "0"]);
    let mut connection = Connection::open(server.addr(), &[]);
    connection.greets();
    let streams: Vec<_> = (0..6).map(|_| connection.new_stream()).collect();
    // In one write, and so in one read.
    connection
        .send(streams.iter().flat_map(|stream| if *stream == streams[0] { call(*stream, "block", 500) } else { call(*stream, "Joe", 0) }));
    connection.is_greeted(streams[0], "block");
    for stream in &streams[1..] {
        let response = connection.response(*stream);
        assert_refused(&response, "fallen_behind: ");
        assert_eq!(response.field("grpc-retry-pushback-ms"), Some("1000"), "{response:?}");
    }
    // It has caught up.
    eventually("calls are served again", || {
        let stream = connection.hello("Joe", 0);
        (connection.response(stream).grpc() == Some(status::OK)).then_some(())
    });
    drop(connection);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(server.stdout().wait_for("fallen_behind").is_some(), "it is counted");
}

/// On a machine that is busy with other things a try may go wrong; a server that sheds badly goes wrong each time.
const TRIES_MAX: usize = 8;

/// These measure, so they go one by one.
static ALONE: Mutex<()> = Mutex::new(());

fn goodput_at_twice_the_capacity_is_that_at_the_capacity(runtime: &str, engine: &str) {
    some_try(|| goodput(runtime, engine, SHEDDING), |goodput| goodput >= 0.8);
}

/// Else the test above would show nothing.
fn without_shedding_they_are_fewer(runtime: &str, engine: &str) {
    some_try(|| goodput(runtime, engine, &[]) / goodput(runtime, engine, SHEDDING), |share| share < 0.95);
}

const SHEDDING: &[&str] = &["--shed-lag-ms", "20"];

fn some_try(measure: impl Fn() -> f64, is_right: impl Fn(f64) -> bool) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut tries = Vec::new();
    while tries.len() < TRIES_MAX {
        let measured = measure();
        if is_right(measured) {
            return;
        }
        tries.push(measured);
    }
    panic!("shares: {tries:?}");
}

/// What it does well of what it can do.
fn goodput(runtime: &str, engine: &str, args: &[&str]) -> f64 {
    let server = busy(runtime, engine, &[args, &["--compute-us", "1000"]].concat());
    let measured = measure(&server.addr().to_string(), Duration::from_secs(1), loopswap, || server.waited_for_cpu("worker-0"));
    measured.goodput / measured.capacity
}
