//! Where a run took place: figures without it mean nothing.

use std::fs;
use std::process::Command;

use loopswap_report::Machine;
use rustix::thread::{CpuSet, sched_getaffinity};

pub(crate) fn inspect() -> Machine {
    let uname = rustix::system::uname();
    let cpus = cpus();
    let (server_cpu, load_cpu) = match cpus[..] {
        [first, second, ..] => (Some(first), Some(second)),
        _ => (None, None),
    };
    Machine {
        cpu: cpu(),
        kernel: format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy()),
        commit: commit(),
        rustc: compiler(),
        command: std::iter::once("cargo bench --bench loop_swap --".to_owned())
            .chain(std::env::args().skip(1).filter(|arg| arg != "--bench"))
            .collect::<Vec<_>>()
            .join(" "),
        server_cpu,
        load_cpu,
    }
}

/// How many CPUs of which model this process may use.
pub(crate) fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).map(|rest| rest.trim_start_matches([':', ' ', '\t']).trim());
    format!("{} × {}", cpus().len(), model.unwrap_or("unknown CPU"))
}

fn cpus() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// What `cargo test` builds measures itself more than the servers, and says so.
fn compiler() -> String {
    let version = first_line(Command::new("rustc").arg("--version"));
    if cfg!(debug_assertions) { format!("{version}, without optimisation: figures to test with, not to quote") } else { version }
}

fn commit() -> String {
    let mut commit = first_line(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]));
    if !first_line(Command::new("git").args(["status", "--porcelain", "--untracked-files=no"])).is_empty() {
        commit.push_str(" with changes");
    }
    if commit.is_empty() { "unknown".into() } else { commit }
}

fn first_line(command: &mut Command) -> String {
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}
