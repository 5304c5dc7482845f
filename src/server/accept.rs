//! What an accept error means: some concern the one client, some the whole process. None ends a worker (CVE-2024-47609 was one that did).

use std::io;
use std::time::Duration;

use rustix::io::Errno;

/// The first pause when the process or the system is out of something.
const PAUSE_MIN: Duration = Duration::from_millis(5);

/// The longest. Both as in grpc-go.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Decides how long to wait after an accept error.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    last: Duration,
}

impl Backoff {
    /// After a success the next shortage starts afresh.
    pub(super) fn reset(&mut self) {
        self.last = Duration::ZERO;
    }

    /// How long to wait before the next accept; `None` when it concerned one client alone, and the next may be accepted at once.
    pub(super) fn pause(&mut self, error: &io::Error) -> Option<Duration> {
        if concerns_one_client(error) {
            return None;
        }
        self.last = (self.last * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        Some(self.last)
    }
}

/// Errors that accept(2) passes on from the client's connection, and interruptions. ENOTCONN comes from asking for the address of a peer that
/// has gone.
fn concerns_one_client(error: &io::Error) -> bool {
    const THEIRS: [Errno; 12] = [
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::INTR,
        Errno::PROTO,
        Errno::NOTCONN,
        Errno::PERM,
        Errno::NETDOWN,
        Errno::NOPROTOOPT,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::NETUNREACH,
        Errno::TIMEDOUT,
    ];
    Errno::from_io_error(error).is_some_and(|errno| THEIRS.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(errno: Errno) -> io::Error {
        errno.into()
    }

    #[test]
    fn one_clients_error_costs_no_time() {
        assert_eq!(Backoff::default().pause(&error(Errno::CONNABORTED)), None);
    }

    #[test]
    fn a_shortage_is_waited_for_from_5_ms_doubling_to_1_s() {
        let mut backoff = Backoff::default();
        for ms in [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
            assert_eq!(backoff.pause(&error(Errno::MFILE)), Some(Duration::from_millis(ms)));
        }
        backoff.reset();
        for errno in [Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::INVAL] {
            backoff.reset();
            assert_eq!(backoff.pause(&error(errno)), Some(PAUSE_MIN), "{errno}");
        }
    }
}
