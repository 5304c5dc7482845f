//! Limits that peers reach are counted by name.

use crate::raw::{Connection, ping};
use crate::support::{connect, until_closed};

use super::scrape::{scrape, serve_measured};

crate::on_every_loop_and_engine!(a_client_that_says_nothing_is_counted);
crate::on_every_loop!(a_flood_is_counted);

fn a_client_that_says_nothing_is_counted(runtime: &str, engine: &str) {
    let (server, metrics) = serve_measured(runtime, engine, &["--handshake-timeout", "100ms"]);
    let limit = [("limit", "handshake_timeout")];
    assert_eq!(scrape(metrics).sum("loopswap_limit_reached_total", &limit), 0.0, "every limit is there from the start");
    until_closed(&mut connect(server.addr()));
    let found = scrape(metrics);
    assert_eq!(found.sum("loopswap_limit_reached_total", &limit), 1.0);
    assert_eq!(found.sum("loopswap_limit_reached_total", &[]), 1.0, "and no other");
}

/// hyper answers every PING.
fn a_flood_is_counted(runtime: &str) {
    let (server, metrics) = serve_measured(runtime, "native", &[]);
    let mut connection = Connection::open(server.addr(), &[]);
    connection.send((0..100).map(|n| ping([n; 8])));
    connection.until("it is told to go", |connection| connection.error().map(drop));
    assert_eq!(scrape(metrics).sum("loopswap_limit_reached_total", &[("limit", "too_many_pings")]), 1.0);
}
