//! Sockets: tokio's own, read and written when epoll says that they are ready.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use loopswap_rt::{AcceptedSocket, Address, BoundListener, Connect, Connection as _, Listen, drain_backlog, with_scratch};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::Tokio;

impl Listen for Tokio {
    type Listener = Listener;

    fn listen(&self, listener: BoundListener) -> io::Result<Listener> {
        SockRef::from(&listener).set_nonblocking(true)?;
        let socket = match listener {
            BoundListener::Tcp(listener) => Accepting::Tcp(TcpListener::from_std(listener)?),
            BoundListener::Unix(listener) => Accepting::Unix(UnixListener::from_std(listener)?),
        };
        Ok(Listener { socket, stopped: None })
    }

    fn adopt(&self, client: AcceptedSocket) -> io::Result<Connection> {
        Connection::adopt(client)
    }
}

/// A listener on tokio.
#[derive(Debug)]
pub struct Listener {
    socket: Accepting,
    /// Set by `stop`: what had arrived by then.
    stopped: Option<VecDeque<AcceptedSocket>>,
}

#[derive(Debug)]
enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Accepting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

impl loopswap_rt::Listener for Listener {
    type Connection = Connection;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Connection>>> {
        if let Some(arrived) = &mut self.stopped {
            return Poll::Ready(arrived.pop_front().map(Connection::adopt));
        }
        Poll::Ready(Some(match &self.socket {
            Accepting::Tcp(listener) => {
                ready!(listener.poll_accept(cx)).map(|(client, peer)| Connection::new(Stream::Tcp(client), peer.into()))
            }
            Accepting::Unix(listener) => ready!(listener.poll_accept(cx)).map(|(client, peer)| {
                let peer = Address::Unix(peer.as_pathname().map(Into::into));
                Connection::new(Stream::Unix(client), peer)
            }),
        }))
    }

    fn stop(&mut self) {
        if self.stopped.is_none() {
            self.stopped = Some(drain_backlog(self.socket.as_fd()).into());
        }
    }
}

/// A connection on tokio.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    peer: Address,
    send: Option<Send>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A send under way: `done` bytes of `buf` have been sent, or sending has failed.
#[derive(Debug)]
struct Send {
    buf: Vec<u8>,
    done: usize,
    error: Option<io::Error>,
}

impl Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(buf),
            Self::Unix(stream) => stream.try_write(buf),
        }
    }
}

impl Connection {
    fn new(stream: Stream, peer: Address) -> Self {
        Self { stream, peer, send: None }
    }

    fn adopt(client: AcceptedSocket) -> io::Result<Self> {
        let AcceptedSocket { socket, peer } = client;
        SockRef::from(&socket).set_nonblocking(true)?;
        let stream = match peer {
            Address::Tcp(_) => Stream::Tcp(TcpStream::from_std(socket.into())?),
            Address::Unix(_) => Stream::Unix(UnixStream::from_std(socket.into())?),
        };
        Ok(Self::new(stream, peer))
    }
}

impl loopswap_rt::Connection for Connection {
    fn poll_receive<T>(&mut self, cx: &mut Context<'_>, lend: impl FnOnce(&[u8]) -> T) -> Poll<io::Result<T>> {
        with_scratch(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            ready!(self.stream.poll_read(cx, &mut buf))?;
            Poll::Ready(Ok(lend(buf.filled())))
        })
    }

    fn start_send(&mut self, buf: Vec<u8>) {
        assert!(self.send.is_none(), "one send at a time: poll_send gives the buffer back first");
        let (done, error) = match self.stream.try_write(&buf) {
            Ok(n) => (n, None),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => (0, None),
            Err(error) => (0, Some(error)),
        };
        self.send = Some(Send { buf, done, error });
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<(io::Result<()>, Vec<u8>)> {
        let send = self.send.as_mut().expect("start_send comes first");
        let mut result = send.error.take().map_or(Ok(()), Err);
        while result.is_ok() && send.done < send.buf.len() {
            match ready!(self.stream.poll_write(cx, &send.buf[send.done..])) {
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
        SockRef::from(&self.stream.as_fd()).shutdown(how)
    }

    fn peer_addr(&self) -> &Address {
        &self.peer
    }

    fn local_addr(&self) -> io::Result<Address> {
        SockRef::from(&self.stream.as_fd()).local_addr()?.try_into()
    }
}

/// Closed at once, whatever is under way: closing the last descriptor of a socket in epoll sends FIN, and `shutdown` keeps the loops alike.
impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Connect for Tokio {
    type Connection = Connection;

    async fn connect(&self, address: &Address) -> io::Result<Connection> {
        let stream = match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            Address::Unix(path) => {
                let path = path.as_ref().ok_or(io::ErrorKind::InvalidInput)?;
                Stream::Unix(UnixStream::connect(path).await?)
            }
        };
        Ok(Connection::new(stream, address.clone()))
    }
}
