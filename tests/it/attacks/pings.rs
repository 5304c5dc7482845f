//! PING: gRPC's rule for clients (grpc/doc/keepalive.md, gRFC A8). Two strikes are forgiven; what the server sends for a call forgets them.

use std::io::{ErrorKind, Write};

use crate::raw::*;
use crate::support::connect;

on_every_engine!(
    the_third_strike("hyper: answers every PING"),
    the_third_strike_with_a_call_under_way("hyper: answers every PING"),
    a_flood("hyper: answers every PING"),
    a_flood_that_reads_nothing("hyper: answers every PING"),
    calls_forget_strikes,
);

/// PINGs one after another, until the connection ends; how many were answered.
fn strikes_out(connection: &mut Connection) -> usize {
    for n in 1..=100 {
        connection.send([ping([n; 8])]);
        connection.until("PING is answered, or no longer", |connection| {
            (connection.pongs.len() == usize::from(n) || connection.error().is_some()).then_some(())
        });
        if connection.error().is_some() {
            break;
        }
    }
    connection.is_told_to_calm_down(&["too_many_pings"]);
    connection.pongs.len()
}

/// The first PING of a connection comes after no other, and may be free.
fn the_third_strike(server: &mut Server) {
    let answered = strikes_out(&mut server.open());
    assert!((2..=4).contains(&answered), "{answered} were answered");
}

fn the_third_strike_with_a_call_under_way(server: &mut Server) {
    let mut connection = server.open();
    connection.hello("Joe", 60_000);
    let answered = strikes_out(&mut connection);
    assert!((2..=4).contains(&answered), "{answered} were answered");
}

fn a_flood(server: &mut Server) {
    let mut connection = server.open();
    let sent = connection.flood(100_000, |_| [ping([0; 8])]);
    connection.is_told_to_calm_down(&["too_many_pings"]);
    assert!(sent < 100_000 && connection.pongs.len() <= 4, "{sent} were sent, {} answered", connection.pongs.len());
}

/// CVE-2019-9512.
fn a_flood_that_reads_nothing(server: &mut Server) {
    let (grown, closed) = server.memory_for("VmHWM", || {
        let mut socket = connect(server.addr());
        let mut bytes = PREFACE.to_vec();
        settings(&[]).write(&mut bytes);
        (0..1000).for_each(|_| ping([0; 8]).write(&mut bytes));
        let mut pings = Vec::new();
        (0..1000).for_each(|_| ping([0; 8]).write(&mut pings));
        // As many as fill the buffers of both sides' kernels many times over.
        (0..2000).find_map(|n| socket.write_all(if n == 0 { &bytes } else { &pings }).err())
    });
    let closed = closed.expect("no server takes two million of them").kind();
    assert!(matches!(closed, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "it is not closed: {closed}");
    assert!(grown < 2 << 20, "{grown} bytes");
}

fn calls_forget_strikes(server: &mut Server) {
    let mut connection = server.open();
    for n in 0..20 {
        connection.greets();
        connection.send([ping([n; 8])]);
        connection.until("PING is answered", |connection| (connection.pongs.len() > usize::from(n)).then_some(()));
    }
    connection.greets();
}
