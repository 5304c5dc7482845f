//! Can this process use io_uring, and if not, why: what the loops on a ring ask before they start.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use io_uring::{IoUring, Probe};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Unavailable;
use crate::system::{io_uring_disabled, memlock, seccomp_filters};

/// Just after another process of the same user ended, its locked memory is still charged to the user, for some 50 ms: a ring that is refused
/// for want of memory is tried again for this long.
const MEMLOCK_RETRY: Duration = Duration::from_secs(1);

/// One operation that a loop cannot do without: its code, and its name for the operator.
pub type Operation = (u8, &'static str);

/// Raises the soft limit on locked memory to the hard one, which needs no privilege. Rings and their buffers are charged to it.
pub fn raise_memlock() {
    let limit = getrlimit(Resource::Memlock);
    if limit.current != limit.maximum {
        // Where this is refused, the probe says what is missing.
        let _ = setrlimit(Resource::Memlock, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

/// Tries a ring of `entries`, and whether the kernel has all `operations`.
///
/// # Errors
///
/// The cause, as far as it can be found out, and the remedy.
pub fn probe(entries: u32, operations: &[Operation]) -> Result<(), Unavailable> {
    probe_ring(&IoUring::builder(), entries, operations)
}

/// [`probe`], for a ring built with options of its own.
///
/// # Errors
///
/// As [`probe`].
pub fn probe_ring(builder: &io_uring::Builder, entries: u32, operations: &[Operation]) -> Result<(), Unavailable> {
    let ring = retry_without_memory(|| builder.build(entries)).map_err(|error| explain(&error))?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|error| {
        Unavailable::new(
            format!("the kernel does not list its io_uring operations ({error})"),
            "use Linux 5.19 or later, or --runtime tokio",
        )
    })?;
    let missing: Vec<_> = operations.iter().filter(|(code, _)| !probe.is_supported(*code)).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        let cause = format!("the kernel's io_uring lacks {}", missing.join(", "));
        Err(Unavailable::new(cause, "use Linux 5.19 or later, or --runtime tokio"))
    }
}

/// Calls `build` again, for up to one second, while it is refused for want of memory.
///
/// # Errors
///
/// The last one.
pub fn retry_without_memory<T>(mut build: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let give_up = Instant::now() + MEMLOCK_RETRY;
    loop {
        match build() {
            Err(error) if error.raw_os_error() == Some(ENOMEM) && Instant::now() < give_up => thread::sleep(Duration::from_millis(10)),
            result => return result,
        }
    }
}

const EPERM: i32 = rustix::io::Errno::PERM.raw_os_error();
const ENOSYS: i32 = rustix::io::Errno::NOSYS.raw_os_error();
const ENOMEM: i32 = rustix::io::Errno::NOMEM.raw_os_error();
const EINVAL: i32 = rustix::io::Errno::INVAL.raw_os_error();
const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();

/// What an error of `io_uring_setup(2)` means on this machine.
pub fn explain(error: &io::Error) -> Unavailable {
    let seccomp = seccomp_filters();
    match error.raw_os_error() {
        Some(EPERM) => match io_uring_disabled() {
            Some(2) => Unavailable::new(
                "io_uring is switched off: the sysctl kernel.io_uring_disabled is 2",
                "set it to 0 (sysctl -w kernel.io_uring_disabled=0), or use --runtime tokio",
            ),
            Some(1) => Unavailable::new(
                "io_uring is reserved for privileged processes: the sysctl kernel.io_uring_disabled is 1",
                "set it to 0, or give the process's group by kernel.io_uring_group, or use --runtime tokio",
            ),
            _ if seccomp => refused_by_seccomp("EPERM"),
            _ => Unavailable::new(
                "io_uring_setup is refused (EPERM) by a security module or the container's runtime",
                "allow the io_uring system calls, or use --runtime tokio",
            ),
        },
        Some(ENOSYS) if seccomp => refused_by_seccomp("ENOSYS"),
        Some(ENOSYS) => Unavailable::new("this kernel has no io_uring (ENOSYS)", "use Linux 5.19 or later, or --runtime tokio"),
        Some(ENOMEM) => Unavailable::new(
            format!("the locked-memory limit ({}) has no room for a ring (ENOMEM)", memlock()),
            "raise it (ulimit -l, LimitMEMLOCK= in systemd) to 8 MiB or more, or use fewer workers, or --runtime tokio",
        ),
        Some(EINVAL) => Unavailable::new(
            "the kernel does not know a feature of io_uring that is needed (EINVAL)",
            "use Linux 5.19 or later, or --runtime tokio",
        ),
        Some(EMFILE) => Unavailable::new("no file descriptor is left for a ring (EMFILE)", "raise ulimit -n"),
        _ => Unavailable::new(format!("io_uring_setup failed: {error}"), "use --runtime tokio"),
    }
}

fn refused_by_seccomp(errno: &str) -> Unavailable {
    Unavailable::new(
        format!("io_uring_setup is refused ({errno}) by a seccomp filter, as container runtimes set one"),
        "allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile, or use --runtime tokio",
    )
}
