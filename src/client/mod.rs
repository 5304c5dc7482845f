//! A gRPC client that lives on the current loop: unary calls over HTTP/2, spoken by h2 on a connection of any [`Runtime`].
//!
//! * `target` turns what a person wrote into addresses, and says what to do when nobody answers there.
//! * `channel` opens a connection, whose driver is a task of the loop, and makes calls on it.
//! * `prepared` is a call as bytes, so that making it again costs no encoding; `reply` reads what comes back; `status` knows the rules by which an
//!   answer, or its absence, becomes a gRPC status.
//!
//! No streaming, TLS, compression or balancing: it serves `loopswap call` and `loopswap load`.

mod channel;
mod prepared;
mod reply;
mod status;
mod target;

use loopswap_rt::{Runtime, Worker};

use crate::Error;

pub(crate) use channel::{Channel, Failure};
pub(crate) use prepared::Prepared;
pub(crate) use status::code_name;
pub(crate) use target::Target;

/// The path of the Greeter's one method.
pub(crate) const SAY_HELLO: &str = "/helloworld.Greeter/SayHello";

/// Runs a client's future on a loop of its own, on this thread.
///
/// # Errors
///
/// The loop cannot run here; and what the future ends with.
pub(crate) fn run_on<R, F, T>(runtime: &R, main: impl FnOnce() -> F) -> Result<T, Error>
where
    R: Runtime,
    F: Future<Output = Result<T, Error>> + 'static,
    T: 'static,
{
    runtime.probe().and_then(|()| runtime.run(&Worker::new(0), main)).map_err(|why| Error::unavailable(R::NAME, why))?
}
