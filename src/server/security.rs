//! What a server puts on its connections: TLS, or nothing.

use std::sync::mpsc;

/// TLS for connections to come, or nothing. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Security {
    #[cfg(feature = "tls")]
    pub(super) tls: Option<std::sync::Arc<crate::tls::CurrentTls>>,
    /// How often to look whether its files have changed.
    #[cfg(feature = "tls")]
    pub(super) reload_interval: Option<std::time::Duration>,
}

/// Looks for changes as long as it is there.
pub(super) type Watch = Option<mpsc::Sender<()>>;

/// Without TLS: with it, see `tls`.
#[cfg(not(feature = "tls"))]
impl Security {
    pub(crate) fn put_on<C: loopswap_rt::Connection>(&self, connection: C, _: &crate::server::Counters) -> crate::socket::Socket<C> {
        crate::socket::Socket::Plain(connection)
    }

    pub(super) fn can_be_reloaded(&self) -> bool {
        false
    }

    pub(super) fn reload_and_tell(&self) {}

    pub(super) fn watch(&self) -> Result<Watch, crate::Error> {
        Ok(None)
    }
}
