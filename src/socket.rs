//! A connection of a loop as servers and clients use it: plain, or with TLS on it.

use std::io;
use std::net::Shutdown;
use std::task::{Context, Poll};

use loopswap_rt::{Address, Connection};

#[cfg(feature = "tls")]
use crate::tls::TlsConnection;

/// A connection. What is plain costs a look at which it is.
pub(crate) enum Socket<C> {
    Plain(C),
    /// Boxed, so that plain ones are not as large.
    #[cfg(feature = "tls")]
    Tls(Box<TlsConnection<C>>),
}

impl<C> Socket<C> {
    /// Whether something is to be said before it is closed, which [`shutdown`](Connection::shutdown) says: TLS's close_notify (RFC 8446, 6.1).
    pub(crate) fn has_last_word(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            #[cfg(feature = "tls")]
            Self::Tls(_) => true,
        }
    }
}

impl<C: Connection> Socket<C> {
    /// Whether TLS has refused the client, as [`TlsFacts::is_refused`](crate::tls::TlsFacts::is_refused) has it.
    pub(crate) fn is_refused(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            #[cfg(feature = "tls")]
            Self::Tls(connection) => connection.facts().is_some_and(|facts| facts.is_refused()),
        }
    }
}

/// Does the same on either.
macro_rules! on_either {
    ($socket:expr, $connection:ident => $what:expr) => {
        match $socket {
            Self::Plain($connection) => $what,
            #[cfg(feature = "tls")]
            Self::Tls($connection) => $what,
        }
    };
}

impl<C: Connection> Connection for Socket<C> {
    #[inline]
    fn poll_receive<T>(&mut self, cx: &mut Context<'_>, lend: impl FnOnce(&[u8]) -> T) -> Poll<io::Result<T>> {
        on_either!(self, connection => connection.poll_receive(cx, lend))
    }

    #[inline]
    fn start_send(&mut self, buf: Vec<u8>) {
        on_either!(self, connection => connection.start_send(buf));
    }

    #[inline]
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<(io::Result<()>, Vec<u8>)> {
        on_either!(self, connection => connection.poll_send(cx))
    }

    #[inline]
    fn is_sending(&self) -> bool {
        on_either!(self, connection => connection.is_sending())
    }

    fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        on_either!(self, connection => connection.shutdown(how))
    }

    fn peer_addr(&self) -> &Address {
        on_either!(self, connection => connection.peer_addr())
    }

    fn local_addr(&self) -> io::Result<Address> {
        on_either!(self, connection => connection.local_addr())
    }
}
