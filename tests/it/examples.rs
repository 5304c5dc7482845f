//! The examples, as a person would start them.

use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use crate::support::{output, served};

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
