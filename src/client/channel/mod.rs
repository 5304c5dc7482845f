//! The channel on the current loop: what tonic's generated clients call through.
//!
//! * `endpoint` is where it goes and how it behaves; `response` what a caller gets.
//! * `exchange` is one call, between its caller and its connection; `outgoing` its request.
//! * `shared` knows the calls that wait and the connection that takes them; `connector` makes connections, `backoff` says when again.
//! * `driver` is the task of a connection, `intake` takes what comes to its calls; `link` is what callers leave for it, `keepalive` when it asks whether the
//!   server is there, `refusal` what it does when the server takes no stream.

mod backoff;
mod connector;
mod driver;
mod endpoint;
mod exchange;
mod intake;
mod keepalive;
mod link;
mod outgoing;
mod refusal;
mod response;
mod shared;

use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, Request};
use loopswap_rt::{OnThread, deadline_after, now, sleep};
use tonic::Status;
use tonic::body::Body;
use tower_service::Service;

use crate::Error;
use crate::grpc::{current_deadline, parse_timeout};
use crate::observe::current_trace;

pub use endpoint::Endpoint;
pub use response::{ResponseBody, ResponseFuture};

use exchange::Exchange;
use outgoing::{GRPC_TIMEOUT, Outgoing};
use response::{Caller, elsewhere};
use shared::Shared;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A channel to a server, on the loop of the thread that made it: see the [module](crate::client).
///
/// Clones share one connection. It is `Send`, so that tonic's services can hold it; on another thread than its own its calls fail with INTERNAL. When the last
/// clone is dropped it closes as by [`close`](Self::close), which waits for nobody; dropped on another thread, it is left to the end of its loop.
#[derive(Clone)]
pub struct Channel {
    handle: Arc<OnThread<Handle>>,
}

/// All clones of a channel.
struct Handle {
    shared: Rc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Channel {
    /// A channel on the loop that runs this thread, which connects when it is first used: [`Endpoint::connect_lazy`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage): the URI means nothing; this thread runs no loop.
    pub fn connect_lazy(uri: &str) -> Result<Self, Error> {
        Endpoint::new(uri)?.connect_lazy()
    }

    /// A channel on the loop that runs this thread, which is connected: [`Endpoint::connect`].
    ///
    /// # Errors
    ///
    /// As [`connect_lazy`](Self::connect_lazy); [`ErrorKind::Connect`](crate::ErrorKind::Connect): nobody answers.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
    pub async fn connect(uri: &str) -> Result<Self, Error> {
        Endpoint::new(uri)?.connect().await
    }

    fn on_this_loop(endpoint: Endpoint) -> Self {
        Self { handle: Arc::new(OnThread::new(Handle { shared: Shared::new(endpoint) })) }
    }

    fn shared(&self) -> Result<&Rc<Shared>, Status> {
        self.handle.get().map(|handle| &handle.shared).ok_or_else(elsewhere)
    }

    /// Waits until there is a connection.
    async fn ready(&self) -> Result<(), Status> {
        let shared = self.shared()?;
        shared.connect();
        poll_fn(|cx| shared.poll_connected(cx)).await
    }

    /// Takes no more calls, and waits until those under way have ended and the connection is closed: what a worker's stop hook does. Calls that come later
    /// fail with UNAVAILABLE.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting, not the closing.
    pub async fn close(&self) {
        let Ok(shared) = self.shared() else { return };
        shared.close();
        poll_fn(|cx| shared.poll_ended(cx)).await;
    }

    fn begin(&self, request: Request<Body>) -> Result<Caller, Status> {
        let shared = self.shared()?;
        let (mut head, body) = request.into_parts();
        let now = now();
        let asked = match head.headers.get(GRPC_TIMEOUT) {
            Some(value) => Some(parse_timeout(value.as_bytes()).ok_or_else(|| {
                Status::internal(format!("the request's grpc-timeout is {value:?}, which is none; set it by tonic::Request::set_timeout"))
            })?),
            None => None,
        };
        let timeout = asked.into_iter().chain(shared.timeout()).min();
        let inherited = if shared.endpoint.inherits_deadlines { current_deadline() } else { None };
        let deadline = timeout.map(|timeout| deadline_after(now, timeout)).into_iter().chain(inherited).min();
        if shared.endpoint.inherits_trace {
            tell_trace(&mut head.headers);
        }
        let exchange = Exchange::new(Outgoing::new(head, body), deadline);
        shared.submit(Rc::clone(&exchange))?;
        let deadline = deadline.map(|deadline| sleep(deadline.saturating_duration_since(now)));
        Ok(Caller { shared: Rc::clone(shared), exchange, deadline })
    }
}

/// Tells whose part the call is, where it is one of a call that has a trace and says nothing of it itself.
fn tell_trace(fields: &mut HeaderMap) {
    let Some(trace) = current_trace() else { return };
    if !fields.contains_key(TRACEPARENT) {
        fields.insert(TRACEPARENT, trace.traceparent());
        fields.remove(TRACESTATE);
        trace.tracestate().map(|state| fields.insert(TRACESTATE, state));
    }
}

impl Service<Request<Body>> for Channel {
    type Response = http::Response<ResponseBody>;
    type Error = Status;
    type Future = ResponseFuture;

    /// Always ready: a call waits by itself until there is a connection that takes it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        self.begin(request).map_or_else(ResponseFuture::failed, ResponseFuture::running)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = self.shared().map_or("of another thread", |shared| shared.endpoint.uri());
        f.debug_struct("Channel").field("uri", &uri).finish_non_exhaustive()
    }
}
