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
//! # The map
//!
//! * [`Server`] starts one worker a CPU. A worker is a thread that runs one loop and owns the connections it accepted.
//! * [`Loop`] is the registry: the words, the probe, the reason why a loop cannot run. A third party's loop, any [`rt::Runtime`], is passed where a
//!   `Loop` stands.
//! * [`rt`] holds what a loop promises, and the ambient calls with which a service reaches the loop it runs on: [`rt::sleep`], [`rt::spawn_local`],
//!   [`rt::offload`], [`rt::File`].
//! * [`greeter`] is the demo service, the one of the experiment.

pub use loopswap_rt as rt;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
mod client;
mod error;
pub mod greeter;
mod hyper_engine;
mod hyper_io;
#[cfg(feature = "cli")]
mod load;
mod registry;
mod server;
mod service;

pub use error::{Error, ErrorKind};
pub use registry::{EventLoop, Loop, PassedOver, UseLoop};
pub use server::{Builder, Handle, Limits, Running, Server};
pub use service::TonicService;

/// The README's service, so that it goes on compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
