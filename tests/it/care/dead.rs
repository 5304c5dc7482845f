//! What a client that is gone without a word leaves behind: nothing, once keepalive has found out.

use std::time::Duration;

use crate::raw::Connection;
use crate::support::{eventually, serve_puppet};

crate::on_every_loop_and_engine!(handlers_of_a_dead_client_end);

fn handlers_of_a_dead_client_end(runtime: &str, engine: &str) {
    let mut limits = loopswap::Limits::default();
    (limits.keepalive_time, limits.keepalive_timeout) = (Some(Duration::from_millis(300)), Duration::from_millis(400));
    let (running, puppet) = serve_puppet(runtime, |builder| builder.http2(engine.parse().expect("an engine")).limits(limits));
    let mut connection = Connection::open(running.local_addr().to_string().parse().expect("an address"), &[]);
    connection.polite = false;
    connection.hello("Joe", 60_000);
    eventually("the handler is dropped", || (puppet.ended.lock().unwrap().len() == 1).then_some(()));
    assert_eq!(*puppet.begun.lock().unwrap(), 1);
    let counters = running.handle();
    let counted = || counters.counters().reached().map(|(limit, n)| (limit.name(), n)).collect::<Vec<_>>();
    eventually("it is counted", || (counted() == [("keepalive_timeout", 1)]).then_some(()));
}
