//! The two ends of a call's connection.

use std::net::SocketAddr;
#[cfg(feature = "tls")]
use std::rc::Rc;

use loopswap_rt::{Address, Connection as _};

use crate::socket::Socket;
#[cfg(feature = "tls")]
use crate::tls::TlsFacts;

/// Who called, and where. What calls of a connection share.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) remote: Address,
    /// Where the connection arrived; of a server that listens on all addresses, the one that was called. `None` if the system does not say.
    pub(crate) local: Option<Address>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Rc<TlsFacts>>,
}

impl Peer {
    /// The ends of this connection.
    pub(crate) fn of(connection: &Socket<impl loopswap_rt::Connection>) -> Self {
        Self {
            remote: connection.peer_addr().clone(),
            local: connection.local_addr().ok(),
            #[cfg(feature = "tls")]
            tls: match connection {
                Socket::Plain(_) => None,
                Socket::Tls(connection) => connection.facts().cloned(),
            },
        }
    }

    /// Whether TLS has refused who called.
    pub(crate) fn is_refused(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.as_ref().is_some_and(|facts| facts.is_refused());
        #[cfg(not(feature = "tls"))]
        false
    }

    pub(crate) fn remote_tcp(&self) -> Option<SocketAddr> {
        self.remote.as_tcp()
    }

    pub(crate) fn local_tcp(&self) -> Option<SocketAddr> {
        self.local.as_ref()?.as_tcp()
    }
}
