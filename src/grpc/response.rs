//! A response, as a handler makes it.

use tonic::metadata::MetadataMap;

use crate::grpc::MessageCompression;
use crate::grpc::lazy::LazyMetadata;

/// A response: its message, or the stream of its messages, and the metadata that goes before them.
///
/// Its methods are those of [`tonic::Response`].
#[derive(Debug)]
pub struct Response<T> {
    message: T,
    metadata: LazyMetadata,
    trailers: LazyMetadata,
    compression: Option<MessageCompression>,
}

/// A response, apart. What nobody asked for is not there, nor moved about.
pub(crate) struct ResponseParts<T> {
    pub(crate) message: T,
    pub(crate) metadata: Option<Box<MetadataMap>>,
    pub(crate) trailers: Option<Box<MetadataMap>>,
    pub(crate) compression: Option<MessageCompression>,
}

impl<T> Response<T> {
    /// A response without metadata.
    pub fn new(message: T) -> Self {
        Self { message, metadata: LazyMetadata::default(), trailers: LazyMetadata::default(), compression: None }
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

    /// What is sent before the message.
    pub fn metadata(&self) -> &MetadataMap {
        self.metadata.get_or_make(MetadataMap::new)
    }

    /// What is sent before the message, to change. The fields that are gRPC's own (`content-type`, `te`, `grpc-status`, …) are left out.
    pub fn metadata_mut(&mut self) -> &mut MetadataMap {
        self.metadata.get_mut_or_make(MetadataMap::new)
    }

    /// What is sent after the last message of an answer that ends well, to change; tonic's responses lack it. A [`Status`](crate::Status) has metadata
    /// of its own. The fields that are gRPC's own are left out.
    pub fn trailers_mut(&mut self) -> &mut MetadataMap {
        self.trailers.get_mut_or_make(MetadataMap::new)
    }

    /// Its messages are sent as they are, even where the service [compresses](crate::Compression::send): such that hold secrets beside what a client chose
    /// (CRIME), or what is compressed already.
    pub fn disable_compression(&mut self) {
        self.message_compression().set(false);
    }

    /// What says, of a stream of messages, which are compressed.
    pub fn message_compression(&mut self) -> MessageCompression {
        self.compression.get_or_insert_default().clone()
    }

    /// The same response with another message.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Response<U> {
        let Self { message, metadata, trailers, compression } = self;
        Response { message: change(message), metadata, trailers, compression }
    }

    pub(crate) fn into_parts(self) -> ResponseParts<T> {
        let Self { message, metadata, trailers, compression } = self;
        ResponseParts { message, metadata: metadata.into_made(), trailers: trailers.into_made(), compression }
    }
}

impl<T> From<T> for Response<T> {
    fn from(message: T) -> Self {
        Self::new(message)
    }
}
