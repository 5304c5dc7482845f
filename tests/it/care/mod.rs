//! The life of a connection (gRFC A8, A9; grpc/doc/keepalive.md): keepalive and its enforcement, idleness, age; and the flags for what one may cost.
//!
//! Times are some hundred milliseconds, as short as flags take them; what is bounded from above has the machine's delays allowed for. The rules themselves
//! are tried in time made by hand, in `src/http2/connection/tests/keepalive.rs` and `src/server/care.rs`.

mod age;
mod dead;
mod engines;
mod flags;
mod idle;
mod keepalive;

use std::time::Duration;

use rustix::process::Signal;

use crate::raw::*;

/// Runs a case against a server with these flags. Afterwards it must be well, and end in order having counted just these limits, so often each.
fn with(target: Target, flags: &[&str], counted: &[(&str, usize)], case: impl FnOnce(&mut Server)) {
    let mut server = target.serve(flags);
    case(&mut server);
    server.is_well();
    server.process().signal(Signal::TERM);
    assert_eq!(server.process().wait().code(), Some(0));
    has_counted(&mut server, counted);
}

/// A server that has ended counted just these limits.
fn has_counted(server: &mut Server, counted: &[(&str, usize)]) {
    let log = server.process().stderr_at_the_end();
    let mut lines: Vec<_> = log.lines().filter_map(|line| line.split_once("limit reached: ")).map(|(_, rest)| rest.to_owned()).collect();
    let mut expected: Vec<_> = counted.iter().map(|(limit, n)| format!("{limit} n={n}")).collect();
    lines.sort();
    expected.sort();
    assert_eq!(lines, expected, "in {log}");
}

/// A connection that answers no PING of its own accord.
fn impolite(server: &Server) -> Connection {
    let mut connection = server.open();
    connection.polite = false;
    connection
}

/// Waits for the first GOAWAY of a drain, which names no stream, and for its PING, which is returned. The native engine says why.
fn is_asked_to_leave(server: &Server, connection: &mut Connection, why: &str) -> [u8; 8] {
    connection.until("GOAWAY and PING come", |connection| (!connection.goaways.is_empty() && !connection.pings.is_empty()).then_some(()));
    let goaway = &connection.goaways[0];
    assert_eq!((goaway.last, goaway.code), (MAX_31_BITS, code::NO_ERROR), "{goaway:?}");
    assert_eq!(goaway.debug, if server.engine() == "native" { why } else { "" });
    *connection.pings.last().expect("one has come")
}

/// Waits for the last GOAWAY of a drain, which names this stream, and for the end.
fn is_closed_behind(connection: &mut Connection, last: u32) {
    connection.until("the connection is closed", |connection| connection.closed.then_some(()));
    let lasts: Vec<_> = connection.goaways.iter().map(|goaway| (goaway.last, goaway.code)).collect();
    assert_eq!(lasts, [(MAX_31_BITS, code::NO_ERROR), (last, code::NO_ERROR)], "{}", connection.seen());
}

/// What a busy machine may add to a time.
const LATE: Duration = Duration::from_secs(4);
