//! Sockets: listening, accepting, connecting, and the connection itself.

use std::future::{Future, poll_fn};
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use socket2::SockRef;

use crate::Address;

/// A listening socket that was bound, and told to listen, outside every loop.
///
/// Binding in one place gives each loop the same backlog, SO_REUSEPORT and socket options (what is set on a listener, such as
/// TCP_NODELAY, Linux hands down to what it accepts), and makes inherited sockets possible.
#[derive(Debug)]
pub enum BoundListener {
    /// TCP over IPv4 or IPv6.
    Tcp(std::net::TcpListener),
    /// A Unix socket.
    Unix(std::os::unix::net::UnixListener),
}

impl BoundListener {
    /// The address it is bound to, with the port that the kernel chose where 0 was asked for.
    ///
    /// # Errors
    ///
    /// What `getsockname` says.
    pub fn local_addr(&self) -> io::Result<Address> {
        SockRef::from(self).local_addr()?.try_into()
    }

    /// The same socket, behind another descriptor.
    ///
    /// # Errors
    ///
    /// There is no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(listener) => Self::Tcp(listener.try_clone()?),
            Self::Unix(listener) => Self::Unix(listener.try_clone()?),
        })
    }
}

impl AsFd for BoundListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

impl From<std::net::TcpListener> for BoundListener {
    fn from(listener: std::net::TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<std::os::unix::net::UnixListener> for BoundListener {
    fn from(listener: std::os::unix::net::UnixListener) -> Self {
        Self::Unix(listener)
    }
}

impl From<BoundListener> for OwnedFd {
    fn from(listener: BoundListener) -> Self {
        match listener {
            BoundListener::Tcp(listener) => listener.into(),
            BoundListener::Unix(listener) => listener.into(),
        }
    }
}

/// A connection that was accepted outside every loop: by a thread that hands it over to a worker, or out of a backlog. Dropped, it is closed.
#[derive(Debug)]
pub struct AcceptedSocket {
    /// The stream socket, connected and close-on-exec.
    pub socket: OwnedFd,
    /// The other end.
    pub peer: Address,
}

/// Adopting a listener, or a connection that was accepted elsewhere, into the loop of the current thread.
///
/// # What an implementor can get wrong
///
/// * Leaving O_NONBLOCK as it came: readiness loops need it set, rings need it clear.
/// * Sharing one open file description between workers: some loops toggle its flags.
pub trait Listen {
    /// What accepts.
    type Listener: Listener;

    /// Takes the socket over.
    ///
    /// # Errors
    ///
    /// The loop refuses the descriptor.
    ///
    /// # Panics
    ///
    /// Outside this loop.
    fn listen(&self, listener: BoundListener) -> io::Result<Self::Listener>;

    /// Takes a connection over that was accepted elsewhere: from now on it is as if a listener of this loop had accepted it.
    ///
    /// # Errors
    ///
    /// The loop refuses the descriptor, which is then closed.
    ///
    /// # Panics
    ///
    /// Outside this loop.
    fn adopt(&self, client: AcceptedSocket) -> io::Result<<Self::Listener as Listener>::Connection>;
}

/// A listener of one worker.
///
/// # What an implementor can get wrong
///
/// An accept that is cancelled takes the next client with it (on a ring, the kernel completes it all the same). So at most one
/// accept is under way, it lives *in the listener*, and what it brings is kept for the next poll.
///
/// A listener that is dropped with an accept under way must close its port all the same, and take no more clients.
pub trait Listener: Unpin + 'static {
    /// What it accepts.
    type Connection: Connection;

    /// The next connection, in the order of arrival; `None` once [`stop`](Self::stop) was called and all that had arrived by then were
    /// handed out. An accepted TCP connection has TCP_NODELAY set when the listener has.
    ///
    /// An error concerns one attempt: the listener goes on, and the next poll tries again *at once*. Backing off is the caller's.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Self::Connection>>>;

    /// Stops listening. Clients that had connected, but were not accepted yet, are taken over and handed out by `poll_accept`; later
    /// ones are refused by the kernel. A task that waits in `poll_accept` is woken. May be called more than once.
    fn stop(&mut self);

    /// [`poll_accept`](Self::poll_accept) as a future.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no client: the next call returns it.
    fn accept(&mut self) -> impl Future<Output = Option<io::Result<Self::Connection>>> {
        poll_fn(|cx| self.poll_accept(cx))
    }
}

/// A stream socket that never leaves its worker.
///
/// The operations are shaped for completion *and* readiness. Receiving **lends** the bytes it got, for the length of one closure, from
/// a buffer of the worker or of the kernel, so that an idle connection owns no read buffer. Sending takes an **owned** buffer, which a
/// kernel may read until the operation is over, and gives it back. At most one receive and one send are under way, and both live *in the
/// connection*, not in a future: a task may poll both side by side, and whoever stops polling loses nothing.
///
/// # What an implementor can get wrong
///
/// * Re-creating the operation at each poll: on a ring it then never completes, or two of them share the bytes.
/// * Dropping with a receive under way: the kernel keeps the socket open, and the peer sees no FIN. Shut it down first.
/// * Freeing a buffer that the kernel still holds.
/// * Waking only the task that polled first: it is the *last* waker of each direction that counts.
pub trait Connection: Unpin + 'static {
    /// Receives: `lend` sees the bytes that arrived, at least one; none at all mean that the peer will send no more (FIN).
    ///
    /// `lend` is called exactly once when the answer is `Ready(Ok(_))`, and not at all otherwise. It must not keep the bytes, and it should not
    /// block: the buffer is the worker's. A call lends at most 64 KiB.
    fn poll_receive<T>(&mut self, cx: &mut Context<'_>, lend: impl FnOnce(&[u8]) -> T) -> Poll<io::Result<T>>;

    /// Starts to send all of `buf`. What can be sent at once may be sent before this returns.
    ///
    /// # Panics
    ///
    /// When a send is under way: see [`is_sending`](Self::is_sending).
    fn start_send(&mut self, buf: Vec<u8>);

    /// Waits for the send to be over, and gives the buffer back, empty, with its capacity.
    ///
    /// After an error an unknown part has been sent; the connection is of no more use but to be dropped.
    ///
    /// # Panics
    ///
    /// When no send is under way.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<(io::Result<()>, Vec<u8>)>;

    /// Whether a send was started whose buffer has not been taken back.
    fn is_sending(&self) -> bool;

    /// Shuts down one direction or both, at once. After `Write` the peer sees FIN behind all that was sent; a send under way is cut.
    ///
    /// # Errors
    ///
    /// What `shutdown(2)` says; ENOTCONN when the peer was faster.
    fn shutdown(&mut self, how: Shutdown) -> io::Result<()>;

    /// The other end.
    fn peer_addr(&self) -> &Address;

    /// This end.
    ///
    /// # Errors
    ///
    /// What `getsockname` says.
    fn local_addr(&self) -> io::Result<Address>;

    /// [`poll_receive`](Self::poll_receive) as a future.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no byte: the receive goes on in the connection, and the next one lends what it got.
    fn receive<T>(&mut self, lend: impl FnOnce(&[u8]) -> T) -> impl Future<Output = io::Result<T>> {
        let mut lend = Some(lend);
        poll_fn(move |cx| {
            // `poll_receive` calls its closure once, when it is ready, and a future is not polled after that.
            self.poll_receive(cx, |bytes| lend.take().expect("a receive lends once")(bytes))
        })
    }

    /// Sends all of `buf`, after any send that is still under way, and gives the buffer back, empty.
    ///
    /// # Cancel safety
    ///
    /// Once it has been started, the send stays in the connection when the future is dropped, and the next `send` or `poll_send` completes it: all
    /// of it arrives, once. (On a ring it also goes on by itself.) The connection keeps the buffer until then. A future that is dropped before its
    /// first poll, or while it waits for an earlier send, has sent nothing.
    fn send(&mut self, buf: Vec<u8>) -> impl Future<Output = (io::Result<()>, Vec<u8>)> {
        let mut waiting = Some(buf);
        poll_fn(move |cx| {
            if let Some(buf) = waiting.take() {
                if self.is_sending() {
                    match self.poll_send(cx) {
                        Poll::Ready((Ok(()), _)) => {}
                        Poll::Ready((Err(error), _)) => return Poll::Ready((Err(error), buf)),
                        Poll::Pending => {
                            waiting = Some(buf);
                            return Poll::Pending;
                        }
                    }
                }
                self.start_send(buf);
            }
            self.poll_send(cx)
        })
    }
}

/// Opening connections from the loop of the current thread.
///
/// # What an implementor can get wrong
///
/// * Reporting success when only the attempt was started: a refused connection is an error of `connect`.
/// * Leaving TCP_NODELAY off.
pub trait Connect {
    /// What it opens: the same type as is accepted.
    type Connection: Connection;

    /// Connects. TCP_NODELAY is set.
    ///
    /// # Errors
    ///
    /// What `connect(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up and closes its socket, at the latest when the kernel answers.
    fn connect(&self, address: &Address) -> impl Future<Output = io::Result<Self::Connection>>;
}

/// Takes all clients that wait in a listener's queue, then stops it by `shutdown(2)`: how every adapter stops.
///
/// Between the last look into the queue and the shutdown a client can slip in; the kernel resets it before it has sent anything that we
/// answered, and its library connects elsewhere.
///
/// The accepted descriptors are blocking, close-on-exec; the listener is left non-blocking.
pub fn drain_backlog(listener: BorrowedFd<'_>) -> Vec<AcceptedSocket> {
    let clients = take_backlog(listener);
    // ENOTCONN says that it is stopped already.
    let _ = SockRef::from(&listener).shutdown(Shutdown::Both);
    clients
}

/// As [`drain_backlog`], but leaves the socket as it is: for one that others hold too, who go on listening.
pub fn take_backlog(listener: BorrowedFd<'_>) -> Vec<AcceptedSocket> {
    let mut clients = Vec::new();
    if SockRef::from(&listener).set_nonblocking(true).is_ok() {
        loop {
            match accept_now(listener) {
                Ok(client) => clients.push(client),
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {}
                Err(_) => break,
            }
        }
    }
    clients
}

/// Accepts a client on a listener that does not block: outside every loop, to be [adopted](Listen::adopt) by one.
///
/// # Errors
///
/// What `accept4(2)` says; [`WouldBlock`](io::ErrorKind::WouldBlock) when no client waits.
pub fn accept_now(listener: BorrowedFd<'_>) -> io::Result<AcceptedSocket> {
    let (client, peer) = SockRef::from(&listener).accept()?;
    Ok(AcceptedSocket { socket: client.into(), peer: peer.try_into()? })
}
