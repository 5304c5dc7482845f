//! Unix sockets, and their files: one that a server has left behind is replaced, one's own is removed at the end.

use std::fs::{self, Metadata};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::{self, PathBuf};

use loopswap_rt::{Address, BoundListener};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::server::listen::BACKLOG;
use crate::server::listen::tcp::until_free;

/// The file of a socket that we have bound. Dropped, it is removed, unless it is another's by then.
#[derive(Debug)]
pub(in crate::server) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
    /// The socket itself. As long as it is open, no other file gets the inode's number.
    _socket: OwnedFd,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|file| inode(&file) == self.inode)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!("the socket's file {} is left behind: {error}", self.path.display());
        }
    }
}

fn inode(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Binds a socket, and listens. A socket's file outlives its server: one on which nobody listens any more is replaced.
pub(super) fn bind(address: &Address) -> io::Result<(BoundListener, Option<SocketFile>)> {
    let name = SockAddr::try_from(address)?;
    let socket = until_free(|| {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        match socket.bind(&name) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && remove_stale(address)? => socket.bind(&name)?,
            bound => bound?,
        }
        Ok(socket)
    })?;
    let file = match address {
        Address::Unix(Some(path)) => {
            let inode = inode(&fs::symlink_metadata(path)?);
            // The process may go elsewhere before the end.
            Some(SocketFile { path: path::absolute(path)?, inode, _socket: socket.as_fd().try_clone_to_owned()? })
        }
        _ => None,
    };
    socket.listen(BACKLOG)?;
    Ok((BoundListener::Unix(socket.into()), file))
}

/// Removes a socket's file that no server has. Whether it did; other files are left alone.
fn remove_stale(address: &Address) -> io::Result<bool> {
    let Address::Unix(Some(path)) = address else { return Ok(false) };
    let is_stale = fs::symlink_metadata(path)?.file_type().is_socket()
        && UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    if is_stale {
        fs::remove_file(path)?;
    }
    Ok(is_stale)
}

#[cfg(test)]
mod tests {
    use std::mem;

    use super::*;

    #[test]
    fn a_socket_of_a_server_that_is_gone_is_replaced_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let address = |name: &str| Address::Unix(Some(folder.path().join(name)));
        let (first, file) = bind(&address("socket")).unwrap();
        assert_eq!(bind(&address("socket")).unwrap_err().kind(), io::ErrorKind::AddrInUse, "its server is there");
        drop(first);
        // It was killed: the socket is closed, and the file is left.
        let mut file = file.unwrap();
        file.inode = (0, 0);
        drop(file);
        assert!(folder.path().join("socket").exists());
        drop(bind(&address("socket")).unwrap());
        fs::write(folder.path().join("file"), "kept").unwrap();
        let error = bind(&address("file")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
        assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), "kept");
    }

    #[test]
    fn ones_own_file_is_removed_and_anothers_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let address = Address::Unix(Some(path.clone()));
        drop(bind(&address).unwrap());
        assert!(!path.exists());
        // As when a second server has started while the first drains: its listener is closed, its file not yet removed.
        let (listener, first) = bind(&address).unwrap();
        socket2::SockRef::from(&listener).shutdown(std::net::Shutdown::Both).unwrap();
        drop(listener);
        let second = bind(&address).unwrap();
        drop(first);
        assert!(path.exists(), "it is the second one's");
        mem::drop(second);
        assert!(!path.exists());
    }
}
