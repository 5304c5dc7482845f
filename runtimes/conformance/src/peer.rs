//! The other side of the wire: blocking sockets on threads of their own, which share nothing with the loop under test.

use std::future::Future;
use std::io::{self, Read};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::net::UnixListener;
use std::panic::resume_unwind;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread::{self, JoinHandle};

use loopswap_rt::{Address, BoundListener, Connection, Listen, Listener, Runtime};
use socket2::{SockAddr, Socket, Type};

use crate::support::{BOUND, Signal, within};

/// The connections that a loop accepts.
pub(crate) type Accepted<R> = <<R as Listen>::Listener as Listener>::Connection;

/// A thread, and a future of its value. Its panic is passed on to whoever awaits it.
pub(crate) struct Peer<T> {
    ended: Signal,
    thread: Option<JoinHandle<T>>,
}

/// Starts a thread. What it does must be bounded in time by itself.
pub(crate) fn peer<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Peer<T> {
    struct Ending(Signal);
    impl Drop for Ending {
        fn drop(&mut self) {
            self.0.raise();
        }
    }

    let ended = Signal::default();
    let ending = Ending(ended.clone());
    let thread = thread::Builder::new().name("peer".into()).spawn(move || {
        let _ending = ending;
        f()
    });
    Peer { ended, thread: Some(thread.expect("a thread can be started")) }
}

impl<T> Future for Peer<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        ready!(self.ended.poll_wait(cx));
        let thread = self.thread.take().expect("a future is not polled after its end");
        Poll::Ready(thread.join().unwrap_or_else(|payload| resume_unwind(payload)))
    }
}

/// A listener on 127.0.0.1.
pub(crate) fn tcp() -> BoundListener {
    BoundListener::Tcp(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
}

/// A listener on `[::1]`.
pub(crate) fn tcp6() -> BoundListener {
    BoundListener::Tcp(TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap())
}

/// A listener on a Unix socket in `directory`.
pub(crate) fn unix(directory: &Path) -> BoundListener {
    BoundListener::Unix(UnixListener::bind(directory.join("socket")).unwrap())
}

/// What a peer that does not read takes at most, before the kernel doubles it.
const RECEIVE_BUFFER_BYTES: usize = 256 * 1024;

/// A blocking socket, connected to `address`. On the loopback that takes no accept: the listener's queue is enough.
pub(crate) fn dial(address: &Address) -> Socket {
    try_dial(address).unwrap_or_else(|error| panic!("{address} cannot be reached: {error}"))
}

/// [`dial`], which may fail.
pub(crate) fn try_dial(address: &Address) -> io::Result<Socket> {
    let address = SockAddr::try_from(address)?;
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    socket.set_read_timeout(Some(BOUND))?;
    socket.set_write_timeout(Some(BOUND))?;
    // Said before it is connected, it stays so. Left to the kernel it grows with a fast sender, as far as tcp_rmem lets it, and no send is too big to be over at once.
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.connect_timeout(&address, BOUND)?;
    Ok(socket)
}

/// Reads `n` bytes.
pub(crate) fn read_exact(mut socket: &Socket, n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    socket.read_exact(&mut bytes).unwrap();
    bytes
}

/// Reads up to the end.
pub(crate) fn read_to_end(mut socket: &Socket) -> Vec<u8> {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Closes the socket by a reset.
pub(crate) fn reset(socket: Socket) {
    socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
}

/// The next client of `listener`.
pub(crate) async fn accept<L: Listener>(listener: &mut L) -> L::Connection {
    within("the next client", listener.accept()).await.expect("the listener was not stopped").expect("the accept succeeds")
}

/// A connection that the loop accepted over TCP, and its other end.
pub(crate) async fn pair<R: Runtime>(rt: &R) -> (Accepted<R>, Socket) {
    let bound = tcp();
    let socket = dial(&bound.local_addr().unwrap());
    (accept(&mut rt.listen(bound).unwrap()).await, socket)
}

/// Receives `n` bytes, and no more.
pub(crate) async fn receive_exact(connection: &mut impl Connection, n: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(n);
    while bytes.len() < n {
        let lent = within("bytes", connection.receive(|lent| extend(&mut bytes, lent))).await.unwrap();
        assert_ne!(lent, 0, "the end came after {} bytes of {n}", bytes.len());
    }
    assert_eq!(bytes.len(), n, "more came than was sent");
    bytes
}

/// Receives up to the end.
pub(crate) async fn receive_to_end(connection: &mut impl Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while within("bytes or the end", connection.receive(|lent| extend(&mut bytes, lent))).await.unwrap() > 0 {}
    bytes
}

/// Sends all of `bytes`, and looks at what comes back.
pub(crate) async fn send(connection: &mut impl Connection, bytes: Vec<u8>) {
    let (result, buf) = within("the end of a send", connection.send(bytes)).await;
    result.unwrap();
    assert!(buf.is_empty(), "the buffer comes back empty");
}

fn extend(bytes: &mut Vec<u8>, lent: &[u8]) -> usize {
    bytes.extend_from_slice(lent);
    lent.len()
}
