//! A request, as a handler gets it.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Extensions;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;

use crate::grpc::Peer;
use crate::grpc::encoding::Encoding;
use crate::grpc::head::Head;
use crate::grpc::lazy::LazyMetadata;
#[cfg(feature = "tls")]
use crate::tls::CertificateDer;

/// Where a request comes from: what its head said, and until when it is wanted.
pub(crate) struct Origin {
    pub(crate) head: Head,
    pub(crate) deadline: Option<Instant>,
    /// How its one message was compressed.
    pub(crate) encoding: Option<Encoding>,
    /// What interceptors have made of its metadata, and their extensions.
    pub(crate) changed: Option<Box<Changed>>,
}

/// What interceptors leave behind.
pub(crate) struct Changed {
    /// All of it; `None` if they never looked.
    pub(crate) metadata: Option<Box<MetadataMap>>,
    pub(crate) extensions: Extensions,
}

impl Origin {
    pub(crate) fn new(head: Head, deadline: Option<Instant>, encoding: Option<Encoding>) -> Self {
        Self { head, deadline, encoding, changed: None }
    }
}

/// A request: its message, or its messages as [`Streaming`](crate::Streaming), and what came with them.
///
/// Its methods are those of [`tonic::Request`].
pub struct Request<T> {
    message: T,
    /// Absent from a request that was made by hand.
    head: Option<Head>,
    metadata: LazyMetadata,
    deadline: Option<Instant>,
    encoding: Option<Encoding>,
    extensions: Extensions,
}

impl<T> Request<T> {
    /// A request with nothing but its message, as tests of a handler want it.
    pub fn new(message: T) -> Self {
        Self { message, head: None, metadata: LazyMetadata::default(), deadline: None, encoding: None, extensions: Extensions::new() }
    }

    pub(crate) fn received(message: T, origin: Origin) -> Self {
        let Origin { head, deadline, encoding, changed } = origin;
        let (metadata, extensions) = match changed {
            None => (LazyMetadata::default(), Extensions::new()),
            Some(changed) => (LazyMetadata::made(changed.metadata), changed.extensions),
        };
        Self { message, head: Some(head), metadata, deadline, encoding, extensions }
    }

    /// Where it comes from, as interceptors leave it; `None` if it was made by hand.
    pub(crate) fn into_origin(self) -> Option<Origin> {
        let Self { head, metadata, deadline, encoding, extensions, .. } = self;
        let changed = Box::new(Changed { metadata: metadata.into_made(), extensions });
        Some(Origin { head: head?, deadline, encoding, changed: Some(changed) })
    }

    /// Takes metadata and extensions out, to be put back.
    pub(crate) fn take_parts(&mut self) -> (MetadataMap, Extensions) {
        (std::mem::take(self.metadata_mut()), std::mem::take(&mut self.extensions))
    }

    /// Puts metadata and extensions in.
    pub(crate) fn set_parts(&mut self, metadata: MetadataMap, extensions: Extensions) {
        *self.metadata_mut() = metadata;
        self.extensions = extensions;
    }

    /// The ends of its connection.
    pub(crate) fn peer(&self) -> Option<Rc<Peer>> {
        self.head.as_ref()?.peer()
    }

    /// The message.
    pub fn get_ref(&self) -> &T {
        &self.message
    }

    /// The message, to change.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.message
    }

    /// The message, and nothing else.
    pub fn into_inner(self) -> T {
        self.message
    }

    /// What the client sent beside the message: all header fields of the call. They are gathered at the first use.
    pub fn metadata(&self) -> &MetadataMap {
        self.metadata.get_or_make(|| self.head.as_ref().map(Head::to_metadata).unwrap_or_default())
    }

    /// The metadata, to change.
    pub fn metadata_mut(&mut self) -> &mut MetadataMap {
        let head = &self.head;
        self.metadata.get_mut_or_make(|| head.as_ref().map(Head::to_metadata).unwrap_or_default())
    }

    /// The path that was called, `/package.Service/Method`, which is compared byte by byte: it has one spelling. Empty for a request that was made by hand.
    pub fn path(&self) -> &str {
        self.head.as_ref().and_then(|head| std::str::from_utf8(head.path()).ok()).unwrap_or_default()
    }

    /// When the client gives up: its `grpc-timeout`, counted from the arrival of the call. The handler is dropped then.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How long until the [deadline](Self::deadline), by the clock of the loop that runs this thread: what a call made on behalf of this one may
    /// take. Zero when it has passed.
    ///
    /// # Panics
    ///
    /// When there is a deadline, outside a loop.
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(loopswap_rt::now()))
    }

    /// How the client compressed the message; `None` if it did not. Of a request with many messages,
    /// [`Streaming::message_encoding`](crate::Streaming::message_encoding) tells it.
    pub fn message_encoding(&self) -> Option<CompressionEncoding> {
        self.encoding.map(CompressionEncoding::from)
    }

    /// The client's address. `None` on a Unix socket, and for a request that was made by hand.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.peer()?.remote_tcp()
    }

    /// The server's address that the client called. `None` as for [`remote_addr`](Self::remote_addr).
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.peer()?.local_tcp()
    }

    /// The client's certificate, and those of its chain that it sent, as TLS has verified them. `None` if it showed none, without TLS, and for a request that was
    /// made by hand.
    #[cfg(feature = "tls")]
    pub fn peer_certs(&self) -> Option<Arc<Vec<CertificateDer<'static>>>> {
        self.peer()?.tls.as_ref()?.get()?.certs()
    }

    /// Values that interceptors leave for the handler.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The extensions, to change.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    /// Metadata, extensions and message, apart.
    pub fn into_parts(mut self) -> (MetadataMap, Extensions, T) {
        let metadata = std::mem::take(self.metadata_mut());
        (metadata, self.extensions, self.message)
    }

    /// The same request with another message.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Request<U> {
        let Self { message, head, metadata, deadline, encoding, extensions } = self;
        Request { message: change(message), head, metadata, deadline, encoding, extensions }
    }
}

impl<T: fmt::Debug> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("message", &self.message).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
