//! What becomes of health when the server is told to end: it says so at once, and those who watch hold nothing up.

use std::time::{Duration, Instant};

use loopswap::greeter::{GreeterServer, Hello};
use loopswap::{ErrorKind, Router, Server};
use prost::Message;
use rustix::process::Signal;
use tonic::Code;

use super::ServingStatus::{NotServing, ServiceUnknown, Serving};
use super::proto::{HealthCheckRequest, HealthCheckResponse};
use super::{Client, GREETER, Watch};
use crate::leaks::host;
use crate::raw::{Connection, Fields, ping_ack, prefixed};
use crate::support::{block_on, serve};

crate::on_every_loop_and_engine!(
    those_who_watch_are_told_and_let_go,
    it_says_so_while_calls_are_waited_for,
    a_stop_ends_watches_too,
    tonics_health_holds_up_the_drain,
);

/// What no watch may take to let go; the drain's bound is 25 s.
const SOON: Duration = Duration::from_secs(15);

fn those_who_watch_are_told_and_let_go(runtime: &str, engine: &str) {
    let mut server = serve(runtime, &["--http2", engine]);
    let signalled = block_on(async {
        let client = Client::new(server.addr()).await;
        let mut whole = Watch::of_a_good_one(&client).await;
        let mut greeter = client.watch(GREETER).await;
        greeter.says(Serving).await;
        let mut nobody = client.watch("no.Such").await;
        nobody.says(ServiceUnknown).await;
        let signalled = Instant::now();
        server.signal(Signal::TERM);
        for watch in [&mut whole, &mut greeter] {
            watch.says(NotServing).await;
        }
        for watch in [&mut whole, &mut greeter, &mut nobody] {
            let status = watch.next().await.unwrap_err();
            assert_eq!((status.code(), status.message()), (Code::Unavailable, "the server is going away"));
        }
        signalled
    });
    assert_eq!(server.wait().code(), Some(0), "{}", server.stderr().so_far());
    assert!(signalled.elapsed() < SOON, "the watches held it up for {:?}", signalled.elapsed());
}

/// A question about the whole server, in frames.
fn ask(connection: &mut Connection, method: &str) -> u32 {
    let fields = Fields::hello().set(":path", format!("/grpc.health.v1.Health/{method}"));
    connection.request(&fields, &prefixed(0, &HealthCheckRequest::default().encode_to_vec()))
}

/// Between the two GOAWAYs calls are served: what they are told is that they had better go elsewhere.
fn it_says_so_while_calls_are_waited_for(runtime: &str, engine: &str) {
    let mut server = serve(runtime, &["--http2", engine]);
    let mut connection = Connection::open(server.addr(), &[]);
    connection.polite = false;
    let running = connection.hello("Joe", 300);
    connection.greets();
    server.signal(Signal::TERM);
    connection.until("GOAWAY and PING come", |connection| (!connection.goaways.is_empty() && !connection.pings.is_empty()).then_some(()));
    let not_serving = prefixed(0, &HealthCheckResponse { status: NotServing.into() }.encode_to_vec());
    let stream = ask(&mut connection, "Check");
    let checked = connection.response(stream);
    assert_eq!((checked.grpc(), &checked.body), (Some(0), &not_serving));
    let stream = ask(&mut connection, "Watch");
    let watched = connection.response(stream);
    assert_eq!((watched.grpc(), &watched.body), (Some(Code::Unavailable as u32), &not_serving));
    let ping = connection.pings[0];
    connection.send([ping_ack(ping)]);
    connection.is_greeted(running, "Joe");
    assert_eq!(server.wait().code(), Some(0), "{}", server.stderr().so_far());
}

fn a_stop_ends_watches_too(runtime: &str, engine: &str) {
    let (running, _puppet) =
        crate::support::serve_puppet(runtime, |builder| builder.http2(engine.parse().unwrap()).health(loopswap::Health::new()));
    let addr = running.local_addr().as_tcp().unwrap();
    block_on(async {
        let client = Client::new(addr).await;
        let mut watch = Watch::of_a_good_one(&client).await;
        running.handle().stop();
        while watch.next().await.is_ok() {}
    });
    // Its client goes when the watch has ended, before the worker counts who is still there or after.
    let ended = running.wait().map_err(|error| error.kind());
    assert!(matches!(ended, Ok(()) | Err(ErrorKind::Cut)), "{ended:?}");
}

/// The reason for a health service of our own: that of tonic's knows of no drain, so whoever watches holds a connection until it is cut.
fn tonics_health_holds_up_the_drain(runtime: &str, engine: &str) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let builder = Server::builder().listen("127.0.0.1:0").workers(1).http2(engine.parse().unwrap());
    let builder = builder.drain_timeout(Duration::from_millis(500));
    let running = host(builder, runtime, move |_| Router::new().add(GreeterServer::new(Hello)).add_tonic(health.clone()));
    let addr = running.local_addr().as_tcp().unwrap();
    let took = block_on(async {
        let client = Client::new(addr).await;
        let mut watch = Watch::of_a_good_one(&client).await;
        let ordered = Instant::now();
        running.handle().drain();
        let _ = watch.next().await;
        ordered.elapsed()
    });
    assert!(took >= Duration::from_millis(500), "it was let go after {took:?}");
    assert_eq!(running.wait().map_err(|error| error.kind()), Err(ErrorKind::Cut));
    drop(reporter);
}
