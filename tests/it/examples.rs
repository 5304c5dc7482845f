//! The examples, as a person would start them.

use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use crate::support::{Served, loopswap, output, served};
use crate::tls::Pki;

/// `cargo test` builds the examples beside the tests.
pub(crate) fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("it runs");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/it");
    let path: PathBuf = profile.join("examples").join(name);
    assert!(path.exists(), "{} is not built: run `cargo build --examples`", path.display());
    Command::new(path)
}

fn serves_the_client(name: &str) {
    let mut server = served(example(name).arg("127.0.0.1:0"));
    let client = output(example("client").args([server.addr().to_string(), "example".into()]));
    assert_eq!((client.status.code(), client.stdout.as_str()), (Some(0), "Hello, example!"), "{}", client.stderr);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn tokio() {
    serves_the_client("tokio");
}

#[test]
fn tokio_uring() {
    serves_the_client("tokio_uring");
}

#[test]
fn glommio() {
    serves_the_client("glommio");
}

#[test]
fn an_example_that_cannot_start_says_why_in_a_line() {
    let ended = output(example("tokio").arg("nonsense"));
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("nonsense") && !ended.stderr.contains("kind"), "{}", ended.stderr);
}

#[test]
fn streaming() {
    for event_loop in ["tokio", "tokio-uring", "glommio"] {
        let ended = output(example("streaming").arg(event_loop));
        assert_eq!(ended.status.code(), Some(0), "{event_loop}: {}", ended.stderr);
        let lines: Vec<_> = ended.stdout.lines().collect();
        assert_eq!(lines[..3], ["tick 1", "tick 2", "tick 3"], "{event_loop}");
        assert!(lines[3].starts_with("lap 1: first after ") && lines[4].starts_with("lap 2: second after "), "{event_loop}: {lines:?}");
    }
}

#[test]
fn interop_says_how_it_is_used() {
    let ended = output(example("interop").arg("--nonsense=1"));
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("--nonsense") && ended.stderr.contains("usage: interop"), "{}", ended.stderr);
}

/// TLS, and mutual TLS: without a certificate nobody is let in.
#[test]
fn tls() {
    let pki = Pki::new("CA");
    let (identity, alice, ca) = (pki.server(), pki.client("Alice"), pki.ca());
    for runtime in ["tokio", "tokio-uring", "glommio"] {
        for engine in ["native", "hyper"] {
            let mut command = example("tls");
            command.args(["--addr", "127.0.0.1:0", "--runtime", runtime, "--http2", engine]);
            command.arg("--cert").arg(&identity.certificate).arg("--key").arg(&identity.key);
            let call = |server: &Served| {
                let mut call = loopswap();
                call.args(["call", &server.addr().to_string(), "--tls-ca"]).arg(&ca);
                call
            };
            let server = served(&mut command);
            let called = output(&mut call(&server));
            assert_eq!(called.stdout, "Hello, Joe, with no certificate!", "{runtime}, {engine}: {}", called.stderr);

            let server = served(command.arg("--client-ca").arg(&ca));
            let called = output(&mut call(&server));
            assert!(called.stderr.contains("wants a client certificate"), "{runtime}, {engine}: {}{}", called.stdout, called.stderr);
            let called = output(call(&server).arg("--tls-client-cert").arg(&alice.certificate).arg("--tls-client-key").arg(&alice.key));
            assert!(called.stdout.starts_with("Hello, Joe, with a certificate of "), "{runtime}, {engine}: {}", called.stderr);
        }
    }
}
