//! The seam between a server and what speaks HTTP/2 for its connections.
//!
//! It exists because the experiment has two axes: the loop, and the HTTP/2 engine. An engine knows its connection's type and nothing of sockets,
//! and is told by the worker's phase when to drain.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use loopswap_rt::{Address, Runtime, now};

use crate::grpc::{Admission, WorkerPartials};
use crate::http2::{Limits, Violation};
use crate::hyper_engine::Origins;
use crate::observe::Observer;
use crate::pulse::Pulse;
use crate::server::peer_log::{About, PeerLog};
use crate::server::security::Security;
use crate::server::words::by_word;
use crate::server::{Counters, Overload, PhaseWatch};
use crate::service::Router;
use crate::socket::Socket;

/// What speaks HTTP/2 for a connection.
pub(crate) trait Engine: Copy + 'static {
    /// Serves one connection until its peer closes it, or it has been drained, or the server stops; and logs how it ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection at once and drops its calls.
    fn serve<R: Runtime>(
        self,
        runtime: R,
        connection: Socket<R::Connection>,
        router: Router,
        house: Rc<House>,
        phases: PhaseWatch,
    ) -> impl Future<Output = Closed> + 'static;
}

/// What all connections of a worker share.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) limits: Rc<Limits>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) security: Security,
    /// Whose pages may call by gRPC-Web, where that is spoken.
    pub(crate) origins: Option<Arc<Origins>>,
    /// What looks at its calls, if anything does.
    pub(crate) observer: Option<Rc<Observer>>,
    /// `None` where all calls are let in.
    pub(crate) admission: Option<Rc<Admission>>,
    pub(crate) partials: Rc<WorkerPartials>,
    pub(crate) log: Rc<PeerLog>,
}

impl House {
    /// Of a worker whose loop's tick is seen in this pulse.
    pub(crate) fn new(
        limits: Limits,
        overload: &Overload,
        counters: Arc<Counters>,
        pulse: Arc<Pulse>,
        observer: Option<Rc<Observer>>,
        security: Security,
        origins: Option<Arc<Origins>>,
    ) -> Rc<Self> {
        let log = Rc::new(PeerLog::default());
        let (counts, says) = (Arc::clone(&counters), Rc::clone(&log));
        let tell = move |violation| {
            counts.count(violation);
            says.say(About::Refused, now(), || tracing::warn!("call refused: {violation}"));
        };
        let partials = WorkerPartials::new(overload.partial_messages_bytes_max, limits.partial_messages_bytes_max);
        Rc::new(Self {
            limits: Rc::new(limits),
            counters,
            security,
            origins,
            observer,
            admission: Admission::new(overload.capacity(), pulse, Box::new(tell)),
            partials,
            log,
        })
    }
}

/// The HTTP/2 engine of a server, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http2 {
    /// Ours: [`crate::http2`].
    #[default]
    Native,
    /// hyper and h2, which stock tonic stands on.
    Hyper,
}

impl Http2 {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Native, Self::Hyper];

    /// Its word, as `--http2` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Hyper => "hyper",
        }
    }
}

by_word!(Http2, "HTTP/2 engine");

/// Why a connection was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// By its peer, or after a drain.
    Orderly,
    /// By the handshake's deadline.
    NoHandshake,
    /// Because the server stops; calls on it were cut.
    Stopped,
    /// Because its time was over: it was too old, and its calls had not ended, or its peer was gone.
    Cut(Violation),
    /// By an error of the peer or of the network, before the peer had opened HTTP/2: it looks for another server, or for holes.
    Unopened(String),
    /// By an error of the peer or of the network.
    Broken(String),
}

impl Closed {
    /// The same of a connection on which the peer has not opened HTTP/2.
    pub(crate) fn unopened(self) -> Self {
        match self {
            Self::Broken(why) => Self::Unopened(why),
            other => other,
        }
    }

    /// Logs how the connection to this peer has ended.
    pub(crate) fn log(&self, peer: &Address, log: &PeerLog, now: Instant) {
        let about = match self {
            Self::Orderly | Self::Stopped | Self::Cut(_) | Self::Unopened(_) => return tracing::debug!(%peer, "connection closed: {self}"),
            Self::NoHandshake => About::NoHandshake,
            Self::Broken(_) => About::Broken,
        };
        log.say(about, now, || tracing::info!(%peer, "connection closed: {self}"));
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Orderly => f.write_str("all calls done"),
            Self::NoHandshake => f.write_str("no HTTP/2 handshake within the time allowed"),
            Self::Stopped => f.write_str("the server stops"),
            Self::Cut(limit) => write!(f, "cut: {limit}"),
            Self::Unopened(why) | Self::Broken(why) => f.write_str(why),
        }
    }
}
