//! Figures of the process, by the names that Prometheus' own client libraries give them. They are read from /proc when they are asked for; one that cannot be
//! read is left out.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use crate::observe::text::{Text, Type};

/// Writes them down.
pub(super) fn write(text: &mut Text) {
    if let Some(stat) = Stat::read() {
        text.family("process_cpu_seconds", Type::Counter, "User and system CPU time of the process, in seconds.");
        text.sample("process_cpu_seconds_total", &[], stat.cpu_seconds);
        text.family("process_resident_memory_bytes", Type::Gauge, "Resident memory, in bytes.");
        text.sample("process_resident_memory_bytes", &[], stat.resident_bytes);
        text.family("process_virtual_memory_bytes", Type::Gauge, "Virtual memory, in bytes.");
        text.sample("process_virtual_memory_bytes", &[], stat.virtual_bytes);
        text.family("process_threads", Type::Gauge, "Threads of the process.");
        text.sample("process_threads", &[], stat.n_threads);
        if let Some(booted) = boot_time() {
            text.family("process_start_time_seconds", Type::Gauge, "When the process was started, in seconds since the Unix epoch.");
            text.sample("process_start_time_seconds", &[], booted + stat.started_seconds);
        }
    }
    if let Some(n) = n_fds() {
        text.family("process_open_fds", Type::Gauge, "Open file descriptors.");
        text.sample("process_open_fds", &[], n);
    }
    if let Some(max) = getrlimit(Resource::Nofile).current {
        text.family("process_max_fds", Type::Gauge, "The most file descriptors that the process may have open.");
        text.sample("process_max_fds", &[], max);
    }
}

/// Fields of /proc/self/stat: proc_pid_stat(5).
struct Stat {
    cpu_seconds: f64,
    n_threads: u64,
    /// After the machine's start.
    started_seconds: f64,
    virtual_bytes: u64,
    resident_bytes: u64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        // The name before may hold anything, parentheses too. What follows it begins with the third field.
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let seconds = |ticks: u64| ticks as f64 / clock_ticks_per_second() as f64;
        Some(Self {
            cpu_seconds: seconds(field(14)? + field(15)?),
            n_threads: field(20)?,
            started_seconds: seconds(field(22)?),
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * page_size() as u64,
        })
    }
}

/// When the machine was started, in seconds since the Unix epoch.
fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The one with which they are counted is not among them.
fn n_fds() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_moves_no_field() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 6 0 300 8192 3 18446744073709551615 1";
        let stat = Stat::parse(stat).unwrap();
        let ticks = clock_ticks_per_second() as f64;
        assert_eq!((stat.cpu_seconds, stat.started_seconds), (200.0 / ticks, 300.0 / ticks));
        assert_eq!((stat.n_threads, stat.virtual_bytes, stat.resident_bytes), (6, 8192, 3 * page_size() as u64));
    }

    #[test]
    fn this_process_has_all_of_them() {
        let mut text = Text::new(crate::TextFormat::Prometheus);
        write(&mut text);
        assert_eq!(text.finish().matches("# TYPE process_").count(), 7);
    }
}
