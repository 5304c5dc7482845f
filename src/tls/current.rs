//! What new connections of a server get their TLS from, until a reload puts another in its place.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::ServerConfig;

use super::server::{Material, ServerTls};
use crate::Error;

/// The TLS of a server, which all its workers share.
pub(crate) struct CurrentTls {
    config: RwLock<Arc<ServerConfig>>,
    /// HTTP/1.1 is spoken, too.
    http1: bool,
    origin: Mutex<Origin>,
}

/// Where it comes from. Locked for the length of a reload.
struct Origin {
    described: ServerTls,
    /// What was read last, be it good or not.
    read: Option<Material>,
}

impl CurrentTls {
    /// Reads what is described. `http1`: HTTP/1.1 is spoken over it, too.
    ///
    /// # Errors
    ///
    /// It cannot be read, is no good, or does not fit.
    pub(crate) fn load(described: ServerTls, http1: bool) -> Result<Self, Error> {
        let read = described.read()?;
        let config = read.config(http1)?;
        Ok(Self { config: RwLock::new(config), http1, origin: Mutex::new(Origin { described, read: Some(read) }) })
    }

    /// For a connection.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads again what is described.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); what was there stays. There is nothing to read.
    pub(crate) fn reload(&self) -> Result<(), Error> {
        let mut origin = self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        if !origin.described.has_files() {
            return Err(Error::usage("the server's TLS was given in memory, and not in files that could be read again; replace it"));
        }
        let read = origin.described.read()?;
        self.put(&mut origin, read)
    }

    /// As [`reload`](Self::reload), if something else is read than the last time. Returns whether.
    ///
    /// # Errors
    ///
    /// As [`reload`](Self::reload), once for what is read.
    pub(crate) fn reload_if_changed(&self) -> Result<bool, Error> {
        let mut origin = self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        let read = match origin.described.read() {
            Ok(read) => read,
            // Told once, until it can be read again.
            Err(_) if origin.read.is_none() => return Ok(false),
            Err(error) => {
                origin.read = None;
                return Err(error);
            }
        };
        if origin.read.as_ref() == Some(&read) {
            return Ok(false);
        }
        self.put(&mut origin, read).map(|()| true)
    }

    /// Puts another description in the place of the last.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); what was there stays.
    pub(crate) fn replace(&self, described: ServerTls) -> Result<(), Error> {
        let read = described.read()?;
        let mut origin = self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        let config = read.config(self.http1)?;
        *origin = Origin { described, read: Some(read) };
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    fn put(&self, origin: &mut Origin, read: Material) -> Result<(), Error> {
        let config = read.config(self.http1);
        origin.read = Some(read);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config?;
        Ok(())
    }
}

impl fmt::Debug for CurrentTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentTls").finish_non_exhaustive()
    }
}
