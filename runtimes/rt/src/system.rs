//! What this machine and this process may do, as far as a loop has to know it: for probes and for `loopswap doctor`.

use std::fs;

use rustix::process::{Resource, getrlimit};

/// The sysctl `kernel.io_uring_disabled`: 0 for everyone, 1 for privileged processes, 2 for nobody. `None` on kernels without it.
pub fn io_uring_disabled() -> Option<u32> {
    fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?.trim().parse().ok()
}

/// Whether a seccomp filter applies to this process.
pub fn seccomp_filters() -> bool {
    status_field("Seccomp:").is_some_and(|mode| mode == "2")
}

/// The soft and the hard limit on locked memory, in bytes; `None` for no limit.
pub fn memlock_limits() -> (Option<u64>, Option<u64>) {
    let limit = getrlimit(Resource::Memlock);
    (limit.current, limit.maximum)
}

/// The soft limit on locked memory, for people.
pub fn memlock() -> String {
    memlock_limits().0.map_or("unlimited".into(), |bytes| format!("{} KiB", bytes / 1024))
}

/// Whether limits on locked memory do not bind this process (CAP_IPC_LOCK).
pub fn ignores_memlock() -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    status_field("CapEff:").and_then(|caps| u64::from_str_radix(&caps, 16).ok()).is_some_and(|caps| caps & (1 << CAP_IPC_LOCK) != 0)
}

fn status_field(name: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
}
