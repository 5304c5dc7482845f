//! Sockets: glommio's own, read and written without waiting, and polled on the ring while they are not ready.
//!
//! glommio's TCP types serve Unix sockets too, on which they make the same system calls; its Unix types cannot adopt a listener and hide their
//! descriptors.
#![allow(unsafe_code, reason = "glommio's sockets are adopted from raw descriptors, and lend only those")]

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use glommio::net::{TcpListener, TcpStream};
use loopswap_rt::{AcceptedSocket, Address, BoundListener, Connect, Connection as _, Listen, drain_backlog, with_scratch};
use rustix::io::{FdFlags, fcntl_setfd, retry_on_intr};
use rustix::net::{SendFlags, send};
use socket2::{SockAddr, SockRef, Socket, Type};

use crate::Glommio;
use crate::start::io_error;
use crate::tasks::Unabandoned;

impl Listen for Glommio {
    type Listener = Listener;

    fn listen(&self, listener: BoundListener) -> io::Result<Listener> {
        // The ring's accept answers EAGAIN on a socket that is not blocking.
        SockRef::from(&listener).set_nonblocking(false)?;
        let fd = OwnedFd::from(listener);
        let kept = fd.try_clone()?;
        // SAFETY: the descriptor is open, and handed over.
        let socket = Rc::new(unsafe { TcpListener::from_raw_fd(fd.into_raw_fd()) });
        Ok(Listener { socket, fd: kept, armed: None, stopped: None })
    }

    fn adopt(&self, client: AcceptedSocket) -> io::Result<Connection> {
        // It receives and sends without waiting, whatever O_NONBLOCK says.
        Ok(Connection::adopt(client))
    }
}

/// A listener on glommio.
pub struct Listener {
    socket: Rc<TcpListener>,
    /// Another descriptor of the socket: glommio does not lend its own.
    fd: OwnedFd,
    /// The accept under way. It is never cancelled: the kernel would take the next client for nobody.
    armed: Option<Unabandoned<io::Result<TcpStream>>>,
    /// Set by `stop`: what had arrived by then, less what the armed accept brings.
    stopped: Option<VecDeque<AcceptedSocket>>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("socket", &self.socket).field("stopped", &self.stopped).finish_non_exhaustive()
    }
}

impl loopswap_rt::Listener for Listener {
    type Connection = Connection;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Connection>>> {
        if self.armed.is_none() && self.stopped.is_none() {
            let socket = Rc::clone(&self.socket);
            self.armed = Some(Unabandoned::new(async move { socket.accept().await.map_err(io_error) }));
        }
        if let Some(armed) = &mut self.armed {
            let accepted = ready!(Pin::new(armed).poll(cx));
            self.armed = None;
            match accepted {
                Ok(client) => return Poll::Ready(Some(Connection::accepted(client))),
                Err(error) if self.stopped.is_none() => return Poll::Ready(Some(Err(error))),
                // That is how it learns of the stop.
                Err(_) => {}
            }
        }
        let arrived = self.stopped.as_mut().and_then(VecDeque::pop_front);
        Poll::Ready(arrived.map(|client| Ok(Connection::adopt(client))))
    }

    fn stop(&mut self) {
        if self.stopped.is_none() {
            self.stopped = Some(drain_backlog(self.fd.as_fd()).into());
        }
    }
}

/// The armed accept ends, at once, when the socket is shut down; a client that it brought is closed.
impl Drop for Listener {
    fn drop(&mut self) {
        if self.armed.is_some() {
            let _ = SockRef::from(&self.fd).shutdown(Shutdown::Both);
        }
    }
}

/// A connection on glommio.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    peer: Address,
    send: Option<Send>,
}

/// A send under way: `done` bytes of `buf` have been sent, or sending has failed.
#[derive(Debug)]
struct Send {
    buf: Vec<u8>,
    done: usize,
    error: Option<io::Error>,
}

impl Connection {
    fn new(stream: TcpStream, peer: Address) -> Self {
        Self { stream, peer, send: None }
    }

    fn accepted(client: TcpStream) -> io::Result<Self> {
        let mut connection = Self::new(client, Address::Unix(None));
        fcntl_setfd(connection.as_fd(), FdFlags::CLOEXEC)?;
        connection.peer = SockRef::from(&connection.as_fd()).peer_addr()?.try_into()?;
        Ok(connection)
    }

    fn adopt(client: AcceptedSocket) -> Self {
        let AcceptedSocket { socket, peer } = client;
        // SAFETY: the descriptor is open, and handed over.
        Self::new(unsafe { TcpStream::from_raw_fd(socket.into_raw_fd()) }, peer)
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the stream keeps its descriptor open for as long as it is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.stream.as_raw_fd()) }
    }
}

impl loopswap_rt::Connection for Connection {
    fn poll_receive<T>(&mut self, cx: &mut Context<'_>, lend: impl FnOnce(&[u8]) -> T) -> Poll<io::Result<T>> {
        with_scratch(|scratch| {
            let n = ready!(Pin::new(&mut self.stream).poll_read(cx, scratch))?;
            Poll::Ready(Ok(lend(&scratch[..n])))
        })
    }

    fn start_send(&mut self, buf: Vec<u8>) {
        assert!(self.send.is_none(), "one send at a time: poll_send gives the buffer back first");
        let (done, error) = match retry_on_intr(|| send(self.as_fd(), &buf, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)) {
            Ok(n) => (n, None),
            Err(rustix::io::Errno::AGAIN) => (0, None),
            Err(error) => (0, Some(error.into())),
        };
        self.send = Some(Send { buf, done, error });
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<(io::Result<()>, Vec<u8>)> {
        let send = self.send.as_mut().expect("start_send comes first");
        let mut result = send.error.take().map_or(Ok(()), Err);
        while result.is_ok() && send.done < send.buf.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &send.buf[send.done..])) {
                Ok(0) => result = Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => send.done += n,
                Err(error) => result = Err(error),
            }
        }
        let mut buf = self.send.take().map(|send| send.buf).unwrap_or_default();
        buf.clear();
        Poll::Ready((result, buf))
    }

    fn is_sending(&self) -> bool {
        self.send.is_some()
    }

    fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        SockRef::from(&self.as_fd()).shutdown(how)
    }

    fn peer_addr(&self) -> &Address {
        &self.peer
    }

    fn local_addr(&self) -> io::Result<Address> {
        SockRef::from(&self.as_fd()).local_addr()?.try_into()
    }
}

/// Closed at once, whatever is under way: the poll on the ring would keep the socket open, and the peer without FIN.
impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Connect for Glommio {
    type Connection = Connection;

    async fn connect(&self, address: &Address) -> io::Result<Connection> {
        match address {
            Address::Tcp(tcp) => {
                let stream = TcpStream::connect(tcp).await.map_err(io_error)?;
                stream.set_nodelay(true).map_err(io_error)?;
                Ok(Connection::new(stream, address.clone()))
            }
            Address::Unix(_) => {
                // It waits for nothing but a full backlog.
                let to = SockAddr::try_from(address)?;
                let socket = loopswap_rt::offload(move || -> io::Result<OwnedFd> {
                    let socket = Socket::new(to.domain(), Type::STREAM, None)?;
                    socket.connect(&to)?;
                    Ok(socket.into())
                });
                Ok(Connection::adopt(AcceptedSocket { socket: socket.await?, peer: address.clone() }))
            }
        }
    }
}
