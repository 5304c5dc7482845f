//! Limits that peers reach are counted by name.

use crate::raw::{Connection, ping};
use crate::support::{connect, until_closed};

use super::scrape::{scrape, serve_measured};

crate::on_every_loop_and_engine!(what_a_peer_reaches_is_counted);

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
