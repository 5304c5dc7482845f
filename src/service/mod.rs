//! What a server serves, and how the engines call it.

mod contained;

use std::convert::Infallible;
use std::error::Error as StdError;

use bytes::Bytes;
use http::{Request, Response};
use tonic::body::Body;

pub(crate) use contained::Contained;

/// A service that tonic generated (or any tower service of this shape), as it is: it runs unchanged on every loop.
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
