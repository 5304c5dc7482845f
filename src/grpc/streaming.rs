//! The messages of a request that has many.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use prost::Message;
use tonic::Status;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;

use crate::grpc::encoding::Encoding;
use crate::grpc::framing::decode;
use crate::grpc::inbox::Inbox;

/// The messages that a client streams, as they arrive; a [`Stream`] of them.
///
/// Its methods are those of [`tonic::Streaming`]. It may be moved to another task of the worker. The client may send as many bytes as the
/// stream's window allows beyond what was taken from here. Dropped, it discards what is left, and what comes later.
///
/// An error ends it: the client broke the framing, a message was larger than the limit (RESOURCE_EXHAUSTED), was cut off or cannot be decoded
/// or inflated (INTERNAL), or the call is over (CANCELLED).
pub struct Streaming<T> {
    inbox: Rc<Inbox>,
    decode_bytes_max: usize,
    /// What its compressed messages are in.
    encoding: Option<Encoding>,
    /// What the last message was in.
    last_encoding: Option<Encoding>,
    messages: PhantomData<fn() -> T>,
}

impl<T> Streaming<T> {
    pub(crate) fn new(inbox: Rc<Inbox>, decode_bytes_max: usize, encoding: Option<Encoding>) -> Self {
        Self { inbox, decode_bytes_max, encoding, last_encoding: None, messages: PhantomData }
    }
}

impl<T: Message + Default> Streaming<T> {
    /// The next message; `None` when the client has sent its last.
    ///
    /// # Errors
    ///
    /// Those of the [stream](Self); there is nothing after one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message.
    pub async fn message(&mut self) -> Result<Option<T>, Status> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// Reads to the end, and returns what the client sent after its last message. gRPC's clients send nothing there (PROTOCOL-HTTP2, "Requests"),
    /// and what others send is ignored: `None`.
    ///
    /// # Errors
    ///
    /// As [`message`](Self::message).
    ///
    /// # Cancel safety
    ///
    /// Messages that were read are gone.
    pub async fn trailers(&mut self) -> Result<Option<MetadataMap>, Status> {
        while self.message().await?.is_some() {}
        Ok(None)
    }

    /// How the client compressed the message that was read last; `None` if it did not.
    pub fn message_encoding(&self) -> Option<CompressionEncoding> {
        self.last_encoding.map(CompressionEncoding::from)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<T>, Status>> {
        let last_encoding = &mut self.last_encoding;
        let decoded = ready!(self.inbox.poll_message(self.decode_bytes_max, self.encoding, cx, |bytes, encoding| {
            *last_encoding = encoding;
            decode::<T>(bytes)
        }));
        Poll::Ready(decoded.transpose())
    }
}

impl<T: Message + Default> Stream for Streaming<T> {
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_message(cx).map(Result::transpose)
    }
}

impl<T> Drop for Streaming<T> {
    fn drop(&mut self) {
        self.inbox.discard();
    }
}

impl<T> fmt::Debug for Streaming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").finish_non_exhaustive()
    }
}
