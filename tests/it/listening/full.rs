//! No more connections than there may be: who comes then waits, and is served when another connection ends, however it ends.

use std::io::Write as _;
use std::time::Duration;

use loopswap::Balance;
use loopswap::http2::Violation;
use rustix::process::Signal;
use socket2::SockRef;

use super::{client_of, is_served_or_told_to_go, n_in_the_kernel, serve_here, unix_word, who_has_called, worker_of};
use crate::raw::{Connection, PREFACE, code, data};
use crate::support::{Served, block_on, connect, eventually, loopswap, refused, serve, served, until_closed};

crate::on_every_loop_and_engine!(
    who_comes_when_it_is_full_waits_until_a_connection_ends,
    unix_sockets_have_places_too,
    a_place_is_given_back_however_a_connection_ends,
    a_place_is_given_back_when_its_time_is_over,
    a_drain_lets_those_in_who_wait,
);

const FOR_EVER_MS: i32 = 60_000;

/// How long nothing is to happen.
const QUIET: Duration = Duration::from_millis(150);

/// Workers, and who accepts for them.
const WAYS: [(&str, Balance); 3] = [("1", Balance::ReusePort), ("2", Balance::LeastConnections), ("2", Balance::ReusePort)];

fn serve_few(runtime: &str, engine: &str, n: &str, (workers, balance): (&str, Balance)) -> Served {
    let mut command = loopswap();
    command.args(["serve", "--runtime", runtime, "--http2", engine, "--addr", "127.0.0.1:0", "--max-connections", n]);
    served(command.args(["--workers", workers, "--balance", balance.name()]))
}

/// How many of these clients have been served at all.
fn n_served(clients: &mut [Connection]) -> usize {
    clients.iter_mut().for_each(Connection::drain);
    clients.iter().filter(|client| !client.server_settings.is_empty()).count()
}

fn who_comes_when_it_is_full_waits_until_a_connection_ends(runtime: &str, engine: &str) {
    for way in WAYS {
        let mut server = serve_few(runtime, engine, "3", way);
        // Whichever workers the kernel chooses for them.
        let mut open: Vec<_> = (0..3).map(|_| Connection::open(server.addr(), &[])).collect();
        let n_fds = server.n_fds();
        let mut late: Vec<_> = (0..3).map(|_| who_has_called(server.addr())).collect();
        // Where listeners race for the last place, who loses has accepted already: the accept of a worker that waited.
        let n_listeners = if way == ("2", Balance::ReusePort) { 2 } else { 1 };
        eventually("they wait in the kernel", || (n_in_the_kernel(&server) >= 4 - n_listeners).then_some(()));
        for served in 0..3 {
            late[0].listen(QUIET);
            assert_eq!(n_served(&mut late), served, "{way:?}");
            eventually("no more is accepted than is served", || (server.n_fds() < n_fds + n_listeners as usize).then_some(()));
            open.iter_mut().for_each(Connection::greets);
            drop(open.pop());
            eventually("the next one is served", || (n_served(&mut late) == served + 1).then_some(()));
        }
        late.iter_mut().for_each(|client| client.is_greeted(1, "Joe"));
        drop(late);
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0));
        let log = server.stderr_at_the_end();
        assert_eq!(log.matches("3 connections are open, which is the maximum").count(), 1, "{way:?}: {log}");
    }
}

fn unix_sockets_have_places_too(runtime: &str, http2: &str) {
    let folder = tempfile::tempdir().unwrap();
    let address = unix_word(&folder.path().join("socket"));
    for workers in [1, 2] {
        let server = serve_here(runtime, http2, |builder| builder.listen(&address).workers(workers).max_connections(2));
        assert_eq!(server.max_connections(), 2);
        block_on(async {
            let mut open = Vec::new();
            for _ in 0..2 {
                let mut client = client_of(&address).await.expect("it listens");
                worker_of(&mut client).await;
                open.push(client);
            }
            assert_eq!(server.handle().counters().get(Violation::Connections), 1);
            let address = address.clone();
            let mut late = ::tokio::spawn(async move { worker_of(&mut client_of(&address).await.expect("it listens")).await });
            ::tokio::time::timeout(QUIET, &mut late).await.expect_err("it waits");
            open.pop();
            late.await.expect("it is served");
        });
    }
}

/// There is one place, which each of these has in turn: it must leave it, or the next one waits for ever.
fn a_place_is_given_back_however_a_connection_ends(runtime: &str, engine: &str) {
    let server = serve(runtime, &["--http2", engine, "--max-connections", "1", "--handshake-timeout", "1s"]);
    let is_free = || Connection::open(server.addr(), &[]).greets();
    is_free();
    // Closed by the client: at once, in the middle of the preface, with a call under way; by a reset.
    drop(connect(server.addr()));
    let mut socket = connect(server.addr());
    socket.write_all(&PREFACE[..12]).unwrap();
    drop(socket);
    let mut connection = Connection::open(server.addr(), &[]);
    connection.hello("Joe", FOR_EVER_MS);
    connection.greets();
    drop(connection);
    let socket = connect(server.addr());
    SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
    drop(socket);
    is_free();
    // Closed by the server: for noise, for silence, for an error.
    let mut socket = connect(server.addr());
    let _ = socket.write_all(&[0xff; 100_000]);
    until_closed(&mut socket);
    is_free();
    until_closed(&mut connect(server.addr()));
    is_free();
    let mut connection = Connection::open(server.addr(), &[]);
    connection.hello("Joe", FOR_EVER_MS);
    connection.send([data(0, *b"lost")]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
    is_free();
}

fn a_place_is_given_back_when_its_time_is_over(runtime: &str, engine: &str) {
    let old = ["--max-connection-age", "500ms", "--max-connection-age-grace", "300ms"];
    for flags in [&["--max-connection-idle", "300ms"][..], &old] {
        let server = serve(runtime, &[&["--http2", engine, "--max-connections", "1"], flags].concat());
        let mut connection = Connection::open(server.addr(), &[]);
        if flags.len() > 2 {
            connection.hello("Joe", FOR_EVER_MS);
        }
        let mut late = who_has_called(server.addr());
        connection.until("it is closed", |connection| connection.closed.then_some(()));
        late.is_greeted(1, "Joe");
    }
}

/// Those who are served are told to go, and so are those who wait: none is just closed.
fn a_drain_lets_those_in_who_wait(runtime: &str, engine: &str) {
    for way in WAYS {
        let mut server = serve_few(runtime, engine, "2", way);
        let mut clients: Vec<_> = (0..2).map(|_| who_has_called(server.addr())).collect();
        clients.iter_mut().for_each(|client| client.is_greeted(1, "Joe"));
        clients.extend((0..20).map(|_| who_has_called(server.addr())));
        eventually("they wait", || (n_in_the_kernel(&server) >= 18).then_some(()));
        server.signal(Signal::TERM);
        clients.iter_mut().for_each(is_served_or_told_to_go);
        drop(clients);
        assert_eq!(server.wait().code(), Some(0), "{way:?}: {}", server.stderr().so_far());
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (n, text) in [("0", "ask for 1 or more"), ("99999999999", "ulimit -n")] {
        let said = refused(&["--max-connections", n]);
        assert!(said.contains(text) && said.lines().count() == 1, "{n}: {said}");
    }
}
