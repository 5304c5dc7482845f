//! The methods of one service, as generated code names them.

use std::future::Future;
use std::rc::Rc;

use prost::Message;
use tonic::Status;

use crate::grpc::{Compression, MessageLimits, Replies, Request, Response, Route, Streaming, Terms};
use crate::service::Interceptors;
use crate::service::kinds::{ClientStreaming, ServerStreaming, Streams, Unary};

/// Takes the methods of a service: see [`LocalService::register`](crate::LocalService::register).
///
/// A handler is called once a call, and returns the call's future, which owns what it needs:
///
/// ```
/// # use std::rc::Rc;
/// # use loopswap::{LocalService, Methods, Request, Response, Status};
/// # use loopswap::greeter::{HelloReply, HelloRequest};
/// struct Polite(Rc<String>);
///
/// impl LocalService for Polite {
///     const NAME: &'static str = "helloworld.Greeter";
///
///     fn register(self, methods: &mut Methods) {
///         let greeting = self.0;
///         methods.unary("SayHello", move |request: Request<HelloRequest>| {
///             let greeting = Rc::clone(&greeting);
///             async move { Ok(Response::new(HelloReply { message: format!("{greeting}, {}", request.get_ref().name) })) }
///         });
///     }
/// }
/// # loopswap::Router::new().add(Polite(Rc::new("Good evening".into())));
/// ```
#[derive(Debug)]
pub struct Methods {
    service: &'static str,
    terms: Terms,
    interceptors: Interceptors,
    routes: Vec<(Vec<u8>, Route, Interceptors)>,
}

impl Methods {
    pub(super) fn new(service: &'static str) -> Self {
        Self { service, terms: Terms::default(), interceptors: Interceptors::default(), routes: Vec::new() }
    }

    /// The limits of the methods that are named from here on.
    pub fn message_limits(&mut self, limits: MessageLimits) {
        self.terms.limits = limits;
    }

    /// How the messages of the methods may be compressed that are named from here on.
    pub fn compression(&mut self, compression: Compression) {
        self.terms.compression = compression;
    }

    /// What stands around the methods that are named from here on.
    pub fn interceptors(&mut self, interceptors: Interceptors) {
        self.interceptors = interceptors;
    }

    /// One message in, one out. `name` is the method's alone: `SayHello`.
    pub fn unary<M, R, H, F>(&mut self, name: &str, handler: H)
    where
        M: Message + Default + 'static,
        R: Message + 'static,
        H: Fn(Request<M>) -> F + 'static,
        F: Future<Output = Result<Response<R>, Status>> + 'static,
    {
        let method = Unary::new(handler, self.terms);
        self.insert(name, Route::TakesOne(Rc::new(method)));
    }

    /// Many messages in, one out.
    pub fn client_streaming<M, R, H, F>(&mut self, name: &str, handler: H)
    where
        M: Message + Default + 'static,
        R: Message + 'static,
        H: Fn(Request<Streaming<M>>) -> F + 'static,
        F: Future<Output = Result<Response<R>, Status>> + 'static,
    {
        let method = ClientStreaming::new(handler, self.terms);
        self.insert(name, Route::TakesMany(Rc::new(method)));
    }

    /// One message in, many out: the handler gives them to its [`Replies`]. Its `Ok` ends the call.
    pub fn server_streaming<M, R, H, F>(&mut self, name: &str, handler: H)
    where
        M: Message + Default + 'static,
        R: Message + 'static,
        H: Fn(Request<M>, Replies<R>) -> F + 'static,
        F: Future<Output = Result<(), Status>> + 'static,
    {
        let method = ServerStreaming::new(handler, self.terms);
        self.insert(name, Route::TakesOne(Rc::new(method)));
    }

    /// Many messages in, many out, in whatever order: the handler gives its own to its [`Replies`]. Its `Ok` ends the call.
    pub fn streaming<M, R, H, F>(&mut self, name: &str, handler: H)
    where
        M: Message + Default + 'static,
        R: Message + 'static,
        H: Fn(Request<Streaming<M>>, Replies<R>) -> F + 'static,
        F: Future<Output = Result<(), Status>> + 'static,
    {
        let method = Streams::new(handler, self.terms);
        self.insert(name, Route::TakesMany(Rc::new(method)));
    }

    /// Each path with what runs it, and what stands around that.
    pub(super) fn into_routes(self) -> Vec<(Vec<u8>, Route, Interceptors)> {
        self.routes
    }

    fn insert(&mut self, name: &str, route: Route) {
        self.routes.push((format!("/{}/{name}", self.service).into_bytes(), route, self.interceptors.clone()));
    }
}
