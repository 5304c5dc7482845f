//! What a person can get wrong on the command line, and what the answer is.

use std::net::TcpListener;

use serde_json::Value;

use crate::support::{eventually, loopswap, output, serve, served};

#[test]
fn unknown_runtime_lists_the_words() {
    let ended = output(loopswap().args(["serve", "--runtime", "uvloop"]));
    assert_eq!(ended.status.code(), Some(2));
    for word in ["uvloop", "auto", "tokio", "tokio-uring", "glommio"] {
        assert!(ended.stderr.contains(word), "no {word} in: {}", ended.stderr);
    }
}

#[test]
fn unknown_runtime_in_the_environment_lists_the_words() {
    let ended = output(loopswap().env("LOOPSWAP_RUNTIME", "uvloop"));
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("tokio-uring"), "{}", ended.stderr);
}

#[test]
fn bad_addresses_are_named() {
    for addr in ["nonsense", "127.0.0.1", "127.0.0.1:99999", "localhost:9999", "unix:"] {
        let ended = output(loopswap().args(["--runtime", "tokio", "--addr", addr]));
        assert_eq!(ended.status.code(), Some(2), "{addr}: {}", ended.stderr);
        assert!(ended.stderr.contains(addr) && ended.stderr.lines().count() == 1, "{addr}: {}", ended.stderr);
    }
}

#[test]
fn a_uri_for_an_address_is_told() {
    let ended = output(loopswap().args(["call", "http://127.0.0.1:1"]));
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("leave out `http://`"), "{}", ended.stderr);
}

#[test]
fn an_address_of_another_machine_is_told() {
    let ended = output(loopswap().args(["--runtime", "tokio", "--addr", "192.0.2.1:9999"]));
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("no such address"), "{}", ended.stderr);
}

#[test]
fn no_workers_are_refused() {
    let ended = output(loopswap().args(["--runtime", "tokio", "--workers", "0"]));
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("0 workers"), "{}", ended.stderr);
}

#[test]
fn a_port_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    port_in_use(&taken.local_addr().unwrap().to_string());
}

/// Two servers would share their clients by SO_REUSEPORT if nobody looked.
#[test]
fn a_port_of_another_loopswap_is_told() {
    let mut command = loopswap();
    let other = served(command.args(["--runtime", "tokio", "--workers", "2", "--addr", "127.0.0.1:0"]));
    port_in_use(&other.addr().to_string());
}

fn port_in_use(addr: &str) {
    for workers in ["1", "2"] {
        let ended = output(loopswap().args(["--runtime", "tokio", "--workers", workers, "--addr", addr]));
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(addr) && ended.stderr.contains("in use"), "{}", ended.stderr);
    }
}

#[test]
fn bad_log_filter_is_named() {
    for filter in ["loopswap=loud", "wran", "info,h2"] {
        let ended = output(loopswap().args(["--runtime", "tokio", "--log", filter]));
        assert_eq!(ended.status.code(), Some(2), "{filter}");
        assert!(ended.stderr.contains(filter), "{}", ended.stderr);
    }
}

#[test]
fn every_flag_has_an_environment_variable_and_shows_its_default() {
    for command in ["serve", "call", "load", "health", "doctor"] {
        let help = output(loopswap().args([command, "--help"])).stdout;
        // A flag stands near the margin; the lines of its paragraph are indented further.
        let is_flag = |line: &str| line.trim_start().starts_with('-') && line.len() - line.trim_start().len() <= 6;
        let mut flags: Vec<String> = Vec::new();
        for line in help.lines() {
            if is_flag(line) {
                flags.push(line.into());
            } else if let Some(flag) = flags.last_mut() {
                flag.push_str(line);
            }
        }
        flags.retain(|flag| !flag.contains("--help") && !flag.contains("--version"));
        assert!(!flags.is_empty(), "no flags in: {help}");
        for flag in flags.iter().map(|flag| flag.split_whitespace().collect::<Vec<_>>().join(" ")) {
            assert!(flag.contains("[env: LOOPSWAP_"), "{command} has a flag without environment variable: {flag}");
            assert!(flag.contains("[default: "), "{command} has a flag that shows no default: {flag}");
        }
    }
}

#[test]
fn the_environment_stands_in_for_flags() {
    let mut command = loopswap();
    command.env("LOOPSWAP_RUNTIME", "tokio").env("LOOPSWAP_ADDR", "127.0.0.1:0").env("LOOPSWAP_WORKERS", "1");
    drop(served(&mut command));
}

/// As scripts and compose files write what they leave out, whatever the flag takes: a number, a word, a switch, a path.
#[test]
fn empty_variables_count_as_not_set() {
    let flags = output(loopswap().args(["serve", "--help"])).stdout;
    let variables: Vec<_> = flags.split("[env: ").skip(1).map(|rest| rest.split(['=', ']']).next().unwrap()).collect();
    assert!(variables.contains(&"LOOPSWAP_WORKERS") && variables.len() > 10, "{variables:?}");
    let mut command = loopswap();
    for name in variables.iter().filter(|name| **name != "LOOPSWAP_ADDR") {
        command.env(name, "");
    }
    drop(served(command.env("LOOPSWAP_ADDR", "127.0.0.1:0")));
    for (command, variable) in [("call", "LOOPSWAP_TIMEOUT"), ("load", "LOOPSWAP_CONCURRENCY")] {
        let help = output(loopswap().args([command, "--help"])).stdout;
        assert!(help.contains(&format!("[env: {variable}")), "{help}");
        let ended = output(loopswap().args([command, "127.0.0.1:1"]).env(variable, ""));
        assert_eq!(ended.status.code(), Some(1), "nobody listens, and that is all: {}", ended.stderr);
    }
}

#[test]
fn announces_itself_and_logs_as_json() {
    let mut server = serve("tokio", &["--json"]);
    let line = server.stdout().wait_for("listening").expect("it says so");
    let announced: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let addr = server.addr().to_string();
    assert_eq!(announced, serde_json::json!({ "event": "listening", "addr": addr, "runtime": "tokio", "http2": "native", "workers": 1 }));
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let line = server.stderr().wait_for("draining").expect("it says so");
    let logged: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(logged["level"], "INFO", "{line}");
}

#[test]
fn doctor_reports_every_loop() {
    let report = || -> Value {
        let ended = output(loopswap().args(["doctor", "--json"]));
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        serde_json::from_str(&ended.stdout).expect("it is JSON")
    };
    // A busy machine may keep it waiting, but not each time.
    let report = eventually("no 10 ms sleep takes twice as long", || {
        let report = report();
        let runtimes = report["runtimes"].as_array().unwrap();
        assert_eq!(runtimes.len(), 3);
        assert!(runtimes.iter().all(|runtime| runtime["available"] == true), "{report}");
        runtimes.iter().all(|runtime| runtime["sleep_error_us"].as_u64().unwrap() < 10_000).then_some(report)
    });
    for field in ["kernel", "io_uring_disabled", "seccomp", "memlock_soft", "memlock_hard", "open_files", "cpus_allowed"] {
        assert!(report["machine"].get(field).is_some(), "no {field}");
    }
}

#[test]
fn doctor_prints_a_table_for_people() {
    let ended = output(loopswap().args(["doctor", "tokio"]));
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.stdout.contains("tokio-uring") && ended.stdout.contains("CPUs allowed"), "{}", ended.stdout);
    assert!(!ended.stdout.contains('\u{1b}'), "no colours into a pipe");
}
