//! The four kinds of methods: how each comes from a request to the future that answers it.
//!
//! A call is one boxed future, made by the generic code of this file; above it nothing knows the types of the messages.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use prost::Message;
use tonic::Status;

use crate::grpc::{
    Answer, Inbox, Kind, Origin, Replies, Request, Response, Running, Streaming, TakesMany, TakesOne, Terms, Work, boxed, decode,
};

/// Defines the type of a kind: a handler, its terms, and the types of the messages in and out.
macro_rules! kind {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub(super) struct $name<M, R, H> {
            handler: H,
            terms: Terms,
            messages: PhantomData<fn(M) -> R>,
        }

        impl<M, R, H> $name<M, R, H> {
            pub(super) fn new(handler: H, terms: Terms) -> Self {
                Self { handler, terms, messages: PhantomData }
            }
        }
    };
}

kind!(
    /// One message in, one out.
    Unary
);
kind!(
    /// Many in, one out.
    ClientStreaming
);
kind!(
    /// One in, many out.
    ServerStreaming
);
kind!(
    /// Many in, many out.
    Streams
);

impl<M, R, H, F> TakesOne for Unary<M, R, H>
where
    M: Message + Default + 'static,
    R: Message + 'static,
    H: Fn(Request<M>) -> F + 'static,
    F: Future<Output = Result<Response<R>, Status>> + 'static,
{
    fn kind(&self) -> Kind {
        Kind::Unary
    }

    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn start(&self, message: &[u8], origin: Origin, _: &mut Answer) -> Result<Work, Status> {
        let request = Request::received(decode::<M>(message)?, origin);
        Ok(boxed(|| OneReply { future: (self.handler)(request), encode_bytes_max: self.terms.limits.encode_bytes_max }))
    }
}

impl<M, R, H, F> TakesMany for ClientStreaming<M, R, H>
where
    M: Message + Default + 'static,
    R: Message + 'static,
    H: Fn(Request<Streaming<M>>) -> F + 'static,
    F: Future<Output = Result<Response<R>, Status>> + 'static,
{
    fn kind(&self) -> Kind {
        Kind::ClientStreaming
    }

    fn terms(&self) -> Option<&Terms> {
        Some(&self.terms)
    }

    fn start(&self, inbox: Rc<Inbox>, origin: Origin, _: &mut Answer) -> Work {
        let messages = Streaming::new(inbox, self.terms.limits.decode_bytes_max, origin.head.encoding());
        let request = Request::received(messages, origin);
        boxed(|| OneReply { future: (self.handler)(request), encode_bytes_max: self.terms.limits.encode_bytes_max })
    }
}

impl<M, R, H, F> TakesOne for ServerStreaming<M, R, H>
where
    M: Message + Default + 'static,
    R: Message + 'static,
    H: Fn(Request<M>, Replies<R>) -> F + 'static,
    F: Future<Output = Result<(), Status>> + 'static,
{
    fn kind(&self) -> Kind {
        Kind::ServerStreaming
    }

    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn start(&self, message: &[u8], origin: Origin, answer: &mut Answer) -> Result<Work, Status> {
        let request = Request::received(decode::<M>(message)?, origin);
        let replies = Replies::new(answer.share(), self.terms.limits.encode_bytes_max);
        Ok(boxed(|| ManyReplies { future: (self.handler)(request, replies) }))
    }
}

impl<M, R, H, F> TakesMany for Streams<M, R, H>
where
    M: Message + Default + 'static,
    R: Message + 'static,
    H: Fn(Request<Streaming<M>>, Replies<R>) -> F + 'static,
    F: Future<Output = Result<(), Status>> + 'static,
{
    fn kind(&self) -> Kind {
        Kind::Streaming
    }

    fn terms(&self) -> Option<&Terms> {
        Some(&self.terms)
    }

    fn start(&self, inbox: Rc<Inbox>, origin: Origin, answer: &mut Answer) -> Work {
        let messages = Streaming::new(inbox, self.terms.limits.decode_bytes_max, origin.head.encoding());
        let request = Request::received(messages, origin);
        let replies = Replies::new(answer.share(), self.terms.limits.encode_bytes_max);
        boxed(|| ManyReplies { future: (self.handler)(request, replies) })
    }
}

pin_project! {
    /// A handler whose value is the answer.
    struct OneReply<F> {
        #[pin]
        future: F,
        encode_bytes_max: usize,
    }
}

impl<R, F> Running for OneReply<F>
where
    R: Message,
    F: Future<Output = Result<Response<R>, Status>>,
{
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, answer: &Answer) -> Poll<()> {
        let this = self.project();
        match ready!(this.future.poll(cx)) {
            Ok(response) => answer.reply(response, *this.encode_bytes_max),
            Err(status) => answer.status(&status),
        }
        Poll::Ready(())
    }
}

pin_project! {
    /// A handler that has answered by the time it is done.
    struct ManyReplies<F> {
        #[pin]
        future: F,
    }
}

impl<F> Running for ManyReplies<F>
where
    F: Future<Output = Result<(), Status>>,
{
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, answer: &Answer) -> Poll<()> {
        match ready!(self.project().future.poll(cx)) {
            Ok(()) => answer.ok(),
            Err(status) => answer.status(&status),
        }
        Poll::Ready(())
    }
}
