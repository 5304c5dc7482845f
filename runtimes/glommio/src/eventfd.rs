//! The eventfd that glommio leaks with each executor.
//!
//! glommio frees a task's memory without dropping its header, which counts as a user of the executor's eventfd: after one task, `main`, nobody closes
//! it any more. So it is looked for when the executor is built, and closed when that has ended. Where a thread that is not ours makes an eventfd at
//! that very moment, the two cannot be told apart, and the leak is left alone.
#![allow(unsafe_code, reason = "closes a descriptor whose owner has been leaked")]

use std::fs;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

/// Held while eventfds are looked for, made or closed: all workers start at once.
static LOOKING: Mutex<()> = Mutex::new(());

/// An eventfd's number, which another gets when it is closed, and the kernel's name for it, which no other gets.
type Named = (RawFd, String);

/// Calls `make`, which makes eventfds that nobody is to look for.
pub(crate) fn apart<T>(make: impl FnOnce() -> T) -> T {
    let _looking = LOOKING.lock().unwrap_or_else(PoisonError::into_inner);
    make()
}

/// The eventfd of an executor, if it could be made out.
pub(crate) struct Eventfd {
    found: Option<Named>,
}

impl Eventfd {
    /// Calls `build`, which makes an executor, and looks for its eventfd.
    pub(crate) fn of<T>(build: impl FnOnce() -> T) -> (T, Self) {
        let _looking = LOOKING.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all();
        let built = build();
        let mut new: Vec<_> = all().into_iter().filter(|named| !before.contains(named)).collect();
        let found = new.pop().filter(|_| new.is_empty());
        (built, Self { found })
    }

    /// Closes it, after the executor was dropped and its thread has ended.
    pub(crate) fn close(self) {
        let _looking = LOOKING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((fd, was)) = self.found
            && identity(fd) == Some(was)
        {
            // SAFETY: it is still the same eventfd, so its owner has been leaked; it was written to by the executor's thread, which has ended, and by
            // glommio's wakers, which have not left this crate and are all dropped.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
}

fn all() -> Vec<Named> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let eventfds = entries.filter(|entry| fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == "anon_inode:[eventfd]"));
    let numbers = eventfds.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(|fd| Some((fd, identity(fd)?))).collect()
}

/// The kernel's name for an eventfd.
fn identity(fd: RawFd) -> Option<String> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
    info.lines().find_map(|line| line.strip_prefix("eventfd-id:")).map(|id| id.trim().to_owned())
}
