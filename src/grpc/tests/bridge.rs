//! Services of tonic, and plain ones, on the same transport.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame};
use tonic::body::Body;

use super::{Exchange, FIELDS, Puppet, framed, heads, http_head, named, native_head};
use crate::greeter::stock::greeter_server::{Greeter, GreeterServer};
use crate::greeter::{Hello, HelloReply, HelloRequest};
use crate::grpc::tests::recorder::Recorder;
use crate::http2::ErrorCode;
use crate::service::Router;

const PATH: &str = "/helloworld.Greeter/SayHello";

#[test]
fn stands_next_to_a_local_service() {
    let router = Router::new().add(Puppet::default()).add_tonic(GreeterServer::new(Hello));
    for (path, reply) in [(PATH, "Hello, Joe!"), ("/test.Puppet/Unary", "Joe")] {
        for head in heads("POST", path, &FIELDS) {
            let mut exchange = Exchange::open_with(&router, head, false);
            exchange.data(&named("Joe"), true);
            let recorder = exchange.finish();
            assert_eq!((recorder.status(), recorder.replies()), (0, vec![reply.to_owned()]), "{path}");
        }
    }
}

#[test]
fn takes_a_request_however_it_is_cut() {
    let router = Router::new().add_tonic(GreeterServer::new(Hello));
    let body = named("Joe");
    for size in 1..=body.len() {
        let mut exchange = Exchange::open_with(&router, native_head("POST", PATH, &FIELDS), false);
        for part in body.chunks(size) {
            assert_eq!(exchange.poll(), Poll::Pending);
            exchange.data(part, false);
        }
        exchange.call().end();
        assert_eq!(exchange.finish().replies(), ["Hello, Joe!"], "in pieces of {size}");
    }
}

#[test]
fn requests_that_share_a_head_are_served_alike() {
    let router = Router::new().add_tonic(GreeterServer::new(Hello));
    let crate::grpc::Head::Native(head) = native_head("POST", PATH, &FIELDS) else { unreachable!() };
    for _ in 0..2 {
        let mut exchange = Exchange::open_with(&router, crate::grpc::Head::Native(head.clone()), false);
        exchange.data(&named("Joe"), true);
        assert_eq!(exchange.finish().replies(), ["Hello, Joe!"]);
    }
}

#[test]
fn keeps_the_rules_of_entry() {
    let router = Router::new().add_tonic(GreeterServer::new(Hello));
    for (method, path, fields, http) in [
        ("GET", PATH, &FIELDS[..], 405),
        ("POST", PATH, &FIELDS[1..], 415),
        ("POST", PATH, &FIELDS[..1], 400),
        ("POST", "/helloworld.Greeter/SayHello?x", &FIELDS[..], 200),
    ] {
        for head in heads(method, path, fields) {
            let exchange = Exchange::open_with(&router, head, false);
            assert!(exchange.call.is_none(), "{method} {path} is not dispatched");
            assert_eq!(exchange.recorder.http_status(), http);
        }
    }
    // What tonic does not know it says itself.
    let mut exchange = Exchange::open_with(&router, native_head("POST", "/helloworld.Greeter/SayGoodbye", &FIELDS), false);
    exchange.data(&named("Joe"), true);
    assert_eq!(exchange.finish().status(), 12);
}

#[test]
fn a_deadline_and_a_cancellation_end_it() {
    let fields = [&FIELDS[..], &[("grpc-timeout", "1S")]].concat();
    for by_deadline in [false, true] {
        let router = Router::new().add_tonic(GreeterServer::new(Hello));
        let mut exchange = Exchange::open_with(&router, native_head("POST", PATH, &fields), false);
        exchange.data(&named("Joe")[..6], false);
        assert_eq!(exchange.poll(), Poll::Pending);
        if by_deadline {
            exchange.call().expire();
            assert_eq!(exchange.recorder.status(), 4);
        }
        exchange.call = None;
        assert_eq!(exchange.recorder.n_ends.get(), usize::from(by_deadline));
        assert_eq!(exchange.recorder.n_held.get(), 0);
    }
}

struct Panics;

#[tonic::async_trait]
impl Greeter for Panics {
    async fn say_hello(&self, _: tonic::Request<HelloRequest>) -> Result<tonic::Response<HelloReply>, tonic::Status> {
        panic!("secret")
    }
}

#[test]
fn a_panic_is_internal() {
    let router = Router::new().add_tonic(GreeterServer::new(Panics));
    let mut exchange = Exchange::open_with(&router, native_head("POST", PATH, &FIELDS), false);
    exchange.data(&named("Joe"), true);
    let recorder = exchange.finish();
    assert!(recorder.is_trailers_only());
    assert_eq!((recorder.http_status(), recorder.status()), (200, 13));
}

/// Answers by path.
#[derive(Clone)]
struct Plain;

/// What is left of a body: parts that are ready, an error in their midst where one is `None`.
struct Parts(Vec<Option<Frame<Bytes>>>);

impl HttpBody for Parts {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let next = (!self.0.is_empty()).then(|| self.0.remove(0));
        Poll::Ready(next.map(|part| part.ok_or_else(|| tonic::Status::data_loss("lost"))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

impl tower_service::Service<Request<Body>> for Plain {
    type Response = Response<Parts>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let data = |text: &'static str| Some(Frame::data(Bytes::from_static(text.as_bytes())));
        let mut trailers = HeaderMap::new();
        trailers.insert("after", "all".parse().unwrap());
        let parts = match request.uri().path() {
            "/parts" => vec![data("a"), data("b")],
            "/trailers" => vec![data("a"), Some(Frame::trailers(trailers))],
            "/broken" => vec![data("a"), None],
            "/panic" => panic!("secret"),
            _ => vec![],
        };
        let response = Response::builder().status(203).header("connection", "close").header("method", request.method().as_str());
        ready(Ok(response.body(Parts(parts)).unwrap()))
    }
}

fn plain(head: crate::grpc::Head) -> Rc<Recorder> {
    let router = Router::new().add(Puppet::default()).fallback_plain(Plain);
    Exchange::open_with(&router, head, true).finish()
}

#[test]
fn a_plain_service_gets_what_has_no_route_and_keeps_no_rule() {
    for head in heads("GET", "/anything", &[]) {
        let recorder = plain(head);
        assert_eq!((recorder.http_status(), recorder.head_field("method").as_deref()), (203, Some("GET")));
        assert_eq!(recorder.head_field("connection"), None);
        assert!(recorder.is_trailers_only(), "an empty body is none");
    }
    // A route goes first, with its rules.
    let router = Router::new().add(Puppet::default()).fallback_plain(Plain);
    let exchange = Exchange::open_with(&router, http_head("GET", "/test.Puppet/Unary", &[]), true);
    assert_eq!(exchange.recorder.http_status(), 405);
}

#[test]
fn a_plain_answer_is_passed_on() {
    let recorder = plain(native_head("GET", "/parts", &[]));
    assert_eq!((recorder.body.borrow().as_slice(), recorder.trailers.borrow().is_none()), (&b"ab"[..], true));
    let recorder = plain(native_head("GET", "/trailers", &[]));
    assert_eq!((recorder.body.borrow().as_slice(), recorder.ending("after").as_deref()), (&b"a"[..], Some("all")));
}

#[test]
fn a_plain_service_in_trouble_is_500_or_reset() {
    let recorder = plain(native_head("GET", "/panic", &[]));
    assert_eq!((recorder.http_status(), recorder.head_field("grpc-status")), (500, None));
    assert_eq!(plain(native_head("GET", "/broken", &[])).reset.get(), Some(ErrorCode::INTERNAL_ERROR));
}

/// A service that answers as tonic's do, but for the end.
#[derive(Clone)]
struct Unfinished;

impl tonic::server::NamedService for Unfinished {
    const NAME: &'static str = "test.Unfinished";
}

impl tower_service::Service<Request<Body>> for Unfinished {
    type Response = Response<Parts>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut parts = vec![Some(Frame::data(framed(&[]).into()))];
        if request.uri().path().ends_with("Broken") {
            parts.push(None);
        }
        ready(Ok(Response::new(Parts(parts))))
    }
}

#[test]
fn an_answer_without_a_status_gets_one() {
    let router = Router::new().add_tonic(Unfinished);
    for (method, status) in [("Silent", 13), ("Broken", 15)] {
        let head = native_head("POST", &format!("/test.Unfinished/{method}"), &FIELDS);
        let recorder = Exchange::open_with(&router, head, true).finish();
        assert_eq!((recorder.status(), recorder.replies()), (status, vec![String::new()]), "{method}");
    }
}

/// Answers with the size of its request, which is read on another thread.
#[derive(Clone, Default)]
struct FarReader(Arc<Mutex<Option<Request<Body>>>>);

impl tonic::server::NamedService for FarReader {
    const NAME: &'static str = "test.FarReader";
}

impl tower_service::Service<Request<Body>> for FarReader {
    type Response = Response<Parts>;
    type Error = Infallible;
    type Future = std::future::Pending<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        *self.0.lock().unwrap() = Some(request);
        std::future::pending()
    }
}

/// Polls a body once, on a thread of its own.
fn poll_far(body: &mut Body) -> Poll<Option<Result<Bytes, tonic::Code>>> {
    let far = || Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
    let polled = std::thread::scope(|scope| scope.spawn(far).join()).unwrap();
    polled.map(|frame| frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()).map_err(|status| status.code())))
}

#[test]
fn a_body_is_read_on_any_thread() {
    let service = FarReader::default();
    let router = Router::new().add_tonic(service.clone());
    let mut exchange = Exchange::open_with(&router, native_head("POST", "/test.FarReader/Read", &FIELDS), false);
    assert_eq!(exchange.poll(), Poll::Pending);
    let mut body = service.0.lock().unwrap().take().unwrap().into_body();
    for text in [&b"first"[..], b"second"] {
        exchange.data(text, false);
        let before = exchange.n_wakes();
        assert_eq!(poll_far(&mut body), Poll::Pending, "the inbox is out of its reach");
        assert_eq!(exchange.n_wakes(), before + 1, "the call is to read for it");
        assert_eq!(exchange.poll(), Poll::Pending);
        assert_eq!(poll_far(&mut body), Poll::Ready(Some(Ok(Bytes::from_static(text)))));
    }
    // A read that was given up is not lost: the body is read at home now.
    assert_eq!(poll_far(&mut body), Poll::Pending);
    exchange.data(b"third", false);
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut cx) else { panic!("it is there") };
    assert_eq!(frame.into_data().unwrap(), b"third"[..]);
    assert_eq!(exchange.recorder.n_held.get(), 0, "what was read is released");
    // The call's end is an error for whoever still reads.
    assert_eq!(poll_far(&mut body), Poll::Pending);
    exchange.call = None;
    assert_eq!(poll_far(&mut body), Poll::Ready(Some(Err(tonic::Code::Cancelled))));
    assert_eq!(poll_far(&mut body), Poll::Ready(None));
}

#[test]
fn a_body_that_is_dropped_on_another_thread_is_unwanted() {
    let service = FarReader::default();
    let router = Router::new().add_tonic(service.clone());
    let mut exchange = Exchange::open_with(&router, native_head("POST", "/test.FarReader/Read", &FIELDS), false);
    assert_eq!(exchange.poll(), Poll::Pending);
    exchange.data(b"unread", false);
    let body = service.0.lock().unwrap().take().unwrap().into_body();
    std::thread::spawn(move || drop(body)).join().unwrap();
    assert_eq!(exchange.recorder.n_held.get(), 6);
    assert_eq!(exchange.poll(), Poll::Pending);
    assert_eq!(exchange.recorder.n_held.get(), 0, "its client need not wait");
}

#[test]
fn a_body_that_has_come_is_nobodys_inbox() {
    let service = FarReader::default();
    let router = Router::new().add_tonic(service.clone());
    let mut exchange = Exchange::open_with(&router, native_head("POST", "/test.FarReader/Read", &FIELDS), false);
    exchange.data(b"all of it", true);
    assert_eq!(exchange.poll(), Poll::Pending);
    let mut body = service.0.lock().unwrap().take().unwrap().into_body();
    exchange.call = None;
    assert_eq!(poll_far(&mut body), Poll::Ready(Some(Ok(Bytes::from_static(b"all of it")))));
    assert!(body.is_end_stream());
}
