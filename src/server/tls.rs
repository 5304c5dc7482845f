//! How a server comes by its TLS: at its start by the builder, and while it runs by its handle, by SIGHUP, or because files have changed.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use loopswap_rt::Connection;

use crate::server::security::{Security, Watch};
use crate::server::{Builder, Counters, Handle};
use crate::socket::Socket;
use crate::tls::{CurrentTls, ServerTls, TlsConnection};
use crate::{Error, ErrorKind};

/// What the builder was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    tls: Option<ServerTls>,
    reload_interval: Option<Duration>,
}

impl Wanted {
    /// Reads it. `http1`: HTTP/1.1 is spoken over it, too.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn load(self, http1: bool) -> Result<Security, Error> {
        let Self { tls, reload_interval } = self;
        Ok(Security { tls: tls.map(|tls| CurrentTls::load(tls, http1)).transpose()?.map(Arc::new), reload_interval })
    }
}

impl Builder {
    /// Serves over TLS, and refuses whoever does not speak it. Default: without TLS.
    ///
    /// The handshake is made by the connection's own task on its worker, within the [time for the handshake](crate::Limits::handshake_timeout).
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls.tls = Some(tls);
        self
    }

    /// Looks so often whether the files of the server's TLS have changed, and reloads them then, as [`Handle::reload_tls`] does: for whoever renews certificates
    /// and tells nobody, as Kubernetes does. Default: never.
    ///
    /// # Panics
    ///
    /// When it is zero.
    pub fn tls_reload_interval(mut self, interval: Duration) -> Self {
        assert!(!interval.is_zero(), "an interval of 0 would look without pause");
        self.tls.reload_interval = Some(interval);
        self
    }
}

impl Handle {
    /// Reads the files of the server's TLS again: connections to come get what is in them now, those that are there go on as they are. SIGHUP does the same where
    /// the server [handles signals](crate::Running::drain_on_signals).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`]: what is wrong with the files; the server has no TLS, or has it not from files. What was there stays.
    pub fn reload_tls(&self) -> Result<(), Error> {
        self.tls()?.reload()
    }

    /// Puts other TLS in the place of the server's, for connections to come.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`]: what is wrong with it; the server has no TLS. What was there stays.
    pub fn replace_tls(&self, tls: ServerTls) -> Result<(), Error> {
        self.tls()?.replace(tls)
    }

    fn tls(&self) -> Result<&CurrentTls, Error> {
        self.security.tls.as_deref().ok_or_else(|| Error::usage("the server has no TLS; Builder::tls gives it one before it starts"))
    }
}

impl Security {
    /// An accepted connection as it is to be served.
    pub(crate) fn put_on<C: Connection>(&self, connection: C, counters: &Arc<Counters>) -> Socket<C> {
        match &self.tls {
            None => Socket::Plain(connection),
            Some(tls) => Socket::Tls(Box::new(TlsConnection::accept(connection, tls.config(), Arc::clone(counters)))),
        }
    }

    /// Whether there is something that a signal may reload.
    pub(super) fn can_be_reloaded(&self) -> bool {
        self.tls.is_some()
    }

    /// Reloads, and says how that went.
    pub(super) fn reload_and_tell(&self) {
        if let Some(tls) = &self.tls {
            tell(tls.reload().map(|()| true));
        }
    }

    /// Looks for changes, if so it is wanted, in a thread of its own.
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub(super) fn watch(&self) -> Result<Watch, Error> {
        let (Some(tls), Some(interval)) = (self.tls.clone(), self.reload_interval) else { return Ok(None) };
        let (watch, dropped) = mpsc::channel();
        let body = move || {
            while dropped.recv_timeout(interval) == Err(mpsc::RecvTimeoutError::Timeout) {
                tell(tls.reload_if_changed());
            }
        };
        thread::Builder::new().name("tls-reload".into()).spawn(body).map_err(|error| {
            let message = format!("the thread that looks for new certificates cannot be started: {error}");
            Error::new(ErrorKind::Worker, message).with_source(error)
        })?;
        Ok(Some(watch))
    }
}

/// `Ok(false)`: there was nothing new.
fn tell(reloaded: Result<bool, Error>) {
    match reloaded {
        Ok(true) => tracing::info!("TLS reloaded: new connections get it"),
        Ok(false) => {}
        Err(error) => tracing::error!("TLS not reloaded, it stays as it was: {error}"),
    }
}
