//! `--drain-delay`: told to end, the server says that it does not serve, and serves, for as long as load balancers take to notice.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use loopswap::Health;
use rustix::process::Signal;
use tonic::Code;

use super::ServingStatus::NotServing;
use super::{Client, GREETER, Watch};
use crate::support::{PATIENCE, block_on, client, eventually, hello, serve, serve_puppet};

crate::on_every_loop_and_engine!(
    calls_and_clients_are_served_meanwhile,
    then_it_drains,
    all_workers_leave_together,
    a_second_signal_stops_at_once,
);

fn calls_and_clients_are_served_meanwhile(runtime: &str, engine: &str) {
    // For as long as the test takes, and no longer than it waits.
    let mut server = serve(runtime, &["--http2", engine, "--drain-delay", "40s"]);
    let addr = server.addr();
    block_on(async {
        let mut old = client(addr).await;
        hello(&mut old, "before", 0).await.unwrap();
        let health = Client::new(addr).await;
        let mut watch = Watch::of_a_good_one(&health).await;
        server.signal(Signal::TERM);
        watch.says(NotServing).await;
        for n in 0..20 {
            assert_eq!(hello(&mut old, "old", 0).await.unwrap(), "Hello, old!");
            let mut new = client(addr).await;
            assert_eq!(hello(&mut new, "new", n).await.unwrap(), "Hello, new!");
        }
        let another = Client::new(addr).await;
        for service in ["", GREETER] {
            assert_eq!(another.check(service).await.unwrap(), NotServing);
        }
        // It is told no more until the drain, and would otherwise be asked for again and again.
        assert!(::tokio::time::timeout(Duration::from_millis(50), watch.next()).await.is_err(), "it is watched on");
    });
    let line = server.stderr().wait_for("leaving").expect("it says so");
    assert!(line.contains("SIGTERM: leaving, and draining in 40s"), "{line}");
    assert!(server.is_running());
    server.signal(Signal::TERM);
    assert!(server.wait().code().is_some());
}

fn then_it_drains(runtime: &str, engine: &str) {
    let mut server = serve(runtime, &["--http2", engine, "--drain-delay", "300ms"]);
    let addr = server.addr();
    let took = block_on(async {
        let health = Client::new(addr).await;
        let mut watch = Watch::of_a_good_one(&health).await;
        let mut caller = client(addr).await;
        // Longer than the delay.
        let long = ::tokio::spawn(async move { hello(&mut caller, "Joe", 1000).await });
        let signalled = Instant::now();
        server.signal(Signal::TERM);
        watch.says(NotServing).await;
        assert_eq!(watch.next().await.unwrap_err().code(), Code::Unavailable);
        let took = signalled.elapsed();
        assert_eq!(long.await.unwrap().unwrap(), "Hello, Joe!", "a call under way ends well");
        took
    });
    assert!(took >= Duration::from_millis(300), "drained after {took:?}");
    eventually("the port is closed", || TcpStream::connect(addr).is_err().then_some(()));
    assert_eq!(server.wait().code(), Some(0), "{}", server.stderr().so_far());
    server.stderr().wait_for("the drain delay is over").expect("it says so");
}

fn all_workers_leave_together(runtime: &str, engine: &str) {
    let configure = |builder: loopswap::Builder| {
        builder.workers(3).http2(engine.parse().unwrap()).health(Health::new()).drain_delay(Duration::from_millis(200))
    };
    let (running, _puppet) = serve_puppet(runtime, configure);
    let ordered = Instant::now();
    running.handle().drain();
    running.handle().drain();
    running.wait().expect("nothing is cut");
    let took = ordered.elapsed();
    assert!(took >= Duration::from_millis(200) && took < PATIENCE, "ended after {took:?}");
}

fn a_second_signal_stops_at_once(runtime: &str, engine: &str) {
    let mut server = serve(runtime, &["--http2", engine, "--drain-delay", "10m"]);
    let cut = block_on(async {
        let mut caller = client(server.addr()).await;
        hello(&mut caller, "Joe", 0).await.unwrap();
        let long = ::tokio::spawn(async move { hello(&mut caller, "Joe", 60_000).await });
        let health = Client::new(server.addr()).await;
        let mut watch = Watch::of_a_good_one(&health).await;
        server.signal(Signal::TERM);
        watch.says(NotServing).await;
        server.signal(Signal::INT);
        long.await.unwrap()
    });
    assert!(cut.is_err(), "{cut:?}");
    assert_eq!(server.wait().code(), Some(1), "calls were cut");
}
