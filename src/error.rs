//! The one error of this crate: what kept a server from starting, or ended it; what kept a client from its server.

use std::error::Error as StdError;
use std::fmt;

use loopswap_rt::Unavailable;

/// Why a server did not start, or how it ended badly; why a client found none. Displayed in one line, with what to do; so is its debug form,
/// which is what a `main` that returns it prints.
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What sort of error it is, as far as a program may want to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument means nothing: an unknown loop, a bad address, no workers.
    Usage,
    /// The loop that was asked for cannot run here. No port was bound.
    Unavailable,
    /// An address cannot be listened on.
    Bind,
    /// No server can be reached at an address.
    Connect,
    /// A worker ended before it was told to, or not when it was.
    Worker,
    /// The time allowed for draining was over, or it was cut short: calls were cut.
    Cut,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    pub(crate) fn unavailable(name: &str, why: Unavailable) -> Self {
        let message = format!("the loop {name} cannot run here: {why}");
        Self { source: Some(Box::new(why)), ..Self::new(ErrorKind::Unavailable, message) }
    }

    pub(crate) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// What sort of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the loop that was asked for cannot run here.
    pub fn is_unavailable(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }

    /// The exit code that the command line gives it: 2 when the caller has to ask for something else, 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::Usage | ErrorKind::Unavailable => 2,
            ErrorKind::Bind | ErrorKind::Connect | ErrorKind::Worker | ErrorKind::Cut => 1,
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
