//! A service of tonic's on the transport of a call.
//!
//! It sees a request of `http` whose [body](super::body) is the call's inbox, and answers as it does anywhere; the answer is written down as it comes, while the client
//! has room for it. The rules of entry, the deadline and the panics are `grpc`'s, as for local services.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, StatusCode};
use http_body::Body as _;
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;

use crate::grpc::{Answer, Inbox, Kind, Origin, Running, TakesMany, Terms, Work, boxed, without_connection_fields};
use crate::http2::ErrorCode;
use crate::service::TonicService;
use crate::service::body::request_body;
use crate::service::connect_info;

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
    fn kind(&self) -> Kind {
        Kind::Unknown
    }

    fn terms(&self) -> Option<&Terms> {
        None
    }

    fn start(&self, inbox: Rc<Inbox>, origin: Origin, answer: &mut Answer) -> Work {
        boxed(|| Bridged { call: run(self.service.clone(), self.manners, inbox, origin, answer.share()) })
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

/// One call, and at its side the reads of its request that are made on other threads.
async fn run<S: TonicService>(service: S, manners: Manners, inbox: Rc<Inbox>, origin: Origin, answer: Answer) {
    // By now the part of the request has arrived that came together with the head.
    let (body, far_reads) = request_body(inbox);
    let mut call = pin!(serve(service, manners, body, origin, answer));
    poll_fn(|cx| {
        if let Some(far_reads) = &far_reads {
            far_reads.serve(cx);
        }
        call.as_mut().poll(cx)
    })
    .await;
}

/// One call, from the service's readiness to the end of its answer.
async fn serve<S: TonicService>(mut service: S, manners: Manners, body: Body, origin: Origin, answer: Answer) {
    let peer = origin.head.peer();
    let Some(mut head) = origin.head.into_parts() else {
        return answer.plain_head(StatusCode::BAD_REQUEST, &HeaderMap::new(), true);
    };
    if let Some(changed) = origin.changed {
        if let Some(metadata) = changed.metadata {
            head.headers = metadata.into_headers();
        }
        head.extensions.extend(changed.extensions);
    }
    connect_info::insert(&mut head.extensions, peer.as_deref());
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
