//! What a worker does that has enough: it refuses calls over its limits and such as it has no time for, keeps its memory and its log within bounds, and tells when a
//! handler blocks it.

mod blocked;
mod limits;
mod memory;
mod peer_log;
mod shedding;
mod stalls;

use loopswap::{Builder, Http2};

use crate::examples::example;
use crate::leaks::Hosted;
use crate::raw::{Connection, Response, status};
use crate::support::{Puppet, Served, serve_puppet, served};

/// Serves a [`Puppet`] on this loop and engine.
fn puppet(runtime: &str, engine: &str, configure: impl FnOnce(Builder) -> Builder) -> (Hosted, Puppet) {
    let engine: Http2 = engine.parse().expect("it is one");
    serve_puppet(runtime, |builder| configure(builder.http2(engine)))
}

fn open(running: &Hosted) -> Connection {
    Connection::open(running.local_addr().as_tcp().expect("it listens on TCP"), &[])
}

/// Serves the Greeter whose handlers compute.
fn busy(runtime: &str, engine: &str, args: &[&str]) -> Served {
    served(example("busy_server").args(["--runtime", runtime, "--http2", engine]).args(args))
}

/// The call was refused, alone and for the reason of this name.
fn assert_refused(response: &Response, limit: &str) {
    assert_eq!((response.http(), response.grpc()), (200, Some(status::RESOURCE_EXHAUSTED)), "{response:?}");
    assert_eq!((response.blocks.len(), response.body.len()), (1, 0), "by trailers alone: {response:?}");
    let message = response.field("grpc-message").expect("it says why").replace("%20", " ");
    assert!(message.starts_with(limit), "{message}");
}
