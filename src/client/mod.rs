//! A gRPC client that lives on the current loop.
//!
//! A [`Channel`] is what tonic's generated clients call through. It is made on a worker, and connects, waits and wakes by that worker's loop, whichever it is:
//! no other runtime, and no other thread, takes part.
//!
//! * All four kinds of methods, with back-pressure both ways, metadata and trailers. A call that is dropped is cancelled on the server (RST_STREAM, CANCEL).
//! * It connects when first used, tries a name's addresses in turn, and connects again after a failure: at once after a connection that worked, otherwise
//!   after gRPC's back-off (1 s, 1.6 times longer each time, 120 s at most, give or take a fifth). Until then calls fail with UNAVAILABLE, or wait
//!   ([`Endpoint::wait_for_ready`]).
//! * Calls wait while the server allows no more streams. Those that it has not looked at, because it goes away (GOAWAY) or refuses them (REFUSED_STREAM),
//!   are made again, once (gRFC A6), if no more than 256 KiB of them had been sent: on the next connection where the server goes away, and otherwise when
//!   another call has ended or 20 ms have passed.
//! * An answer that is not gRPC's, a proxy's say, ends its call with what its HTTP status means (http-grpc-status-mapping.md).
//! * A deadline is told to the server and kept here as well. A call that a handler makes ends with the handler's own deadline at the latest
//!   ([`current_deadline`](crate::current_deadline)), and tells its server the trace that the handler's is a part of ([`current_trace`](crate::current_trace)).
//!
//! It does not balance over addresses, retry by policy or compress by itself; tonic's generated clients compress.
//!
//! # Examples
//!
//! A Greeter that asks another. The channel is made on each worker, in the server's start hook, and closed in its stop hook:
//!
//! ```no_run
//! use loopswap::client::Channel;
//! use loopswap::greeter::{Greeter, GreeterClient, GreeterServer, HelloReply, HelloRequest};
//! use loopswap::{Loop, Request, Response, Server, Started, Status};
//!
//! struct Relay {
//!     upstream: GreeterClient<Channel>,
//! }
//!
//! impl Greeter for Relay {
//!     async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
//!         // Until this handler's deadline; dropped with it.
//!         let reply = self.upstream.clone().say_hello(request.into_inner()).await?;
//!         Ok(Response::new(reply.into_inner()))
//!     }
//! }
//!
//! fn main() -> Result<(), loopswap::Error> {
//!     Server::builder().serve_with(Loop::choose("tokio-uring")?, async |_worker| {
//!         let channel = Channel::connect_lazy("http://127.0.0.1:50051")?;
//!         let service = GreeterServer::new(Relay { upstream: GreeterClient::new(channel.clone()) });
//!         Ok::<_, loopswap::Error>(Started::new(service).on_stop(async move { channel.close().await }))
//!     })
//! }
//! ```

// The library's: the channel, in `channel`; `reset` is what a reset means, `security` puts TLS on connections, `foreign` what an answer that is not gRPC's, `timeout` writes grpc-timeout, `code` names status codes, `hint` guesses what a server speaks that does not
// speak HTTP/2.
//
// For `loopswap call` and `load`, calls as bytes that are made again and again. A call sends all its messages ahead; nothing waits for a reply before it
// sends the next.
// * `target` turns what a person wrote into addresses, and says what to do when nobody answers there.
// * `prepared` is a call as bytes, so that making it again costs no encoding, and the reply that is expected, so that a right one is only compared.
// * `prepared_channel` is a connection with its calls: one receive, all its frames, the ends of calls, new calls, one send. It is no task: who owns it polls it.
// * `answer` reads what comes back for a call, one message or a stream of them; `status` knows the rules by which an answer, or its absence, becomes a gRPC status.
// * `once` makes one call.

#[cfg(feature = "cli")]
mod answer;
mod channel;
mod foreign;
mod hint;
#[cfg(feature = "cli")]
mod once;
#[cfg(feature = "cli")]
mod prepared;
#[cfg(feature = "cli")]
mod prepared_channel;
mod reset;
mod security;
#[cfg(feature = "cli")]
mod status;
#[cfg(feature = "cli")]
mod target;
mod timeout;

pub use channel::{Channel, Endpoint, ResponseBody, ResponseFuture};

#[cfg(feature = "cli")]
pub(crate) use {
    answer::Ended,
    once::{SAY_HELLO, call_once, run_on},
    prepared::{Inspector, Prepared, Wording},
    prepared_channel::{PreparedChannel, Ticket},
    status::late,
    target::Target,
};
