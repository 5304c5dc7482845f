//! Ready is who serves: not before all workers listen, and not from the drain's start.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use loopswap::greeter::{GreeterServer, Hello};
use loopswap::{Http2, Server};
use rustix::process::Signal;

use crate::leaks;
use crate::raw::Connection;
use crate::support::eventually;

use super::scrape::{get, serve_measured};

crate::on_every_loop_and_engine!(not_while_it_drains, not_before_all_workers_listen);

fn not_while_it_drains(runtime: &str, engine: &str) {
    let (mut server, addr) = serve_measured(runtime, engine, &["--drain-timeout", "30s", "--drain-delay", "1s"]);
    assert_eq!(get(addr, "/readyz").status, 200);
    let mut connection = Connection::open(server.addr(), &[]);
    let call = connection.hello("Joe", 2000);
    eventually("the call is under way", || get(addr, "/metrics").body.contains("SayHello\",loop=\"").then_some(()));
    server.signal(Signal::TERM);
    eventually("it is not ready", || (get(addr, "/readyz").status == 503).then_some(()));
    // Whoever comes now is served: balancers have not read it yet.
    Connection::open(server.addr(), &[]).greets();
    // While it drains it lives, and tells what it does.
    assert_eq!(get(addr, "/healthz").status, 200);
    assert!(get(addr, "/metrics").body.contains("\nloopswap_serving 0\n"));
    connection.is_greeted(call, "Joe");
    drop(connection);
    assert_eq!(server.wait().code(), Some(0), "{}", server.stderr().so_far());
}

fn not_before_all_workers_listen(runtime: &str, engine: &str) {
    // A port that is free: the endpoint is asked before the server can say where it is.
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (go, waits) = mpsc::channel::<()>();
    let waits = Arc::new(Mutex::new(waits));
    let starting = thread::spawn({
        let (runtime, engine) = (runtime.to_owned(), engine.parse::<Http2>().unwrap());
        move || {
            let builder = Server::builder().listen("127.0.0.1:0").workers(2).http2(engine).metrics_addr(addr.to_string());
            leaks::host_with(builder, &runtime, async move |worker| {
                while worker.index == 1 && waits.lock().unwrap().try_recv().is_err() {
                    loopswap::rt::sleep(Duration::from_millis(5)).await;
                }
                (GreeterServer::new(Hello).into(), async {})
            })
        }
    });
    eventually("the endpoint answers", || std::net::TcpStream::connect(addr).ok());
    assert_eq!(get(addr, "/healthz").status, 200);
    for _ in 0..10 {
        assert_eq!(get(addr, "/readyz").status, 503);
    }
    go.send(()).unwrap();
    let server = starting.join().expect("the loop runs here");
    assert_eq!(get(addr, "/readyz").status, 200);
    server.handle().drain();
    assert_eq!(get(addr, "/readyz").status, 503);
    drop(server);
    assert!(std::net::TcpStream::connect(addr).is_err(), "it ends with the server");
}
