//! What a client puts on its connections: TLS, or nothing.

use std::io;

use loopswap_rt::Connection;

#[cfg(feature = "tls")]
use crate::Error;
use crate::socket::Socket;
#[cfg(feature = "tls")]
use crate::tls::{ClientTls, LoadedTls};

/// TLS for connections to come, or nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Security {
    #[cfg(feature = "tls")]
    tls: Option<LoadedTls>,
}

impl Security {
    /// TLS with a server on this host.
    ///
    /// # Errors
    ///
    /// What is wrong with the description.
    #[cfg(feature = "tls")]
    pub(super) fn tls(described: &ClientTls, host: &str) -> Result<Self, Error> {
        Ok(Self { tls: Some(described.load(host)?) })
    }

    /// Whether it is more than nothing.
    pub(super) fn is_on(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        return false;
    }

    /// What `:scheme` says (RFC 9113, 8.3.1).
    pub(super) fn scheme(&self) -> &'static str {
        if self.is_on() { "https" } else { "http" }
    }

    /// A connection as it is to be used. With TLS, the handshake is over then.
    ///
    /// # Errors
    ///
    /// TLS was not agreed, and why.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub(super) async fn put_on<C: Connection>(&self, connection: C) -> io::Result<Socket<C>> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return Ok(Socket::Tls(Box::new(tls.agree(connection).await?)));
        }
        Ok(Socket::Plain(connection))
    }
}
