//! A local service with a method of each kind, that does as the names in its requests say.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::greeter::{HelloReply, HelloRequest};
use crate::grpc::{MessageLimits, Request, Response, Streaming};
use crate::service::{LocalService, Methods, Router};

/// The service; what its handlers did can be asked for.
#[derive(Clone, Default)]
pub(super) struct Puppet {
    /// Handlers that were dropped or done.
    pub(super) n_dropped: Rc<Cell<usize>>,
    /// What a handler hands over to be read elsewhere.
    pub(super) handed_over: Rc<RefCell<Option<Streaming<HelloRequest>>>>,
    pub(super) limits: Option<MessageLimits>,
}

struct CountDrop(Rc<Cell<usize>>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

struct PanicInDrop;

impl Drop for PanicInDrop {
    fn drop(&mut self) {
        panic!("secret");
    }
}

impl Puppet {
    pub(super) fn router() -> Router {
        Router::new().add(Self::default())
    }

    async fn unary(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let _count = CountDrop(Rc::clone(&self.n_dropped));
        let name = request.get_ref().name.clone();
        let mut response = Response::new(reply(&name));
        match name.as_str() {
            "panic at once" => panic!("secret"),
            "panic later" => {
                yield_now().await;
                panic!("secret");
            }
            "panic in drop" => drop(PanicInDrop),
            "panic when cancelled" => {
                let _held = PanicInDrop;
                pending::<()>().await;
            }
            "hang" => pending().await,
            "later" => yield_now().await,
            "metadata" => {
                let metadata = response.metadata_mut();
                metadata.insert("answer", request.metadata().get("question").unwrap().clone());
                metadata.insert_bin("answer-bin", request.metadata().get_bin("question-bin").unwrap().clone());
                // None of these is a handler's to say.
                for name in ["grpc-status", "content-type", "te", "connection", "transfer-encoding"] {
                    metadata.insert(name, MetadataValue::from_static("7"));
                }
                response.trailers_mut().insert("after", MetadataValue::from_static("all"));
            }
            "fail" => {
                let metadata = MetadataMap::from_headers(http::HeaderMap::from_iter([(
                    http::HeaderName::from_static("more"),
                    http::HeaderValue::from_static("less"),
                )]));
                return Err(Status::with_details_and_metadata(Code::Aborted, "50% ☕\n", Bytes::from_static(b"\0\xff"), metadata));
            }
            _ => {}
        }
        Ok(response)
    }

    async fn collect(&self, request: Request<Streaming<HelloRequest>>) -> Result<Response<HelloReply>, Status> {
        let _count = CountDrop(Rc::clone(&self.n_dropped));
        let mut requests = request.into_inner();
        let mut names = Vec::new();
        while let Some(request) = requests.message().await? {
            match request.name.as_str() {
                "enough" => break,
                "hand over" => {
                    *self.handed_over.borrow_mut() = Some(requests);
                    break;
                }
                "pause" => pending().await,
                _ => names.push(request.name),
            }
        }
        Ok(Response::new(reply(&names.join(" "))))
    }

    /// As many replies as the request's number says. The stream borrows the service.
    async fn repeat(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<impl Stream<Item = Result<HelloReply, Status>> + use<'_>>, Status> {
        let HelloRequest { name, sleep_millisecond: n } = request.into_inner();
        if name == "refuse" {
            return Err(Status::not_found("no"));
        }
        let count = CountDrop(Rc::clone(&self.n_dropped));
        Ok(Response::new(stream::iter(0..n).then(move |i| {
            let (name, _count, service) = (name.clone(), &count, self);
            let all = service.n_dropped.get();
            async move {
                match name.as_str() {
                    "panic in stream" if i == 1 => panic!("secret"),
                    "fail in stream" if i == 1 => Err(Status::data_loss("gone")),
                    "slow" => {
                        yield_now().await;
                        Ok(reply(&i.to_string()))
                    }
                    _ => Ok(reply(&format!("{i}{}", ".".repeat(all)))),
                }
            }
        })))
    }
}

impl LocalService for Puppet {
    const NAME: &'static str = "test.Puppet";

    fn register(self, methods: &mut Methods) {
        if let Some(limits) = self.limits {
            methods.message_limits(limits);
        }
        let service = Rc::new(self);
        let on = Rc::clone(&service);
        methods.unary("Unary", move |request: Request<HelloRequest>| {
            assert_ne!(request.get_ref().name, "panic in the call", "secret");
            let service = Rc::clone(&on);
            async move { service.unary(request).await }
        });
        let on = Rc::clone(&service);
        methods.client_streaming("Collect", move |request| {
            let service = Rc::clone(&on);
            async move { service.collect(request).await }
        });
        methods.server_streaming("Repeat", move |request, mut replies| {
            let service = Rc::clone(&service);
            async move {
                let response = service.repeat(request).await?;
                replies.send_all(response).await
            }
        });
        methods.streaming("Echo", |request: Request<Streaming<HelloRequest>>, mut replies| async move {
            let mut requests = request.into_inner();
            while let Some(request) = requests.message().await? {
                replies.send(reply(&request.name)).await?;
            }
            Ok(())
        });
    }
}

fn reply(message: &str) -> HelloReply {
    HelloReply { message: message.into() }
}

/// Once through the loop.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
