//! Descriptors that came with the process, which its caller names by their numbers: sockets of systemd, or of a program that starts its successor.
#![allow(unsafe_code, reason = "a descriptor by its number is what the operating system hands down; that it is nobody's is checked")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Behind the standard streams.
const FIRST: RawFd = 3;

/// Takes a descriptor over that this process inherited, and marks it close-on-exec, so that it is nobody else's and nobody's child's.
///
/// A descriptor that is close-on-exec cannot have been inherited, since it would have been closed on the way. It is refused: it belongs to somebody in this
/// process, or was taken before.
///
/// # Errors
///
/// The number is less than 3, which the standard streams have; nothing is open there (EBADF); or what is open there was not inherited.
pub fn take_inherited(number: RawFd) -> io::Result<OwnedFd> {
    if number < FIRST {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "0, 1 and 2 are the standard streams"));
    }
    // SAFETY: the number is not negative. Whether anything is open there is what the call on it tells; nothing is done with it that would harm its owner.
    let flags = fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) })?;
    if flags.contains(FdFlags::CLOEXEC) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it was not inherited: this process has opened it itself, or has taken it already",
        ));
    }
    // SAFETY: it is open, and came with the process: what a Rust program opens is close-on-exec. So nobody owns it, and nobody will, by the mark below.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(fd.as_fd(), flags | FdFlags::CLOEXEC)?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, IntoRawFd};
    use std::os::unix::net::UnixStream;

    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_was_inherited_is_taken_once() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        let own = socket.as_raw_fd();
        assert!(take_inherited(own).unwrap_err().to_string().contains("was not inherited"));
        // As it would be behind an exec.
        fcntl_setfd(&socket, FdFlags::empty()).unwrap();
        let number = socket.into_raw_fd();
        let taken = take_inherited(number).unwrap();
        assert_eq!(taken.as_raw_fd(), number);
        assert!(fcntl_getfd(&taken).unwrap().contains(FdFlags::CLOEXEC));
        assert!(take_inherited(number).is_err(), "it has been taken");
    }

    #[test]
    fn neither_the_standard_streams_nor_nothing() {
        for number in [-1, 0, 2] {
            assert_eq!(take_inherited(number).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{number}");
        }
        assert_eq!(take_inherited(RawFd::MAX).unwrap_err().raw_os_error(), Some(Errno::BADF.raw_os_error()));
    }
}
