//! loopswap: a gRPC server framework whose event loop is a word at launch.
//!
//! A service is written once. The loop under it, standard tokio, tokio-uring on io_uring, or thread-per-core glommio, is a value that is chosen
//! when the program starts:
//!
//! ```no_run
//! use loopswap::greeter::{GreeterServer, Hello};
//! use loopswap::{Loop, Server};
//!
//! fn main() -> Result<(), loopswap::Error> {
//!     Server::builder().listen("[::]:9999").serve(Loop::choose("tokio-uring")?, |_worker| GreeterServer::new(Hello))
//! }
//! ```
//!
//! The guide, `docs/guide/` in the repository, has a page a task: write a service, choose a loop, call other services, move a service from tonic.
//!
//! # The map
//!
//! * [`Server`] starts one worker a CPU. A worker is a thread that runs one loop and owns the connections it accepted.
//! * [`Loop`] is the registry: the words, the probe, the reason why a loop cannot run. A third party's loop, any [`rt::Runtime`], is passed where a
//!   `Loop` stands.
//! * [`rt`] holds what a loop promises, and the ambient calls with which a service reaches the loop it runs on: [`rt::sleep`], [`rt::spawn_local`],
//!   [`rt::offload`], [`rt::File`].
//! * [`Router`] puts services next to each other: those of `loopswap-build`, and those that tonic generated ([`TonicService`]).
//! * [`tls`] is TLS and mutual TLS, for servers and clients.
//! * [`client`] is a gRPC client on the loop of the worker that made it, for handlers that call other services.
//! * [`Health`] tells load balancers whether the server serves.
//! * [`Limits`] is what a connection may cost, [`Overload`] when a worker has enough, [`Counters`] how often either was reached.
//! * [`Metrics`] is what a server has done, for Prometheus; [`Builder::call_spans`] gives each call a span of `tracing`, and the feature `otel` exports spans to an
//!   OpenTelemetry collector. [`TraceContext`] is the trace that a call belongs to.
//! * [`greeter`] is the demo service, the one of the experiment; [`blocks`] is the one that reads and writes a file.

// Generated code names this crate by its absolute path, here as elsewhere.
extern crate self as loopswap;

pub use futures_core::Stream;
pub use loopswap_rt as rt;

pub mod blocks;
#[cfg(feature = "cli")]
pub mod cli;
pub mod client;
mod error;
pub mod greeter;
mod grpc;
pub mod http2;
mod hyper_engine;
mod hyper_io;
mod include_proto;
mod jitter;
#[cfg(feature = "cli")]
mod load;
mod native_engine;
mod observe;
mod pulse;
mod ready;
mod registry;
mod server;
pub mod service;
mod socket;
#[cfg(feature = "tls")]
pub mod tls;

pub use error::{Error, ErrorKind};
pub use grpc::{Compression, MessageCompression, MessageLimits, Replies, Request, Response, Streaming, current_deadline};
pub use http2::Limits;
#[cfg(feature = "otel")]
pub use observe::Otlp;
pub use observe::{Metrics, TextFormat, TraceContext, current_trace};
pub use registry::{EventLoop, Loop, PassedOver, UseLoop};
#[cfg(feature = "grpc-web")]
pub use server::GrpcWeb;
#[doc(hidden)]
pub use server::Lone;
pub use server::{Balance, Builder, Counters, Handle, Health, Http2, Overload, Running, Server, ServingStatus, Started};
pub use service::{Interceptor, Interceptors, LayeredRouter, LocalService, Methods, Next, Router, TonicInterceptor, TonicService};
pub use tonic::codec::CompressionEncoding;
pub use tonic::{Code, Status, metadata};

#[cfg(doctest)]
mod guide;

/// The README's service, so that it goes on compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
