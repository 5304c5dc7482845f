//! Sockets that came with the process, by their numbers: checked before anything is accepted from them.

use std::io;
use std::os::fd::{OwnedFd, RawFd};

use loopswap_rt::{BoundListener, take_inherited};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use crate::Error;

/// Takes the socket with this number over. `label` is what the caller called it.
///
/// # Errors
///
/// It is none that a server can accept from: what is wrong with it, and what to do.
pub(super) fn take(number: RawFd, label: &str) -> Result<BoundListener, Error> {
    let refused = |why: String| Error::usage(format!("cannot listen on {label}: {why}"));
    let taken = take_inherited(number).map_err(|error| {
        refused(if error.raw_os_error() == Some(Errno::BADF.raw_os_error()) {
            "it was not inherited: nothing is open there; whoever starts this process must leave the socket open, and not close-on-exec"
                .into()
        } else {
            error.to_string()
        })
    })?;
    listener(taken).map_err(refused)
}

/// The listener that a descriptor is.
fn listener(fd: OwnedFd) -> Result<BoundListener, String> {
    let socket = Socket::from(fd);
    let unknown = |error: io::Error| match Errno::from_io_error(&error) {
        Some(Errno::NOTSOCK) => "it is no socket".into(),
        _ => format!("what it is cannot be found out: {error}"),
    };
    let (kind, domain) = (socket.r#type().map_err(unknown)?, socket.domain().map_err(unknown)?);
    if kind != Type::STREAM {
        return Err("it is no stream socket; systemd makes one by ListenStream=".into());
    }
    if !socket.is_listener().map_err(unknown)? {
        return Err("it does not listen; call listen(2) on it before it is handed down, or, with systemd, set Accept=no".into());
    }
    match domain {
        Domain::IPV4 | Domain::IPV6 => Ok(BoundListener::Tcp(socket.into())),
        Domain::UNIX => Ok(BoundListener::Unix(socket.into())),
        _ => Err("it is neither a TCP nor a Unix socket".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn what_cannot_be_accepted_from_is_told_apart() {
        let why = |fd: OwnedFd| listener(fd).unwrap_err();
        assert_eq!(why(File::open("/dev/null").unwrap().into()), "it is no socket");
        assert!(why(UdpSocket::bind("127.0.0.1:0").unwrap().into()).contains("no stream socket"));
        assert!(why(UnixStream::pair().unwrap().0.into()).contains("does not listen"));
        assert!(matches!(listener(TcpListener::bind("[::1]:0").unwrap().into()), Ok(BoundListener::Tcp(_))));
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(listener(UnixListener::bind(folder.path().join("socket")).unwrap().into()), Ok(BoundListener::Unix(_))));
    }

    #[test]
    fn what_was_not_inherited_is_refused() {
        let error = take(RawFd::MAX, "fd:2147483647").unwrap_err();
        assert!(error.to_string().starts_with("cannot listen on fd:2147483647: it was not inherited: nothing is open"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
