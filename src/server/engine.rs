//! The seam between a server and what speaks HTTP/2 for its connections.
//!
//! It exists because the experiment has two axes: the loop, and the HTTP/2 engine. An engine knows its connection's type and nothing of sockets,
//! and is told by the worker's phase when to drain.

use std::fmt;

use loopswap_rt::Runtime;

use crate::server::{Limits, PhaseWatch};

/// What speaks HTTP/2 for a connection.
pub(crate) trait Engine<S>: Copy + 'static {
    /// Serves one connection until its peer closes it, or it has been drained, or the server stops.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection at once and drops its calls.
    async fn serve<R: Runtime>(self, runtime: R, connection: R::Connection, service: S, limits: &Limits, phases: PhaseWatch) -> Closed;
}

/// Why a connection was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// By its peer, or after a drain.
    Orderly,
    /// By the handshake's deadline.
    NoHandshake,
    /// Because the server stops; calls on it were cut.
    Stopped,
    /// By an error of the peer or of the network.
    Broken(String),
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Orderly => f.write_str("all calls done"),
            Self::NoHandshake => f.write_str("no HTTP/2 handshake within the time allowed"),
            Self::Stopped => f.write_str("the server stops"),
            Self::Broken(why) => f.write_str(why),
        }
    }
}
