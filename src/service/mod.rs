//! What a server serves: services that were written for it, services that tonic generated, and the way from a path to either.
//!
//! * `methods` is what generated code fills with a service's methods; `kinds` runs a method of each of the four kinds.
//! * `interceptor` stands around methods.
//! * `router` finds the method that a path names; `layered` puts tonic's services into tower layers on their way into it.
//! * `bridge` runs a tonic service on the transport of a call; `body` is the request that such a service reads, `connect_info` what it is told of
//!   its connection.
//!
//! What a call may be, and how it is answered, is `grpc`'s.

mod body;
mod bridge;
mod connect_info;
mod interceptor;
mod kinds;
mod layered;
mod methods;
mod router;

use std::convert::Infallible;
use std::error::Error as StdError;

use bytes::Bytes;
use http::{Request, Response};
use tonic::body::Body;

pub use interceptor::{Interceptor, Interceptors, Next, TonicInterceptor};
pub use layered::LayeredRouter;
pub use methods::Methods;
pub use router::Router;
pub use tonic::service::Interceptor as SyncInterceptor;

/// A service as our generator makes it: its methods are native `async fn`s, which may hold what is not [`Send`] and await the loop's own I/O.
///
/// Implemented by generated servers. A worker has one of each, and calls it on its own thread alone.
pub trait LocalService: 'static {
    /// The service's full name in its .proto: `helloworld.Greeter`.
    const NAME: &'static str;

    /// Names each method, and says what runs it.
    fn register(self, methods: &mut Methods);
}

/// A service that tonic generated (or any tower service of this shape), as it is: it runs unchanged on every loop and engine.
///
/// Implemented for every type that fits. A worker calls a clone for each call, on its own thread.
pub trait TonicService:
    tower_service::Service<Request<Body>, Response = Response<Self::ResponseBody>, Error = Infallible, Future = Self::CallFuture>
    + Clone
    + 'static
{
    /// The body of its answers.
    type ResponseBody: http_body::Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>> + 'static;
    /// A call under way.
    type CallFuture: Future<Output = Result<Response<Self::ResponseBody>, Infallible>> + 'static;
}

impl<S, B> TonicService for S
where
    S: tower_service::Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + 'static,
    S::Future: 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>> + 'static,
{
    type ResponseBody = B;
    type CallFuture = S::Future;
}
