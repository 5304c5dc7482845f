//! Where a handler puts the messages of an answer that has many.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::pin;
use std::task::{Poll, ready};

use futures_core::Stream;
use prost::Message;
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::grpc::answer::Answer;
use crate::grpc::{MessageCompression, Response, ResponseParts};

/// The messages of an answer, on their way to the client.
///
/// It exists so that a stream of responses need not be `'static`: it is polled inside the handler's own future, and may borrow from the service.
pub struct Replies<R> {
    answer: Answer,
    encode_bytes_max: usize,
    compression: Option<MessageCompression>,
    messages: PhantomData<fn(R)>,
}

impl<R: Message> Replies<R> {
    pub(crate) fn new(answer: Answer, encode_bytes_max: usize) -> Self {
        Self { answer, encode_bytes_max, compression: None, messages: PhantomData }
    }

    /// Sends the response's metadata, then every message of its stream, each when the client has room for more. Messages leave for the client whenever the stream
    /// has no next one ready. If the response has trailers, they end the call here.
    ///
    /// # Errors
    ///
    /// The stream's first error; RESOURCE_EXHAUSTED for a message that is larger than the service's limit. The handler should return it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream; messages that it gave are sent.
    pub async fn send_all<S>(&mut self, response: Response<S>) -> Result<(), Status>
    where
        S: Stream<Item = Result<R, Status>>,
    {
        let ResponseParts { message: stream, metadata, trailers, compression } = response.into_parts();
        self.compression = compression.or_else(|| self.compression.take());
        self.answer.head(metadata.map(|metadata| *metadata));
        let mut stream = pin!(stream);
        poll_fn(|cx| {
            loop {
                ready!(self.answer.poll_room(cx));
                match ready!(stream.as_mut().poll_next(cx)) {
                    Some(Ok(message)) => self.answer.message(&message, self.encode_bytes_max, self.compression.as_ref())?,
                    Some(Err(status)) => return Poll::Ready(Err(status)),
                    None => return Poll::Ready(Ok(())),
                }
            }
        })
        .await?;
        if let Some(trailers) = trailers {
            self.answer.ok_with(Some(*trailers));
        }
        Ok(())
    }

    /// Sends metadata ahead of the first message. Once anything has been sent it does nothing.
    pub fn send_metadata(&mut self, metadata: MetadataMap) {
        self.answer.head(Some(metadata));
    }

    /// What says which messages are compressed of those that are sent from here on.
    pub fn message_compression(&mut self) -> MessageCompression {
        self.compression.get_or_insert_default().clone()
    }

    /// Sends one message, when the client has room for more.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED when it is larger than the service's limit; then it was not sent.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the message, unless it has been sent.
    pub async fn send(&mut self, message: R) -> Result<(), Status> {
        poll_fn(|cx| self.answer.poll_room(cx)).await;
        self.answer.head(None);
        self.answer.message(&message, self.encode_bytes_max, self.compression.as_ref())
    }
}

impl<R> fmt::Debug for Replies<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").finish_non_exhaustive()
    }
}
