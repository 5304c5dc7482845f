//! `loopswap health`, which asks a server for a probe: exit code 0 for one that serves, and 1 for any other.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::ServingStatus::NotServing;
use super::{Client, GREETER, Watch};
use crate::support::{Output, block_on, loopswap, output, serve};

crate::on_every_loop_and_engine!(a_server_that_serves_passes, one_that_leaves_does_not);

fn health(args: &[&str]) -> Output {
    output(loopswap().arg("health").args(args))
}

/// Whether it failed as a probe fails, saying this.
fn fails(ended: &Output, texts: &[&str]) {
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert_eq!((ended.stdout.as_str(), ended.stderr.lines().count()), ("", 1), "{}", ended.stderr);
    for text in texts {
        assert!(ended.stderr.contains(text), "no `{text}` in: {}", ended.stderr);
    }
}

/// The client is on the server's loop, too.
fn a_server_that_serves_passes(runtime: &str, engine: &str) {
    let server = serve(runtime, &["--http2", engine]);
    let addr = server.addr().to_string();
    for args in [&[addr.as_str()][..], &["--addr", &addr, "--runtime", runtime], &[&addr, "--service", GREETER]] {
        let ended = health(args);
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(0), "SERVING"), "{args:?}: {}", ended.stderr);
    }
    fails(&health(&[&addr, "--service", "no.Such"]), &["NOT_FOUND", "no.Such"]);
    let ended = health(&[&addr, "--service", GREETER, "--json"]);
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(told, json!({ "status": "SERVING", "message": "", "service": GREETER, "addr": addr, "serves": true }));
}

fn one_that_leaves_does_not(runtime: &str, engine: &str) {
    let server = serve(runtime, &["--http2", engine, "--drain-delay", "10m"]);
    let addr = server.addr().to_string();
    block_on(async {
        let client = Client::new(server.addr()).await;
        let mut watch = Watch::of_a_good_one(&client).await;
        server.signal(Signal::TERM);
        watch.says(NotServing).await;
    });
    fails(&health(&[&addr]), &["NOT_SERVING"]);
    let ended = health(&[&addr, "--json"]);
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.status.code(), &told["status"], &told["serves"]), (Some(1), &json!("NOT_SERVING"), &json!(false)));
}

#[test]
fn nobody_there_fails() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    fails(&health(&[&free]), &["UNAVAILABLE", &free]);
}

#[test]
fn a_server_that_says_nothing_fails_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let asked = Instant::now();
    fails(&health(&[&silent.local_addr().unwrap().to_string(), "--timeout", "300ms"]), &["DEADLINE_EXCEEDED", "300ms"]);
    let took = asked.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(9), "connecting alone may take 10 s elsewhere: {took:?}");
}

#[test]
fn a_server_without_health_fails() {
    let server = serve("tokio", &["--health", "off"]);
    fails(&health(&[&server.addr().to_string()]), &["UNIMPLEMENTED"]);
}

#[test]
fn what_makes_no_sense_is_code_2() {
    for args in [&["nonsense"][..], &["127.0.0.1:1", "--timeout", "0s"], &["127.0.0.1:1", "--runtime", "uvloop"]] {
        assert_eq!(health(args).status.code(), Some(2), "{args:?}");
    }
}
