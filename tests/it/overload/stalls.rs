//! A handler that blocks its loop: that is logged, once, with its end, and counted; the other workers serve.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::raw::Connection;
use crate::support::PATIENCE;

use super::busy;

crate::on_every_loop!(is_logged_once_while_others_serve, is_not_seen_where_nobody_looks);

const BLOCKED_MS: i32 = 3000;

fn is_logged_once_while_others_serve(runtime: &str) {
    let mut server = busy(runtime, "native", &["--workers", "2", "--stall-log-ms", "500", "--compute-us", "0"]);
    let start = Instant::now();
    let mut blocked = Connection::open(server.addr(), &[]);
    let stream = blocked.hello("block", BLOCKED_MS);
    let line = server.stderr().wait_for("stands still").expect("it is said");
    assert!(start.elapsed() < Duration::from_millis(BLOCKED_MS as u64), "said while it lasts, not after {:?}", start.elapsed());
    assert!(line.contains("WARN") && line.contains("worker-"), "{line}");
    // The kernel spreads these over both workers; those that wait for the blocked one are served later.
    let (told, tells) = mpsc::channel();
    let others: Vec<_> = (0..16)
        .map(|_| {
            let (addr, told) = (server.addr(), told.clone());
            thread::spawn(move || {
                Connection::open(addr, &[]).greets();
                told.send(Instant::now()).expect("it is waited for");
            })
        })
        .collect();
    let first = tells.recv_timeout(PATIENCE).expect("all are served in the end");
    blocked.is_greeted(stream, "block");
    assert!(first.duration_since(start) < Duration::from_millis(BLOCKED_MS as u64), "the other worker serves meanwhile");
    others.into_iter().for_each(|other| other.join().expect("it is served"));
    let line = server.stderr().wait_for("goes on").expect("its end is said");
    let lasted = line.split("stood still for ").nth(1).unwrap_or_else(|| panic!("{line}"));
    let seconds: f64 = lasted.trim_end_matches('s').parse().unwrap_or_else(|_| panic!("{line}"));
    assert!((2.0..10.0).contains(&seconds), "{line}");
    drop(blocked);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let lines = server.stderr().so_far();
    // A machine that is busy may have stopped a worker besides, for less.
    let n_long = lines.lines().filter_map(|line| line.split("stood still for ").nth(1)).filter(|lasted| **lasted >= *"2").count();
    assert_eq!(n_long, 1, "{lines}");
    let stalls = server.stdout().wait_for("stalls").expect("it is counted");
    let n_said = lines.lines().filter(|line| line.contains("stands still")).count();
    assert_eq!(stalls, format!("stalls {n_said}"));
}

fn is_not_seen_where_nobody_looks(runtime: &str) {
    let mut server = busy(runtime, "native", &["--stall-log-ms", "60000", "--compute-us", "0"]);
    let mut connection = Connection::open(server.addr(), &[]);
    let stream = connection.hello("block", 600);
    connection.is_greeted(stream, "block");
    drop(connection);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!server.stderr().so_far().contains("stands still"));
    assert_eq!(server.stdout().wait_for("stalls").as_deref(), Some("stalls 0"));
}
