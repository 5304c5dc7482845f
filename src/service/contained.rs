//! Panics of a handler stay with its call: the caller gets INTERNAL, other calls go on, and so does the loop.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tonic::Status;

use crate::service::TonicService;

/// A service whose panics are answers.
#[derive(Clone, Debug)]
pub(crate) struct Contained<S> {
    service: S,
}

impl<S> Contained<S> {
    pub(crate) fn new(service: S) -> Self {
        Self { service }
    }
}

impl<S: TonicService> hyper::service::Service<Request<Incoming>> for Contained<S> {
    type Response = Response<ContainedBody<S::ResponseBody>>;
    type Error = Infallible;
    type Future = Call<S>;

    fn call(&self, request: Request<Incoming>) -> Call<S> {
        Call { state: State::Waiting { service: self.service.clone(), request: Some(request.map(tonic::body::Body::new)) } }
    }
}

pin_project! {
    /// One call: the service becomes ready, then answers.
    pub(crate) struct Call<S: TonicService> {
        #[pin]
        state: State<S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: TonicService> {
        Waiting { service: S, request: Option<Request<tonic::body::Body>> },
        Called { #[pin] future: S::CallFuture },
        Over,
    }
}

impl<S: TonicService> Future for Call<S> {
    type Output = Result<Response<ContainedBody<S::ResponseBody>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        // Nobody sees a half-done state: after a panic the service's clone and its future are dropped.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            loop {
                match state.as_mut().project() {
                    StateProjection::Waiting { service, request } => {
                        let Ok(()) = std::task::ready!(service.poll_ready(cx));
                        let request = request.take().expect("taken once: the state changes below");
                        let future = service.call(request);
                        state.set(State::Called { future });
                    }
                    StateProjection::Called { future } => {
                        let Ok(response) = std::task::ready!(future.poll(cx));
                        return Poll::Ready(response);
                    }
                    StateProjection::Over => unreachable!("polled after its end"),
                }
            }
        }));
        let response = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(response)) => response.map(|body| ContainedBody { body: Some(body) }),
            Err(_) => panicked().into_http(),
        };
        // A destructor may panic as well.
        let _ = catch_unwind(AssertUnwindSafe(|| state.set(State::Over)));
        Poll::Ready(Ok(response))
    }
}

pin_project! {
    /// The body of an answer, whose panic becomes its trailers.
    pub(crate) struct ContainedBody<B> {
        // Gone after a panic, and in an answer that has no body.
        #[pin]
        body: Option<B>,
    }
}

impl<B> Default for ContainedBody<B> {
    fn default() -> Self {
        Self { body: None }
    }
}

impl<B: Body<Data = Bytes>> Body for ContainedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut body = self.project().body;
        let polled = catch_unwind(AssertUnwindSafe(|| match body.as_mut().as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(None),
        }));
        polled.unwrap_or_else(|_| {
            let _ = catch_unwind(AssertUnwindSafe(|| body.set(None)));
            let mut trailers = HeaderMap::new();
            // Its message is ours, so it fits a header.
            let _ = panicked().add_header(&mut trailers);
            Poll::Ready(Some(Ok(Frame::trailers(trailers))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// What the caller is told. The panic's own message may hold secrets; the panic hook has printed it for the operator.
fn panicked() -> Status {
    Status::internal("the handler panicked")
}
