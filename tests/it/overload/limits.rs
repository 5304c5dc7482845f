//! No more calls at a time than a worker, and a connection, may have: more are refused before anything is known of them but their head, and every place is given
//! back, however a call ends.

use loopswap::http2::Violation;
use loopswap::{Health, Overload};

use crate::raw::{Connection, Fields, code, data, hello, prefixed, rst_stream, status};
use crate::support::{Puppet, eventually};

use super::{assert_refused, open, puppet};

crate::on_every_loop_and_engine!(
    a_worker_has_no_more_calls_than_it_may,
    a_connection_has_no_more_calls_than_it_may,
    a_place_is_given_back_however_a_call_ends,
    health_checks_are_not_counted_and_not_refused,
    no_limit_is_none,
);

/// A call that lasts.
const FOR_EVER_MS: i32 = 60_000;

fn of_worker(n: usize) -> Overload {
    let mut overload = Overload::default();
    overload.concurrent_calls_max = Some(n);
    overload
}

fn of_connection(n: usize) -> Overload {
    let mut overload = Overload::default();
    overload.concurrent_calls_per_connection_max = Some(n);
    overload
}

fn begun(puppet: &Puppet, n: usize) {
    eventually("the handlers have begun", || (*puppet.begun.lock().unwrap() == n).then_some(()));
}

/// A call is refused while its message has not even been sent.
fn is_refused(connection: &mut Connection, limit: &str) {
    let stream = connection.begin(&Fields::hello());
    assert_refused(&connection.response(stream), limit);
}

fn a_worker_has_no_more_calls_than_it_may(runtime: &str, engine: &str) {
    let (running, puppet) = puppet(runtime, engine, |builder| builder.overload(of_worker(3)));
    let [mut first, mut second] = [(); 2].map(|()| open(&running));
    let streams = [first.hello("Joe", FOR_EVER_MS), first.hello("Joe", FOR_EVER_MS)];
    begun(&puppet, 2);
    second.hello("Joe", FOR_EVER_MS);
    begun(&puppet, 3);
    // Whoever asks.
    is_refused(&mut first, "too_many_calls: the worker has 3 calls");
    is_refused(&mut second, "too_many_calls: ");
    is_refused(&mut open(&running), "too_many_calls: ");
    assert_eq!(*puppet.begun.lock().unwrap(), 3, "the service was not asked");
    assert_eq!(running.handle().counters().get(Violation::WorkerCalls), 3);
    // A place that is free is taken by whoever comes.
    first.send([rst_stream(streams[0], code::CANCEL)]);
    eventually("the call is dropped", || (puppet.ended.lock().unwrap().len() == 1).then_some(()));
    second.greets();
}

fn a_connection_has_no_more_calls_than_it_may(runtime: &str, engine: &str) {
    let (running, puppet) = puppet(runtime, engine, |builder| builder.overload(of_connection(2)));
    let mut connection = open(&running);
    let streams = [connection.hello("Joe", FOR_EVER_MS), connection.hello("Joe", FOR_EVER_MS)];
    begun(&puppet, 2);
    is_refused(&mut connection, "too_many_calls_of_connection: the connection has 2 calls");
    assert_eq!(running.handle().counters().get(Violation::ConnectionCalls), 1);
    // Others are not concerned.
    open(&running).greets();
    connection.send([rst_stream(streams[1], code::CANCEL)]);
    eventually("the call is dropped", || (puppet.ended.lock().unwrap().len() == 2).then_some(()));
    connection.greets();
}

/// With one place for all, each of these must leave it, or the next call is refused.
fn a_place_is_given_back_however_a_call_ends(runtime: &str, engine: &str) {
    let (running, puppet) = puppet(runtime, engine, |builder| builder.overload(of_worker(1)));
    let n_begun = || *puppet.begun.lock().unwrap();
    let is_free = || {
        let mut connection = open(&running);
        eventually("the place is free", || {
            let stream = connection.hello("Joe", 0);
            (connection.response(stream).grpc() == Some(status::OK)).then_some(())
        });
    };
    let mut connection = open(&running);
    for name in ["Joe", "fail: so", "panic at once", "panic later"] {
        let stream = connection.hello(name, 1);
        assert!(connection.response(stream).grpc() != Some(status::RESOURCE_EXHAUSTED), "{name}");
    }
    let stream = connection.request(&Fields::hello().with("grpc-timeout", "50m"), &hello("Joe", FOR_EVER_MS));
    assert_eq!(connection.response(stream).grpc(), Some(status::DEADLINE_EXCEEDED));
    is_free();
    // Refused behind the head, by rules of gRPC's.
    let two = [hello("Joe", 0), hello("Joe", 0)].concat();
    for (fields, body) in [(Fields::hello().set("content-type", "text/plain"), hello("Joe", 0)), (Fields::hello(), two)] {
        let stream = connection.request(&fields, &body);
        assert!(connection.response(stream).grpc() != Some(status::RESOURCE_EXHAUSTED));
    }
    is_free();
    // The client cancels: before the message, and while the handler runs.
    let stream = connection.begin(&Fields::hello());
    connection.send([rst_stream(stream, code::CANCEL)]);
    is_free();
    let before = n_begun();
    let stream = connection.hello("Joe", FOR_EVER_MS);
    begun(&puppet, before + 1);
    connection.send([rst_stream(stream, code::CANCEL)]);
    is_free();
    // The connection is lost; and closed for what its peer does.
    let before = n_begun();
    connection.hello("Joe", FOR_EVER_MS);
    begun(&puppet, before + 1);
    drop(connection);
    is_free();
    let mut connection = open(&running);
    let before = n_begun();
    connection.hello("Joe", FOR_EVER_MS);
    begun(&puppet, before + 1);
    connection.send([data(0, *b"lost")]);
    connection.goes_away(&[code::PROTOCOL_ERROR]);
    is_free();
}

fn health_checks_are_not_counted_and_not_refused(runtime: &str, engine: &str) {
    let (running, puppet) = puppet(runtime, engine, |builder| builder.overload(of_worker(1)).health(Health::new()));
    let mut connection = open(&running);
    let health = |method: &str| Fields::hello().set(":path", format!("/grpc.health.v1.Health/{method}"));
    // One that lasts takes no place.
    let watch = connection.request(&health("Watch"), &prefixed(0, b""));
    connection.until("the watch has begun", |connection| (connection.so_far(watch).n_data_frames > 0).then_some(()));
    connection.hello("Joe", FOR_EVER_MS);
    begun(&puppet, 1);
    is_refused(&mut connection, "too_many_calls: ");
    let check = connection.request(&health("Check"), &prefixed(0, b""));
    assert_eq!(connection.response(check).grpc(), Some(status::OK));
}

fn no_limit_is_none(runtime: &str, engine: &str) {
    let (running, puppet) = puppet(runtime, engine, |builder| builder);
    let mut connections = [(); 3].map(|()| open(&running));
    for connection in &mut connections {
        for _ in 0..100 {
            connection.hello("Joe", FOR_EVER_MS);
        }
    }
    begun(&puppet, 300);
    assert_eq!(running.handle().counters().reached().count(), 0);
}
