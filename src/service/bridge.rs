//! A service of tonic's on the transport of a call.
//!
//! It sees a request of `http` whose [body](super::body) is the call's inbox, and answers as it does anywhere; the answer is written down as it comes, while the client
//! has room for it. The rules of entry, the deadline and the panics are `grpc`'s, as for local services.

use std::error::Error as StdError;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body::Body as _;
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;

use crate::grpc::{Answer, Inbox, Kind, Origin, Running, TakesMany, Terms, Work, boxed, without_connection_fields};
use crate::http2::ErrorCode;
use crate::service::TonicService;
use crate::service::body::{FarReads, request_body};
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

    fn start(&self, inbox: Rc<Inbox>, origin: Origin, _: &mut Answer) -> Work {
        boxed(|| {
            let step = Step::Waits { service: self.service.clone(), request: Some((inbox, origin)) };
            Bridged { step, far_reads: None, manners: self.manners }
        })
    }
}

pin_project! {
    /// A call, and at its side the reads of its request that are made on other threads.
    struct Bridged<S: TonicService> {
        // It may hold the request's body, so it is dropped before `far_reads`.
        #[pin]
        step: Step<S>,
        far_reads: Option<FarReads>,
        manners: Manners,
    }
}

pin_project! {
    /// How far a call has come.
    #[project = StepProj]
    enum Step<S: TonicService> {
        /// The service is not ready for it.
        Waits { service: S, request: Option<(Rc<Inbox>, Origin)> },
        /// The service works.
        Runs { #[pin] call: S::CallFuture },
        /// What the service answers is written down.
        Answers { #[pin] body: S::ResponseBody },
    }
}

impl<S: TonicService> Running for Bridged<S> {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, answer: &Answer) -> Poll<()> {
        let mut this = self.project();
        if let StepProj::Waits { service, request } = this.step.as_mut().project() {
            let Ok(()) = ready!(service.poll_ready(cx));
            let (inbox, origin) = request.take().expect("the step ends when it is taken");
            // By now the part of the request has arrived that came together with the head.
            let (body, far_reads) = request_body(inbox);
            *this.far_reads = far_reads;
            let Some(request) = request_of(origin, body) else {
                answer.plain_head(StatusCode::BAD_REQUEST, &HeaderMap::new(), true);
                return Poll::Ready(());
            };
            let call = service.call(request);
            this.step.set(Step::Runs { call });
        }
        if let Some(far_reads) = this.far_reads {
            far_reads.serve(cx);
        }
        if let StepProj::Runs { call } = this.step.as_mut().project() {
            let Ok(response) = ready!(call.poll(cx));
            let (head, body) = response.into_parts();
            let ends = body.is_end_stream();
            this.step.set(Step::Answers { body });
            answer.plain_head(head.status, &without_connection_fields(head.headers), ends);
            if ends {
                return Poll::Ready(());
            }
        }
        let StepProj::Answers { body } = this.step.project() else { unreachable!("the steps before are over") };
        poll_body(body, *this.manners, cx, answer)
    }
}

/// The request as such a service wants it. `None` for a path that is no part of a URI.
fn request_of(origin: Origin, body: Body) -> Option<Request<Body>> {
    let mut head = origin.head.into_parts(connect_info::insert)?;
    if let Some(changed) = origin.changed {
        if let Some(metadata) = changed.metadata {
            head.headers = metadata.into_headers();
        }
        // What interceptors leave does not stand in place of what is known of the connection.
        let of_connection = mem::replace(&mut head.extensions, changed.extensions);
        head.extensions.extend(of_connection);
    }
    Some(Request::from_parts(head, body))
}

/// Writes an answer's body down, as it comes and as the client has room for it. Ready at its end.
fn poll_body<B>(mut body: Pin<&mut B>, manners: Manners, cx: &mut Context<'_>, answer: &Answer) -> Poll<()>
where
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>>,
{
    loop {
        ready!(answer.poll_room(cx));
        match (ready!(body.as_mut().poll_frame(cx)), manners) {
            (Some(Ok(frame)), _) => match frame.into_data() {
                Ok(bytes) => {
                    let ends = manners == Manners::Plain && body.is_end_stream();
                    answer.plain_data(&bytes, ends);
                    if ends {
                        break;
                    }
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        break answer.plain_trailers(&without_connection_fields(trailers));
                    }
                }
            },
            (Some(Err(error)), Manners::Grpc) => break answer.status(&Status::from_error(error.into())),
            (Some(Err(_)), Manners::Plain) => break answer.reset(ErrorCode::INTERNAL_ERROR),
            (None, Manners::Grpc) => break answer.status(&Status::internal("the service ended its answer without a status")),
            (None, Manners::Plain) => break answer.plain_data(&[], true),
        }
    }
    Poll::Ready(())
}

#[cfg(all(test, feature = "connect-info"))]
mod tests {
    use loopswap_rt::Address;
    use tonic::transport::server::TcpConnectInfo;

    use super::*;
    use crate::grpc::{Head, Peer, Request as Received};

    #[test]
    fn an_interceptor_adds_to_what_is_known_of_the_connection() {
        let remote = "192.0.2.1:7".parse().expect("an address");
        let peer = Peer {
            remote: Address::Tcp(remote),
            local: None,
            #[cfg(feature = "tls")]
            tls: None,
        };
        let (head, ()) = Request::new(()).into_parts();
        let mut seen = Received::received((), Origin::new(Head::Http(Box::new(head), Some(Rc::new(peer))), None, None));
        seen.extensions_mut().insert("left for the handler");
        seen.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr: None });
        let request = request_of(seen.into_origin().expect("it was received"), Body::empty()).expect("its path is one");
        assert_eq!(request.extensions().get(), Some(&"left for the handler"));
        let of_connection: &TcpConnectInfo = request.extensions().get().expect("the connection is known");
        assert_eq!(of_connection.remote_addr(), Some(remote));
    }
}
