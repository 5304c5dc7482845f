//! The unit tests of the suite's parts that need nobody to measure: a bench without a harness has no place for them.

#![allow(dead_code, reason = "what only the suite itself calls is not called here")]

mod child;
mod peers;

use std::ffi::OsStr;
use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::peers::build::{find, is_ready, path, set_ready, step, step_within};
use crate::peers::{Choice, Family, Launch, check, cpp, python};

#[test]
fn choices_are_words_or_families() {
    let families = |text: &str| match text.parse() {
        Ok(Choice::Of(families)) => families,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(families("none"), []);
    assert_eq!(families("all"), Family::ALL);
    assert_eq!(families("cpp, python,cpp"), [Family::Cpp, Family::Python]);
    assert_eq!("ready".parse(), Ok(Choice::Ready));
    for wrong in ["", ",", "python,", "perl", "all,rust", "none,rust", "Rust"] {
        let error = wrong.parse::<Choice>().expect_err(wrong);
        assert!(error.contains("no such peers") && error.contains("python, rust and cpp"), "{error}");
    }
}

#[test]
fn what_is_missing_is_named_with_its_remedy() {
    let nothing = OsStr::new("/no/such/folder");
    for (tools, package) in [(python::tools(nothing), "python3-venv"), (cpp::tools(nothing), "libgrpc++-dev")] {
        let why = tools.expect_err("there is no tool");
        assert!(why.contains("cannot be found; apt-get install") && why.contains(package), "{why}");
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = Family::ALL.into_iter().flat_map(Family::peers).map(|peer| peer.name).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn a_peer_that_is_no_server_says_its_last_words() {
    let launch = |program: &str, args: &[&str]| Launch {
        program: program.into(),
        args: args.iter().map(ToString::to_string).collect(),
        env: Vec::new(),
        sleeps: true,
        slow: false,
    };
    let why = check(&launch("/no/such/server", &[]), None).expect_err("nothing to start");
    assert!(why.contains("cannot be started"), "{why}");
    let why = check(&launch("sh", &["-c", "echo first >&2; echo no port >&2; exit 3"]), None).expect_err("it ends");
    assert!(why.contains("did not listen: no port"), "{why}");
    // Somebody listens there, but it speaks no HTTP/2.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let addr = deaf.local_addr().expect("bound");
    let hang_up = std::thread::spawn(move || drop(deaf.accept()));
    let script = format!("echo listening on {addr}; echo what it said last >&2; exec sleep 60");
    let why = check(&launch("sh", &["-c", &script]), None).expect_err("nobody answers");
    assert!(why.contains("answered wrongly") && why.contains("what it said last"), "{why}");
    hang_up.join().expect("it hangs up once");
}

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn a_step_that_fails_leaves_its_last_lines() {
    assert_eq!(step("all is well", &mut sh("echo fine >&2")), Ok(()));
    let why = step("counting", &mut sh("for i in 1 2 3 4 5 6 7 8 9; do echo line $i >&2; done; exit 4")).expect_err("it exits with 4");
    assert!(why.starts_with("counting failed, exit status: 4:\nline 2\n") && why.ends_with("\nline 9"), "{why}");
    let why = step("finding", &mut Command::new("/no/such/program")).expect_err("there is none");
    assert!(why.contains("/no/such/program cannot be started"), "{why}");
}

#[test]
fn a_step_that_does_not_end_is_ended() {
    let why = step_within("waiting", &mut sh("exec sleep 60"), Duration::from_millis(50)).expect_err("it is too slow");
    assert!(why.contains("not done after 50ms"), "{why}");
}

#[test]
fn what_was_made_from_other_sources_is_not_ready() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (stamp, source) = (folder.path().join("stamp"), folder.path().join("source"));
    let sources = [source.clone()];
    assert!(!is_ready(&stamp, &sources));
    assert!(set_ready(&stamp, &sources).is_err_and(|why| why.contains("cannot read")));
    fs::write(&source, "one").expect("it can be written");
    set_ready(&stamp, &sources).expect("it can be noted");
    assert!(is_ready(&stamp, &sources));
    fs::write(&source, "two").expect("it can be written");
    assert!(!is_ready(&stamp, &sources));
}

#[test]
fn programs_are_looked_for_on_the_path() {
    assert_eq!(find(&["sh"], &path(), "buy one"), Ok(()));
    assert_eq!(find(&["sh", "no-such-program"], &path(), "buy one"), Err("no-such-program cannot be found; buy one".into()));
}
