//! Binding: outside the loops, once a worker, the same socket for every loop.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use loopswap_rt::{Address, BoundListener};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::{Error, ErrorKind};

/// Connections that wait to be accepted, for each worker; the kernel caps it at net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// A listener on io_uring outlives its process by about 10 ms: an address in use is tried again for this long.
const IN_USE_RETRY: Duration = Duration::from_millis(250);

/// Binds `address` once for each of `n` workers. With more than one, the kernel spreads connections over them (SO_REUSEPORT).
///
/// A Unix socket, which cannot be shared so, is bound once; the builder sees to it that there is one worker.
///
/// TCP_NODELAY is set on the listeners: what they accept inherits it.
///
/// # Errors
///
/// The address is in use, by whomever, or cannot be bound.
pub(crate) fn bind(address: &Address, n: usize) -> Result<Vec<BoundListener>, Error> {
    let is_unix = matches!(address, Address::Unix(_));
    let failed = |error: io::Error| {
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse if is_unix => "; someone listens there, or it is no socket: choose another path",
            io::ErrorKind::NotFound if is_unix => "; make its folder first",
            io::ErrorKind::PermissionDenied if is_unix => "; choose a folder that this user may write to",
            io::ErrorKind::AddrInUse => "; stop who listens there (ss -ltnp shows it), or choose another port",
            io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE",
            io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
            _ => "",
        };
        Error::new(ErrorKind::Bind, format!("cannot listen on {address}: {error}{remedy}")).with_source(error)
    };
    match address {
        Address::Tcp(_) => bind_tcp(address, n).map_err(failed),
        Address::Unix(_) => bind_unix(address).map(|listener| vec![listener]).map_err(failed),
    }
}

fn bind_tcp(address: &Address, n: usize) -> io::Result<Vec<BoundListener>> {
    // SO_REUSEPORT would let us join whoever listens there with it, and share the clients with them. A socket without it finds them.
    let alone = until_free(|| tcp_socket(&SockAddr::try_from(address)?, false))?;
    if n == 1 {
        return Ok(vec![listening(alone)?]);
    }
    let chosen = alone.local_addr()?;
    drop(alone);
    (0..n).map(|_| listening(until_free(|| tcp_socket(&chosen, true))?)).collect()
}

fn tcp_socket(address: &SockAddr, share_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    if address.domain() == Domain::IPV6 {
        socket.set_only_v6(false)?;
    }
    // Sockets in TIME_WAIT do not count; one that listens does.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share_port)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn listening(socket: Socket) -> io::Result<BoundListener> {
    socket.listen(BACKLOG)?;
    Ok(BoundListener::Tcp(socket.into()))
}

/// A socket's file outlives its server. One on which nobody listens any more is replaced.
fn bind_unix(address: &Address) -> io::Result<BoundListener> {
    let name = SockAddr::try_from(address)?;
    let socket = until_free(|| {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        match socket.bind(&name) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && remove_stale(address)? => socket.bind(&name)?,
            bound => bound?,
        }
        Ok(socket)
    })?;
    socket.listen(BACKLOG)?;
    Ok(BoundListener::Unix(socket.into()))
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

fn until_free<T>(mut bind: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let give_up = Instant::now() + IN_USE_RETRY;
    loop {
        match bind() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < give_up => thread::sleep(Duration::from_millis(5)),
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;

    #[test]
    fn every_worker_gets_a_socket_on_the_same_port_that_hands_down_nodelay() {
        for n in [1, 3] {
            let listeners = bind(&"127.0.0.1:0".parse().unwrap(), n).unwrap();
            assert_eq!(listeners.len(), n);
            let address = listeners[0].local_addr().unwrap();
            for listener in &listeners {
                assert_eq!(listener.local_addr().unwrap(), address);
                assert!(SockRef::from(listener).tcp_nodelay().unwrap());
                assert_eq!(SockRef::from(listener).reuse_port().unwrap(), n > 1);
            }
        }
    }

    #[test]
    fn all_addresses_means_both_families() {
        let listeners = bind(&"[::]:0".parse().unwrap(), 1).unwrap();
        let port = listeners[0].local_addr().unwrap().as_tcp().unwrap().port();
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    #[test]
    fn a_unix_socket_of_a_server_that_is_gone_is_replaced_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let address = |name: &str| Address::Unix(Some(folder.path().join(name)));
        let first = bind(&address("socket"), 1).unwrap();
        assert_eq!(bind(&address("socket"), 1).unwrap_err().kind(), ErrorKind::Bind, "its server is there");
        drop(first);
        drop(bind(&address("socket"), 1).unwrap());
        fs::write(folder.path().join("file"), "kept").unwrap();
        let error = bind(&address("file"), 1).unwrap_err();
        assert!(error.to_string().ends_with("choose another path"), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), "kept");
    }

    #[test]
    fn an_address_in_use_is_told_after_a_while() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::from(taken.local_addr().unwrap());
        let start = Instant::now();
        let error = bind(&address, 2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Bind);
        assert!(start.elapsed() >= IN_USE_RETRY, "a listener of a process that has just ended goes away by itself");
    }
}
