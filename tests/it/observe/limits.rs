//! Limits that peers reach are counted by name; and a server that takes no more clients can be asked how it is.

use std::io::Write;

use crate::raw::{Connection, PREFACE, ping};
use crate::support::{connect, eventually, until_closed};
use crate::tls::pki::Pki;

use super::scrape::{get, scrape, serve_measured};

crate::on_every_loop_and_engine!(what_a_peer_reaches_is_counted, tls_that_is_refused_is_counted, a_server_that_is_full_can_be_asked);

fn what_a_peer_reaches_is_counted(runtime: &str, engine: &str) {
    let (server, metrics) = serve_measured(runtime, engine, &["--handshake-timeout", "100ms"]);
    let n_of = |limit: &str| scrape(metrics).sum("loopswap_limit_reached_total", &[("limit", limit)]);
    // Every limit is there from the start.
    assert_eq!((n_of("handshake_timeout"), n_of("too_many_pings")), (0.0, 0.0));
    until_closed(&mut connect(server.addr()));
    assert_eq!(n_of("handshake_timeout"), 1.0);
    // hyper answers every PING.
    if engine == "native" {
        let mut connection = Connection::open(server.addr(), &[]);
        connection.send((0..100).map(|n| ping([n; 8])));
        connection.until("it is told to go", |connection| connection.error().map(drop));
        assert_eq!(n_of("too_many_pings"), 1.0);
    }
    assert_eq!(scrape(metrics).sum("loopswap_limit_reached_total", &[]), if engine == "native" { 2.0 } else { 1.0 }, "and no other");
}

fn tls_that_is_refused_is_counted(runtime: &str, engine: &str) {
    let pki = Pki::new("CA");
    let identity = pki.server();
    let [certificate, key] = [&identity.certificate, &identity.key].map(|file| file.to_str().expect("UTF-8"));
    let args = ["--tls-cert", certificate, "--tls-key", key, "--handshake-timeout", "2s"];
    let (server, metrics) = serve_measured(runtime, engine, &args);
    let n_of = |name: &str, label: &str, value: &str| scrape(metrics).sum(name, &[(label, value)]);
    assert_eq!(n_of("loopswap_tls_refused_total", "reason", "tls_not_tls"), 0.0, "each reason is there from the start");
    let mut plain = connect(server.addr());
    plain.write_all(PREFACE).expect("it is taken");
    until_closed(&mut plain);
    drop(plain);
    eventually("it is counted", || (n_of("loopswap_tls_refused_total", "reason", "tls_not_tls") == 1.0).then_some(()));
    // Who says nothing has not refused anything.
    until_closed(&mut connect(server.addr()));
    eventually("that is, too", || (n_of("loopswap_limit_reached_total", "limit", "handshake_timeout") == 1.0).then_some(()));
    assert_eq!(scrape(metrics).sum("loopswap_tls_refused_total", &[]), 1.0, "and no other");
}

fn a_server_that_is_full_can_be_asked(runtime: &str, engine: &str) {
    let (server, metrics) = serve_measured(runtime, engine, &["--max-connections", "2"]);
    let figure = |name: &str| scrape(metrics).sum(name, &[]);
    let n_full = || scrape(metrics).sum("loopswap_limit_reached_total", &[("limit", "max_connections")]);
    assert_eq!((figure("loopswap_connections_max"), n_full()), (2.0, 0.0));
    for n in [1.0, 2.0] {
        let open = [(); 2].map(|()| Connection::open(server.addr(), &[]));
        let late = connect(server.addr());
        assert_eq!((figure("loopswap_connections_open"), n_full()), (2.0, n));
        assert_eq!((get(metrics, "/healthz").status, get(metrics, "/readyz").status), (200, 200));
        drop((open, late));
        eventually("they are gone", || (figure("loopswap_connections_open") == 0.0).then_some(()));
    }
    // More often would be a line for each client that comes and goes.
    assert_eq!(server.stderr().so_far().matches("2 connections are open, which is the maximum").count(), 1, "once a minute");
}
