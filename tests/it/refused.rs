//! Machines that refuse io_uring: an explicit loop says why and what to do before it touches a port, `auto` serves on tokio and says why.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

use crate::support::{Output, block_on, client, hello, loopswap, output, served};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Runs `test` on a thread whose children are refused io_uring with this errno, as container runtimes refuse it.
fn without_io_uring<T: Send>(errno: u32, test: impl FnOnce() -> T + Send) -> T {
    let setup = [425_i64, 426, 427].map(|system_call| (system_call, Vec::new()));
    let arch = TargetArch::try_from(std::env::consts::ARCH).expect("seccompiler knows this architecture");
    let filter = SeccompFilter::new(BTreeMap::from(setup), SeccompAction::Allow, SeccompAction::Errno(errno), arch);
    let program = BpfProgram::try_from(filter.expect("a valid filter")).expect("a valid program");
    on_a_thread(move || {
        apply_filter(&program).expect("this machine lets a process restrict itself");
        test()
    })
}

fn on_a_thread<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(test).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs the binary with this limit on locked memory, binding even for root.
fn with_memlock(kib: u32, args: &[&str]) -> Output {
    on_a_thread(|| {
        // A process without privileges cannot drop it, and need not.
        let _ = remove_capability_from_bounding_set(CapabilitySet::IPC_LOCK);
        let binary = loopswap();
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit -l {kib}; exec \"$0\" \"$@\"")).arg(binary.get_program()).args(args);
        output(&mut command)
    })
}

/// An explicit loop is refused with code 2, in one line, and the port was not looked at: it is taken, and nobody says so.
fn is_refused(ended: &Output, texts: &[&str]) {
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    for text in texts {
        assert!(ended.stderr.contains(text), "no `{text}` in: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("in use"), "{}", ended.stderr);
}

fn seccomp_refuses(errno: u32, name: &str) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for runtime in ["tokio-uring", "glommio"] {
        let ended = without_io_uring(errno, || output(loopswap().args(["--runtime", runtime, "--addr", &addr])));
        is_refused(&ended, &[runtime, name, "seccomp", "--runtime tokio"]);
    }
}

#[test]
fn by_seccomp_with_eperm() {
    seccomp_refuses(EPERM, "EPERM");
}

#[test]
fn by_seccomp_with_enosys() {
    seccomp_refuses(ENOSYS, "ENOSYS");
}

#[test]
fn by_too_little_locked_memory() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for runtime in ["tokio-uring", "glommio"] {
        let ended = with_memlock(16, &["--runtime", runtime, "--addr", &addr]);
        is_refused(&ended, &[runtime, "16 KiB", "ulimit -l"]);
    }
}

/// The first workers' rings fit, the last ones' do not: none serves.
#[test]
fn all_workers_start_or_none() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for runtime in ["tokio-uring", "glommio"] {
        let ended = with_memlock(2048, &["--runtime", runtime, "--workers", "64", "--addr", &addr]);
        is_refused(&ended, &[runtime, "locked"]);
        let ended = with_memlock(2048, &["--runtime", runtime, "--workers", "1", "--addr", &addr]);
        assert_eq!(ended.status.code(), Some(1), "one worker fits, and finds the port in use: {}", ended.stderr);
    }
}

#[test]
fn auto_serves_on_tokio_and_says_why() {
    let mut server = without_io_uring(EPERM, || {
        let mut command = loopswap();
        served(command.args(["--runtime", "auto", "--workers", "1", "--addr", "127.0.0.1:0"]))
    });
    let line = server.stderr().wait_for("tokio-uring cannot run here").expect("it says so");
    assert!(line.contains("seccomp"), "{line}");
    let reply = block_on(async { hello(&mut client(server.addr()).await, "auto", 0).await });
    assert_eq!(reply.unwrap(), "Hello, auto!");
    assert!(server.is_running());
}

#[test]
fn doctor_tells_cause_and_remedy() {
    let ended = without_io_uring(EPERM, || output(loopswap().args(["doctor", "--json"])));
    assert_eq!(ended.status.code(), Some(0), "tokio runs: {}", ended.stderr);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["machine"]["seccomp"], true);
    for verdict in report["runtimes"].as_array().unwrap() {
        let refused = verdict["runtime"] != "tokio";
        assert_eq!(verdict["available"], !refused);
        assert_eq!(verdict["cause"].is_string() && verdict["remedy"].is_string(), refused, "{verdict}");
    }
    let ended = without_io_uring(EPERM, || output(loopswap().args(["doctor", "tokio", "glommio"])));
    assert_eq!(ended.status.code(), Some(1), "glommio was asked for");
}
