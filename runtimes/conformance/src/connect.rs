//! Opening connections, and what a connection knows of itself: addresses, TCP_NODELAY, close-on-exec.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use loopswap_rt::{Address, BoundListener, Connection, Runtime};
use socket2::SockRef;
use tempfile::tempdir;

use crate::descriptors;
use crate::peer::{accept, dial, tcp, tcp6, unix};
use crate::support::within;

/// An accepted connection knows both its ends.
pub async fn addresses_when_accepted<R: Runtime>(rt: R) {
    for bound in [tcp(), tcp6()] {
        let address = bound.local_addr().unwrap();
        let socket = dial(&address);
        let connection = accept(&mut rt.listen(bound).unwrap()).await;
        assert_eq!(connection.peer_addr(), &Address::try_from(socket.local_addr().unwrap()).unwrap());
        assert_eq!(connection.local_addr().unwrap(), address);
    }
    let directory = tempdir().unwrap();
    let bound = unix(directory.path());
    let address = bound.local_addr().unwrap();
    let _socket = dial(&address);
    let connection = accept(&mut rt.listen(bound).unwrap()).await;
    assert_eq!(connection.peer_addr(), &Address::Unix(None), "clients' ends have no name");
    assert_eq!(connection.local_addr().unwrap(), address);
}

/// So does one that the loop opened.
pub async fn addresses_when_connected<R: Runtime>(rt: R) {
    for bound in [tcp(), tcp6()] {
        let address = bound.local_addr().unwrap();
        let connection = rt.connect(&address).await.unwrap();
        let BoundListener::Tcp(listener) = bound else { unreachable!("tcp() and tcp6() are TCP") };
        let (_socket, client) = listener.accept().unwrap();
        assert_eq!(connection.peer_addr(), &address);
        assert_eq!(connection.local_addr().unwrap(), Address::Tcp(client));
    }
    let directory = tempdir().unwrap();
    let bound = unix(directory.path());
    let address = bound.local_addr().unwrap();
    let connection = rt.connect(&address).await.unwrap();
    assert_eq!(connection.peer_addr(), &address);
    assert_eq!(connection.local_addr().unwrap(), Address::Unix(None));
}

/// TCP_NODELAY is set on what the loop opens.
pub async fn nodelay_when_connected<R: Runtime>(rt: R) {
    let bound = tcp();
    let connection = rt.connect(&bound.local_addr().unwrap()).await.unwrap();
    assert!(nodelay(&connection));
}

/// What is accepted has TCP_NODELAY when the listener has it, and not otherwise.
pub async fn nodelay_as_the_listener_has_it<R: Runtime>(rt: R) {
    for wanted in [true, false] {
        let bound = tcp();
        SockRef::from(&bound).set_tcp_nodelay(wanted).unwrap();
        let _socket = dial(&bound.local_addr().unwrap());
        let connection = accept(&mut rt.listen(bound).unwrap()).await;
        assert_eq!(nodelay(&connection), wanted);
    }
}

fn nodelay(connection: &impl Connection) -> bool {
    let socket = descriptors::socket(&connection.local_addr().unwrap(), connection.peer_addr());
    SockRef::from(&socket).tcp_nodelay().unwrap()
}

/// No socket of the loop is inherited by the programs that the process starts.
pub async fn sockets_are_close_on_exec<R: Runtime>(rt: R) {
    let bound = tcp();
    let address = bound.local_addr().unwrap();
    let mut listener = rt.listen(bound).unwrap();
    let _connected = rt.connect(&address).await.unwrap();
    let _accepted = accept(&mut listener).await;
    let answers = descriptors::close_on_exec(|link| link.starts_with("socket:"));
    assert!(answers.len() >= 3, "the listener and two connections are open");
    assert!(answers.iter().all(|close_on_exec| *close_on_exec), "{answers:?}");
}

/// A port where nobody listens is an error of `connect` itself.
pub async fn refused<R: Runtime>(rt: R) {
    // Bound, so that nobody else takes it, and not listening.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().try_into().unwrap();
    assert_eq!(error(&rt, &address).await, ErrorKind::ConnectionRefused);
}

/// So is a path where nobody listens, a path where nothing is, and no path at all.
pub async fn refused_by_a_dead_unix_socket<R: Runtime>(rt: R) {
    let directory = tempdir().unwrap();
    let bound = unix(directory.path());
    let address = bound.local_addr().unwrap();
    drop(bound);
    assert_eq!(error(&rt, &address).await, ErrorKind::ConnectionRefused);
    assert_eq!(error(&rt, &Address::Unix(Some(directory.path().join("missing")))).await, ErrorKind::NotFound);
    assert_eq!(error(&rt, &Address::Unix(None)).await, ErrorKind::InvalidInput);
    let too_long = PathBuf::from("/tmp").join("x".repeat(200));
    assert_eq!(error(&rt, &Address::Unix(Some(too_long))).await, ErrorKind::InvalidInput);
}

async fn error<R: Runtime>(rt: &R, address: &Address) -> ErrorKind {
    match within("an answer", rt.connect(address)).await {
        Ok(_) => panic!("nobody listens at {address}"),
        Err(error) => error.kind(),
    }
}
