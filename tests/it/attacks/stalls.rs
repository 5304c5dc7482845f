//! Clients that hang, in the middle of the handshake or of an answer: a deadline ends it, which drips do not put off (CVE-2019-9511, -9517).

use std::time::{Duration, Instant};

use crate::raw::*;

on_every_engine!(with crate::attacks::stalls::impatient;
    no_window("hyper: has no deadline for what it cannot send"),
    a_window_that_drips("hyper: has no deadline for what it cannot send"),
    a_connections_window_that_drips("hyper: has no deadline for what it cannot send"),
    a_socket_that_nobody_reads("hyper: has no deadline for what it cannot send"),
    a_window_that_opens_in_time,
    no_settings("hyper: closes without GOAWAY"),
);

const STALL: Duration = Duration::from_secs(2);
const HANDSHAKE: Duration = Duration::from_secs(2);

fn impatient(target: Target, case: impl FnOnce(&mut Server)) {
    let mut server = match target.engine {
        "native" => target.serve(&["--stall-timeout", "2s", "--handshake-timeout", "2s"]),
        _ => target.serve(&["--handshake-timeout", "2s"]),
    };
    case(&mut server);
    server.is_well();
}

/// These answers stall, and `drip` does not change it: their streams, or the connection, are closed by the deadline and not before.
fn is_closed_by_the_deadline(connection: &mut Connection, streams: &[u32], begun: Instant, drip: impl Fn(&mut Connection)) {
    let give_up = begun + STALL * 10;
    let over = |connection: &mut Connection| {
        connection.closed || connection.error().is_some() || streams.iter().all(|stream| connection.so_far(*stream).reset.is_some())
    };
    while !over(connection) {
        assert!(Instant::now() < give_up, "it stalls for ever; {}", connection.seen());
        connection.listen(Duration::from_millis(50));
        drip(connection);
    }
    assert!(begun.elapsed() >= STALL, "closed after {:?}", begun.elapsed());
    if connection.error().is_some() {
        connection.is_told_to_calm_down(&["stalled"]);
    } else {
        assert!(!connection.closed, "closed without a word; {}", connection.seen());
        connection.set(&[(setting::INITIAL_WINDOW_SIZE, WINDOW as u32)]);
        connection.greets();
    }
}

fn stalling_calls(connection: &mut Connection) -> Vec<u32> {
    let name = "x".repeat(1000);
    let streams: Vec<_> = (0..10).map(|_| connection.hello(&name, 0)).collect();
    for stream in &streams {
        connection.until("the head comes", |connection| (!connection.so_far(*stream).blocks.is_empty()).then_some(()));
    }
    streams
}

fn no_window(server: &mut Server) {
    let mut connection = server.open_with(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
    let begun = Instant::now();
    let streams = stalling_calls(&mut connection);
    is_closed_by_the_deadline(&mut connection, &streams, begun, |_| {});
}

fn a_window_that_drips(server: &mut Server) {
    let mut connection = server.open_with(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
    let begun = Instant::now();
    let streams = stalling_calls(&mut connection);
    is_closed_by_the_deadline(&mut connection, &streams, begun, |connection| {
        connection.send(streams.iter().map(|stream| window_update(*stream, 1)));
    });
}

fn a_connections_window_that_drips(server: &mut Server) {
    let mut connection = server.open();
    let begun = Instant::now();
    // One more than the connection's window has room for.
    let name = "x".repeat(15_000);
    let streams: Vec<_> = (0..5).map(|_| connection.hello(&name, 0)).collect();
    connection.until("all but one are answered", |connection| {
        (streams.iter().filter(|stream| connection.so_far(**stream).is_over()).count() == 4).then_some(())
    });
    let last: Vec<_> = streams.into_iter().filter(|stream| !connection.so_far(*stream).is_over()).collect();
    let give_up = begun + STALL * 10;
    while connection.error().is_none() && connection.so_far(last[0]).reset.is_none() {
        assert!(Instant::now() < give_up, "it stalls for ever; {}", connection.seen());
        connection.send([window_update(0, 1)]);
        connection.listen(Duration::from_millis(50));
    }
    assert!(begun.elapsed() >= STALL, "closed after {:?}", begun.elapsed());
}

fn a_socket_that_nobody_reads(server: &mut Server) {
    let (_deaf, begun) = server.open_deaf();
    server.lets_go_of_all();
    assert!(begun.elapsed() >= STALL && begun.elapsed() < STALL * 10, "closed after {:?}", begun.elapsed());
}

fn a_window_that_opens_in_time(server: &mut Server) {
    let mut connection = server.open_with(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
    let streams = stalling_calls(&mut connection);
    connection.listen(STALL / 4);
    connection.set(&[(setting::INITIAL_WINDOW_SIZE, WINDOW as u32)]);
    for stream in streams {
        connection.is_greeted(stream, &"x".repeat(1000));
    }
    // And the deadline was this answer's, not the connection's.
    connection.listen(STALL * 2);
    connection.greets();
}

fn no_settings(server: &mut Server) {
    let begun = Instant::now();
    let mut connection = Connection::silent(server.addr());
    // Not even an acknowledgement of the server's.
    connection.polite = false;
    connection.send_bytes(PREFACE);
    connection.until("the connection is closed", |connection| connection.closed.then_some(()));
    assert!(begun.elapsed() >= HANDSHAKE, "closed after {:?}", begun.elapsed());
    let words: Vec<_> = connection.goaways.iter().map(|goaway| &goaway.debug[..]).collect();
    assert_eq!(words, ["handshake_timeout"]);
}
