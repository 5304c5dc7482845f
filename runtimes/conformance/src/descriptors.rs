//! The descriptors of this process, seen from outside the loop: how many, which, and the sockets behind them.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use loopswap_rt::Address;
use rustix::process::{ForeignRawFd, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use socket2::SockRef;

/// How many are open.
pub(crate) fn count() -> usize {
    numbers().len()
}

/// What each of them is.
pub(crate) fn links() -> Vec<PathBuf> {
    numbers().into_iter().filter_map(|number| fs::read_link(format!("/proc/self/fd/{number}")).ok()).collect()
}

/// Whether those that match are close-on-exec, one answer for each.
pub(crate) fn close_on_exec(matches: impl Fn(&str) -> bool) -> Vec<bool> {
    const O_CLOEXEC: u32 = 0o2_000_000;
    let mut answers = Vec::new();
    for number in numbers() {
        // The descriptor by which the directory was listed is closed by now.
        let Ok(link) = fs::read_link(format!("/proc/self/fd/{number}")) else { continue };
        if matches(&link.to_string_lossy()) {
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("fdinfo has flags");
            answers.push(u32::from_str_radix(flags.trim(), 8).unwrap() & O_CLOEXEC != 0);
        }
    }
    answers
}

/// A second descriptor of the socket with these ends, wherever it is in this process.
pub(crate) fn socket(local: &Address, peer: &Address) -> OwnedFd {
    let this = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let is_it = |socket: &OwnedFd| {
        let socket = SockRef::from(socket);
        let ends = socket.local_addr().and_then(|local| Ok((local.try_into()?, socket.peer_addr()?.try_into()?)));
        ends.is_ok_and(|ends: (Address, Address)| ends == (local.clone(), peer.clone()))
    };
    let mut copies = numbers().into_iter().filter_map(|number| pidfd_getfd(&this, number, PidfdGetfdFlags::empty()).ok());
    copies.find(is_it).unwrap_or_else(|| panic!("no socket of this process is connected from {local} to {peer}"))
}

fn numbers() -> Vec<ForeignRawFd> {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
}
