//! Servers that are in order: every call is made, once, and every reply is right.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use ::tokio::sync::oneshot;
use loopswap::greeter::Hello;
use loopswap::greeter::stock::greeter_server::GreeterServer;
use rustix::process::{Pid, Signal, kill_process};

use super::{load, load_command};
use crate::support::{PATIENCE, Served, eventually, serve};

crate::on_every_loop!(
    calls_of_any_size_on_both_engines,
    more_calls_than_streams,
    a_rate_for_a_time,
    stock_tonic_is_served,
    a_method_of_any_proto,
    a_drain_loses_no_call,
    an_interrupt_leaves_what_was_done,
);

fn calls_of_any_size_on_both_engines(runtime: &str) {
    for engine in ["native", "hyper"] {
        let server = serve(runtime, &["--http2", engine]);
        load(runtime, server.addr(), &["-c", "50", "--connections", "3", "-n", "2000", "--warmup", "50"]).is_right(2000);
        load(runtime, server.addr(), &["-c", "50", "-n", "500", "--like-h2load"]).is_right(500);
        for (payload, n) in [("16", 500), ("1024", 500), ("65536", 100), ("1000000", 10)] {
            load(runtime, server.addr(), &["-c", "10", "-n", &n.to_string(), "--payload", payload]).is_right(n);
        }
    }
}

/// The server allows 200 streams at a time, and refuses more.
fn more_calls_than_streams(runtime: &str) {
    let server = serve(runtime, &[]);
    load(runtime, server.addr(), &["-c", "1000", "-n", "5000"]).is_right(5000);
}

fn a_rate_for_a_time(runtime: &str) {
    let server = serve(runtime, &[]);
    let ran = load(runtime, server.addr(), &["--rps", "1000", "-z", "300ms", "--connections", "2"]);
    // A call is due at 0, 1, ..., 299 ms; on a machine that is held up, the last ones may find the time over.
    let n = ran.report["count"].as_u64().expect("a number");
    assert!((50..=300).contains(&n), "{}", ran.report);
    ran.is_right(n);
}

/// tonic's own server, on a thread of this process.
struct Tonic {
    addr: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Tonic {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().expect("epoll is there");
            runtime.block_on(async move {
                let incoming = ::tokio::net::TcpListener::from_std(listener).expect("it is not blocking");
                let incoming = futures_util::stream::unfold(incoming, |incoming| async move {
                    let accepted = incoming.accept().await.map(|(socket, _)| socket);
                    Some((accepted, incoming))
                });
                let server = tonic::transport::Server::builder().add_service(GreeterServer::new(Hello));
                let stopped = async move { drop(stopped.await) };
                server.serve_with_incoming_shutdown(incoming, stopped).await.expect("it serves");
            });
        });
        Self { addr, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Tonic {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().expect("it was started").join().expect("it does not panic");
    }
}

fn stock_tonic_is_served(runtime: &str) {
    let server = Tonic::start();
    load(runtime, server.addr, &["-c", "100", "-n", "3000"]).is_right(3000);
    load(runtime, server.addr, &["-c", "20", "--connections", "20", "-n", "1000", "--payload", "1024"]).is_right(1000);
    load(runtime, server.addr, &["-c", "10", "-n", "100", "--payload", "65536"]).is_right(100);
}

/// The Greeter as somebody else's service: its file is read when the load begins.
fn a_method_of_any_proto(runtime: &str) {
    let server = serve(runtime, &[]);
    let proto = concat!(env!("CARGO_MANIFEST_DIR"), "/proto/helloworld.proto");
    let flags = ["-c", "20", "-n", "500", "--proto", proto, "--call", "helloworld.Greeter/SayHello"];
    load(runtime, server.addr(), &[&flags[..], &["-d", r#"{"name":"Ann","sleepMillisecond":1}"#]].concat()).is_right(500);
    // What the service says no to is told as it is.
    let ran = load(runtime, server.addr(), &[&flags[..], &["-d", r#"{"sleepMillisecond":-1}"#]].concat());
    assert_eq!(ran.report["statuses"], serde_json::json!({ "INVALID_ARGUMENT": 500 }), "{}", ran.report);
}

/// What was admitted ends well, the rest finds nobody.
fn a_drain_loses_no_call(runtime: &str) {
    let mut server = serve(runtime, &[]);
    let addr = server.addr();
    let ran = thread::scope(|scope| {
        let sleep = r#"{"name":"Joe","sleep_millisecond":20}"#;
        let ran = scope.spawn(move || load(runtime, addr, &["-c", "20", "-z", "60s", "-d", sleep]));
        served_some(&server);
        server.signal(Signal::TERM);
        let ran = ran.join().expect("it does not panic");
        assert_eq!(server.wait().code(), Some(0), "no call was cut");
        ran
    });
    assert_eq!(ran.code, Some(1));
    assert!(ran.report["ok"].as_u64().unwrap() > 0, "{}", ran.report);
    let why = ran.report["gave_up"].as_str().expect("a reason");
    assert!(why.starts_with("nobody listens on"), "{}", ran.report);
    // Those that waited for a connection.
    assert!(ran.errors().iter().all(|error| error.starts_with("UNAVAILABLE: nobody listens on")), "{}", ran.report);
}

/// Waits until the server has worked for a while: calls are under way.
fn served_some(server: &Served) {
    let before = server.cpu();
    eventually("calls are served", || (server.cpu() > before + Duration::from_millis(5)).then_some(()));
}

fn an_interrupt_leaves_what_was_done(runtime: &str) {
    let server = serve(runtime, &[]);
    let mut command = load_command(runtime, server.addr(), &["-z", "60s"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    served_some(&server);
    kill_process(Pid::from_child(&child), Signal::INT).expect("the process is there");
    let begun = std::time::Instant::now();
    let ended = child.wait_with_output().expect("it is our child");
    assert!(begun.elapsed() < PATIENCE);
    let report: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("it is JSON");
    assert_eq!((ended.status.code(), &report["interrupted"]), (Some(1), &true.into()), "{report}");
    assert!(report["ok"].as_u64().unwrap() > 0 && report["ok"] == report["count"], "{report}");
}
