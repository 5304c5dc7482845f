//! Peers that break the rules by the thousand do not fill the log: a few lines of each kind, then how many more there were.

use std::io::Write as _;

use rustix::process::Signal;

use crate::support::{Served, connect, eventually, serve, until_closed};

crate::on_every_loop_and_engine!(a_flood_of_bad_connections_is_a_few_lines);

const N_BAD: usize = 2000;

/// Lines of a kind in a minute, by `peer_log`.
const LINES: usize = 10;

fn a_flood_of_bad_connections_is_a_few_lines(runtime: &str, engine: &str) {
    let mut server = serve(runtime, &["--http2", engine]);
    for _ in 0..N_BAD {
        let mut socket = connect(server.addr());
        // What a browser says to a gRPC server.
        let _ = socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        until_closed(&mut socket);
    }
    let n_lines = |server: &Served| server.stderr().so_far().lines().filter(|line| line.contains("connection closed")).count();
    eventually("the first are logged", || (n_lines(&server) >= LINES).then_some(()));
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let log = server.stderr().wait_for("more of these").expect("what was left out is told");
    // A machine that takes more than a minute for them begins a second one.
    let told = |line: &str| line.split("… and ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|n| n.parse::<usize>().ok());
    let all = server.stderr().so_far();
    let n_told: usize = all.lines().filter_map(told).sum();
    assert!(log.contains("connections that broke off"), "{log}");
    assert!(n_lines(&server) <= 2 * LINES, "{all}");
    assert_eq!(n_told + n_lines(&server), N_BAD, "each is told of: {all}");
}
