//! The one error of this crate: why nothing was generated. It does not print itself.

use std::error::Error as StdError;
use std::{fmt, io};

/// Why nothing was generated. Displayed with the file, the line and what to do; so is its debug form, which is what a build script's `main` that
/// returns it prints.
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<io::Error>,
}

/// What sort of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A .proto file, or one that it imports, is not there or not in an include directory.
    NotFound,
    /// A .proto file is wrong.
    Proto,
    /// Two things would get one name in Rust.
    Name,
    /// A setting of the builder means nothing.
    Setting,
    /// Something could not be read or written.
    Io,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// `doing`: what failed, as in "cannot write a.rs".
    pub(crate) fn io(doing: impl fmt::Display, source: io::Error) -> Self {
        Self { source: Some(source), ..Self::new(ErrorKind::Io, doing.to_string()) }
    }

    /// What sort of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        // `main` prints this form alone, without the chain of sources.
        self.source.as_ref().map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
