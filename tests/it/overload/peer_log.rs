//! Peers that break the rules by the thousand do not fill the log: a few lines of each kind, then how many more there were.

use std::io::Write as _;

use rustix::process::Signal;

use crate::support::{Served, connect, eventually, serve, until_closed};

crate::on_every_loop_and_engine!(a_flood_of_bad_connections_is_a_few_lines);

const N_BAD: usize = 2000;

/// Preface and SETTINGS, so that HTTP/2 is open; then DATA on stream 0, which is no stream's (RFC 9113, 6.1).
const BAD: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\0\0\0x";

/// Lines of a kind in a minute, by `peer_log`.
const LINES: usize = 10;

fn a_flood_of_bad_connections_is_a_few_lines(runtime: &str, engine: &str) {
    let mut server = serve(runtime, &["--http2", engine]);
    for _ in 0..N_BAD {
        let mut socket = connect(server.addr());
        let _ = socket.write_all(BAD);
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
