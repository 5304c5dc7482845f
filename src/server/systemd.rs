//! What systemd is told, or whoever else started the server with NOTIFY_SOCKET set: sd_notify(3). That it listens, that it is about to end, and, where a watchdog is asked
//! for, that its loops come round.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::pulse::Pulse;
use crate::server::Running;

/// Of the time after which systemd takes a silent service for dead, how much passes between two signs of life; and by how much a loop may be late. Half of it is what
/// sd_watchdog_enabled(3) recommends.
const SIGNS_A_TIMEOUT: u32 = 2;

/// What a server says. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Manager {
    /// Once it is to be told.
    socket: Arc<OnceLock<SocketAddr>>,
    has_failed: Arc<AtomicBool>,
}

/// Signs of life are given as long as it is there.
pub(super) type Signs = Option<mpsc::Sender<()>>;

impl Running {
    /// Tells systemd, where that has started the server and wants to know (`Type=notify`): now that it listens; when it [drains](crate::Handle::drain) or stops, that it does;
    /// and with `WatchdogSec=`, twice in that time, that every loop comes round. A loop that is late by half of it is not told of, so that systemd restarts the server.
    /// Without NOTIFY_SOCKET in the environment nothing is done. [`Builder::serve`](crate::Builder::serve) does it by itself.
    ///
    /// A server serves without being heard: what goes wrong is logged.
    pub fn notify_systemd(&mut self) {
        let Some(name) = set("NOTIFY_SOCKET") else { return };
        let manager = self.handle.manager.clone();
        match socket(&name) {
            // What was told first stays.
            Ok(socket) => drop(manager.socket.set(socket)),
            Err(error) => return tracing::warn!("cannot tell systemd at NOTIFY_SOCKET={}: {error}", name.display()),
        }
        manager.tell("READY=1");
        match watchdog_timeout(|variable| set(variable)?.into_string().ok(), process::id()) {
            Ok(None) => {}
            Ok(Some(timeout)) => match signs_of_life(manager, self.pulses.clone(), timeout) {
                Ok(signs) => self.signs = Some(signs),
                Err(error) => tracing::warn!("the thread that tells systemd cannot be started: {error}"),
            },
            Err(why) => tracing::warn!("systemd is given no signs of life: {why}"),
        }
    }
}

impl Manager {
    /// Tells it, if it is to be told anything. That it cannot be is logged once.
    pub(super) fn tell(&self, what: &str) {
        let Some(socket) = self.socket.get() else { return };
        let told = UnixDatagram::unbound().and_then(|from| {
            // A manager that does not read must not hold up who tells it.
            from.set_nonblocking(true)?;
            from.send_to_addr(what.as_bytes(), socket)
        });
        if let Err(error) = told
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            tracing::warn!("cannot tell systemd {what} at {socket:?}: {error}");
        }
    }
}

/// A variable that is set to something.
fn set(variable: &str) -> Option<std::ffi::OsString> {
    env::var_os(variable).filter(|value| !value.is_empty())
}

/// A path, or an abstract name behind `@`.
fn socket(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither an absolute path nor an abstract name, @NAME")),
    }
}

/// After how long without a sign of life this process is taken for dead, if it ever is (sd_watchdog_enabled(3)).
fn watchdog_timeout(variable: impl Fn(&str) -> Option<String>, own_pid: u32) -> Result<Option<Duration>, String> {
    let Some(us) = variable("WATCHDOG_USEC") else { return Ok(None) };
    if variable("WATCHDOG_PID").is_some_and(|pid| pid != own_pid.to_string()) {
        return Ok(None);
    }
    let timeout = us.parse().ok().filter(|us| *us > 0).map(Duration::from_micros);
    timeout.map(Some).ok_or_else(|| format!("WATCHDOG_USEC={us} is no number of microseconds"))
}

/// Gives signs of life in a thread of its own, until what it returns is dropped.
fn signs_of_life(manager: Manager, pulses: Vec<Arc<Pulse>>, timeout: Duration) -> io::Result<mpsc::Sender<()>> {
    let (signs, dropped) = mpsc::channel();
    let pause = timeout / SIGNS_A_TIMEOUT;
    let body = move || {
        while dropped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            if are_alive(&pulses, Instant::now(), pause) {
                manager.tell("WATCHDOG=1");
            }
        }
    };
    thread::Builder::new().name("systemd".into()).spawn(body)?;
    Ok(signs)
}

fn are_alive(pulses: &[Arc<Pulse>], now: Instant, late_max: Duration) -> bool {
    pulses.iter().all(|pulse| pulse.late(now) < late_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_paths_or_abstract() {
        assert_eq!(socket(OsStr::new("/run/notify")).unwrap().as_pathname().unwrap().to_str(), Some("/run/notify"));
        assert_eq!(socket(OsStr::new("@notify")).unwrap().as_abstract_name(), Some(&b"notify"[..]));
        for wrong in ["notify", "vsock:2:1", "./notify"] {
            assert!(socket(OsStr::new(wrong)).unwrap_err().to_string().contains("neither"), "{wrong}");
        }
    }

    #[test]
    fn the_watchdog_is_this_processes() {
        let timeout = |usec: Option<&str>, pid: Option<&str>| {
            watchdog_timeout(|variable| if variable == "WATCHDOG_USEC" { usec.map(String::from) } else { pid.map(String::from) }, 7)
        };
        let minute = Ok(Some(Duration::from_secs(60)));
        assert_eq!(timeout(Some("60000000"), Some("7")), minute);
        assert_eq!(timeout(Some("60000000"), None), minute);
        assert_eq!(timeout(Some("60000000"), Some("8")), Ok(None));
        assert_eq!(timeout(None, Some("7")), Ok(None));
        for wrong in ["0", "soon", "-1"] {
            assert!(timeout(Some(wrong), None).unwrap_err().contains(wrong));
        }
    }

    #[test]
    fn one_loop_that_stands_still_is_enough() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let pulses: Vec<_> = (0..2).map(|_| Arc::new(Pulse::new())).collect();
        assert!(are_alive(&pulses, start + second * 60, second), "loops that rest are expected nowhere");
        pulses.iter().for_each(|pulse| pulse.beat(start + second));
        assert!(are_alive(&pulses, start + second * 3 / 2, second));
        pulses[0].beat(start + second * 5);
        assert!(!are_alive(&pulses, start + second * 5 / 2, second));
    }
}
