//! The ambient connection: [`connect`] opens whatever the current loop's sockets are, with their type erased.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::task::{Context, Poll};

use crate::ambient::current;
use crate::{Address, Connection};

/// [`Connection`] with its type erased.
pub(crate) trait ErasedConnection {
    /// Calls `lend` exactly once when it is ready with `Ok`.
    fn poll_receive(&mut self, cx: &mut Context<'_>, lend: &mut dyn FnMut(&[u8])) -> Poll<io::Result<()>>;
    fn start_send(&mut self, buf: Vec<u8>);
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<(io::Result<()>, Vec<u8>)>;
    fn is_sending(&self) -> bool;
    fn shutdown(&mut self, how: Shutdown) -> io::Result<()>;
    fn peer_addr(&self) -> &Address;
    fn local_addr(&self) -> io::Result<Address>;
}

impl<C: Connection> ErasedConnection for C {
    fn poll_receive(&mut self, cx: &mut Context<'_>, lend: &mut dyn FnMut(&[u8])) -> Poll<io::Result<()>> {
        Connection::poll_receive(self, cx, lend)
    }

    fn start_send(&mut self, buf: Vec<u8>) {
        Connection::start_send(self, buf);
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<(io::Result<()>, Vec<u8>)> {
        Connection::poll_send(self, cx)
    }

    fn is_sending(&self) -> bool {
        Connection::is_sending(self)
    }

    fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        Connection::shutdown(self, how)
    }

    fn peer_addr(&self) -> &Address {
        Connection::peer_addr(self)
    }

    fn local_addr(&self) -> io::Result<Address> {
        Connection::local_addr(self)
    }
}

/// A [`Connection`] of whichever loop runs the thread, for code that is generic over none: see [`connect`]. It costs a virtual call an operation.
pub struct AnyConnection {
    connection: Box<dyn ErasedConnection>,
}

impl AnyConnection {
    pub(crate) fn new(connection: impl Connection) -> Self {
        Self { connection: Box::new(connection) }
    }
}

/// Connects, from the loop that runs this thread: [`Connect::connect`](crate::Connect::connect). TCP_NODELAY is set.
///
/// # Errors
///
/// What `connect(2)` says.
///
/// # Panics
///
/// Outside a loop.
///
/// # Cancel safety
///
/// Dropping the future gives the attempt up.
pub async fn connect(address: &Address) -> io::Result<AnyConnection> {
    let current = current("connect");
    current.connect(address).await
}

impl Connection for AnyConnection {
    fn poll_receive<T>(&mut self, cx: &mut Context<'_>, lend: impl FnOnce(&[u8]) -> T) -> Poll<io::Result<T>> {
        let mut lend = Some(lend);
        let mut lent = None;
        let polled = self.connection.poll_receive(cx, &mut |bytes| {
            let lend = lend.take().expect("a receive lends once");
            lent = Some(lend(bytes));
        });
        polled.map(|result| result.map(|()| lent.expect("a receive that is done has lent")))
    }

    fn start_send(&mut self, buf: Vec<u8>) {
        self.connection.start_send(buf);
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<(io::Result<()>, Vec<u8>)> {
        self.connection.poll_send(cx)
    }

    fn is_sending(&self) -> bool {
        self.connection.is_sending()
    }

    fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        self.connection.shutdown(how)
    }

    fn peer_addr(&self) -> &Address {
        self.connection.peer_addr()
    }

    fn local_addr(&self) -> io::Result<Address> {
        self.connection.local_addr()
    }
}

impl fmt::Debug for AnyConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyConnection").field("peer_addr", Connection::peer_addr(self)).finish_non_exhaustive()
    }
}
