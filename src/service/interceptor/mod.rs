//! What stands between the arrival of a call and its method: interceptors, of local services and of tonic's.
//!
//! * here: what a user implements, and those of tonic's shape. `chain` runs them.
//!
//! A method without interceptors knows nothing of them, and pays nothing.

mod chain;

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::grpc::Request;
use crate::service::connect_info;

pub use chain::Next;
pub(super) use chain::intercepted;

/// Stands around the calls of a method: it sees their heads before any message is read, lets them go on or not, and sees how they end.
///
/// What it does before [`Next::run`] happens before the method and before any message is decoded: look at [path](Request::path), metadata, deadline and
/// [peer](Request::remote_addr), leave values in the [extensions](Request::extensions_mut) for the handler, change the metadata that it sees, refuse the call with
/// a status. What it does behind it happens when the method has ended, whose messages are sent by then, but not its end: it may add trailers, or end the call with
/// another status. It is async, may hold what is not [`Send`] and await the loop's own I/O; a call's deadline and its cancellation drop it with the call.
///
/// A request that its head refuses, and a path that leads nowhere, never come to an interceptor: the path that it sees is the one that was routed, byte by byte.
///
/// Every `async` closure of this shape is one; a worker has one of each, which its calls share.
///
/// ```
/// use loopswap::greeter::{GreeterServer, Hello};
/// use loopswap::{Next, Request, Status};
///
/// let greeter = GreeterServer::new(Hello).intercept(async |request: Request<()>, next: Next| {
///     if request.metadata().get("authorization").is_none() {
///         return Err(Status::unauthenticated("who are you?"));
///     }
///     let start = loopswap::rt::now();
///     let mut trailers = next.run(request).await?;
///     let took = (loopswap::rt::now() - start).as_micros();
///     trailers.insert("took-us", took.to_string().parse().expect("digits are ASCII"));
///     Ok(trailers)
/// });
/// ```
///
/// # Cancel safety
///
/// Dropping the future drops the method with it. An interceptor that drops the future of [`Next::run`] cuts the method off, and what it returns then ends the call.
pub trait Interceptor: 'static {
    /// One call. What it returns ends the answer: well, with these trailers, or with the status.
    fn intercept(&self, request: Request<()>, next: Next) -> impl Future<Output = Result<MetadataMap, Status>>;
}

impl<F> Interceptor for F
where
    F: AsyncFn(Request<()>, Next) -> Result<MetadataMap, Status> + 'static,
{
    async fn intercept(&self, request: Request<()>, next: Next) -> Result<MetadataMap, Status> {
        self(request, next).await
    }
}

/// An interceptor of tonic's shape, `FnMut(tonic::Request<()>) -> Result<tonic::Request<()>, Status>`: it sees and changes metadata and extensions, or refuses.
///
/// It sees what tonic's server shows: [`tonic::Request::remote_addr`] too, with the feature `connect-info`.
///
/// ```
/// use loopswap::greeter::{GreeterServer, Hello};
/// use loopswap::{Router, Status, TonicInterceptor};
///
/// fn check(request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
///     match request.metadata().get("authorization") {
///         Some(token) if token == "Bearer secret" => Ok(request),
///         _ => Err(Status::unauthenticated("no valid token")),
///     }
/// }
///
/// let all = Router::new().add(GreeterServer::new(Hello)).intercept(TonicInterceptor::new(check));
/// let one = GreeterServer::with_interceptor(Hello, check);
/// ```
pub struct TonicInterceptor<I> {
    interceptor: RefCell<I>,
}

impl<I: tonic::service::Interceptor + 'static> TonicInterceptor<I> {
    /// Makes an interceptor of one of tonic's.
    pub fn new(interceptor: I) -> Self {
        Self { interceptor: RefCell::new(interceptor) }
    }
}

impl<I: tonic::service::Interceptor + 'static> Interceptor for TonicInterceptor<I> {
    async fn intercept(&self, mut request: Request<()>, next: Next) -> Result<MetadataMap, Status> {
        let (metadata, mut extensions) = request.take_parts();
        connect_info::insert(&mut extensions, request.peer().as_deref());
        // It awaits nothing, so nobody else holds it.
        let seen = self.interceptor.borrow_mut().call(tonic::Request::from_parts(metadata, extensions, ()))?;
        let (metadata, extensions, ()) = seen.into_parts();
        request.set_parts(metadata, extensions);
        next.run(request).await
    }
}

impl<I> fmt::Debug for TonicInterceptor<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TonicInterceptor").finish_non_exhaustive()
    }
}

/// Some interceptors, in the order in which a call meets them. Its clones share them.
#[derive(Clone, Default)]
pub struct Interceptors(Vec<Rc<dyn Erased>>);

impl Interceptors {
    /// Adds one, behind all others: it is the next to the method.
    pub fn push(&mut self, interceptor: impl Interceptor) {
        self.0.push(Rc::new(interceptor));
    }

    /// These, then those.
    pub(super) fn then(&self, others: &Self) -> Self {
        Self(self.0.iter().chain(&others.0).map(Rc::clone).collect())
    }
}

impl fmt::Debug for Interceptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} interceptors", self.0.len())
    }
}

/// An interceptor of any type.
trait Erased {
    fn intercept(self: Rc<Self>, request: Request<()>, next: Next) -> Intercepting;
}

/// An interceptor at work.
type Intercepting = Pin<Box<dyn Future<Output = Result<MetadataMap, Status>>>>;

impl<I: Interceptor> Erased for I {
    fn intercept(self: Rc<Self>, request: Request<()>, next: Next) -> Intercepting {
        Box::pin(async move { Interceptor::intercept(&*self, request, next).await })
    }
}
