//! A service of tonic's on the transport of a call.
//!
//! It sees a request of `http` whose body is the call's inbox, and answers as it does anywhere; the answer is written down as it comes, while the client
//! has room for it. The rules of entry, the deadline and the panics are `grpc`'s, as for local services.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body::{Body as HttpBody, Frame};
use loopswap_rt::OnThread;
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;

use crate::grpc::{Answer, Inbox, Origin, Running, TakesMany, Work, without_connection_fields};
use crate::http2::ErrorCode;
use crate::service::TonicService;

/// What a service speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manners {
    /// gRPC: its answers end with a status.
    Grpc,
    /// HTTP and nothing more.
    Plain,
}

/// A tower service as something that runs calls.
pub(super) struct Bridge<S> {
    service: S,
    manners: Manners,
}

impl<S> Bridge<S> {
    pub(super) fn new(service: S, manners: Manners) -> Self {
        Self { service, manners }
    }
}

impl<S: TonicService> TakesMany for Bridge<S> {
    fn start(&self, inbox: Rc<Inbox>, origin: Origin, answer: &mut Answer) -> Work {
        let call = serve(self.service.clone(), self.manners, inbox, origin, answer.share());
        Box::pin(Bridged { call })
    }
}

pin_project! {
    /// A call that writes its answer by itself.
    struct Bridged<F> {
        #[pin]
        call: F,
    }
}

impl<F: Future<Output = ()>> Running for Bridged<F> {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, _: &Answer) -> Poll<()> {
        self.project().call.poll(cx)
    }
}

/// One call, from the service's readiness to the end of its answer.
async fn serve<S: TonicService>(mut service: S, manners: Manners, inbox: Rc<Inbox>, origin: Origin, answer: Answer) {
    let Some(head) = origin.head.into_parts() else {
        return answer.plain_head(StatusCode::BAD_REQUEST, &HeaderMap::new(), true);
    };
    // By now the part of the body has arrived that came together with the head.
    let body = if inbox.is_drained() { Body::empty() } else { Body::new(RequestBody::new(inbox)) };
    let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await;
    let Ok(response) = service.call(Request::from_parts(head, body)).await;
    let (head, body) = response.into_parts();
    let ends = body.is_end_stream();
    answer.plain_head(head.status, &without_connection_fields(head.headers), ends);
    if ends {
        return;
    }
    let mut body = pin!(body);
    loop {
        poll_fn(|cx| answer.poll_room(cx)).await;
        match poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => {
                    let ends = manners == Manners::Plain && body.is_end_stream();
                    answer.plain_data(&bytes, ends);
                    if ends {
                        return;
                    }
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        return answer.plain_trailers(&without_connection_fields(trailers));
                    }
                }
            },
            Some(Err(error)) if manners == Manners::Grpc => return answer.status(&Status::from_error(error.into())),
            Some(Err(_)) => return answer.reset(ErrorCode::INTERNAL_ERROR),
            None if manners == Manners::Grpc => return answer.status(&Status::internal("the service ended its answer without a status")),
            None => return answer.plain_data(&[], true),
        }
    }
}

/// The body of a request. Tonic wants it to be `Send`; it is read on the worker's thread alone.
struct RequestBody {
    inbox: OnThread<Reader>,
    is_over: bool,
}

/// An inbox that is read until this is dropped.
struct Reader(Rc<Inbox>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.discard();
    }
}

impl RequestBody {
    fn new(inbox: Rc<Inbox>) -> Self {
        Self { inbox: OnThread::new(Reader(inbox)), is_over: false }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = Status;

    /// # Panics
    ///
    /// On another thread than the worker's.
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(Reader(inbox)) = this.inbox.get_mut() else {
            panic!("the body of a request was read on another thread than the worker's that received it");
        };
        let bytes = ready!(inbox.poll_bytes(cx));
        this.is_over = inbox.is_drained();
        Poll::Ready(bytes.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }
}
