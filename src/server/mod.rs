//! The server: from a builder to workers that serve.
//!
//! * `supervisor` starts all workers or none, and ends them together; `threads` waits for their ends, as long as it may take; `listen` binds.
//! * `acceptor` accepts for all workers, where they cannot or shall not do it themselves; `places` counts the connections that are open, of which there are no more
//!   than `descriptors` allows.
//! * `worker` accepts on one loop and drains; `accept` judges accept errors; `orders` is how a worker learns of the drain, `phase` how a connection does.
//! * `care` is how long a connection may be idle, and how old it may grow; `alarms` is the one timer by which a worker's connections look after that.
//! * `health` tells clients whether the server serves; `channelz` tells those who debug it of its calls and sockets.
//! * `engine` is the seam to what speaks HTTP/2; `counters` says how often peers reached a limit; `handshake` is what an engine that cannot tell keeps
//!   the handshake's deadline by.
//! * `observe` is what is asked for of `crate::observe`; `grpc_web` how the server is told of gRPC-Web.
//! * `systemd` is what a service manager is told.
//! * `hooks` is what a worker does before it serves and after.
//! * `overload` says when a worker has enough; `watchdog` sees loops that stand still; `peer_log` keeps peers from filling the log.
//! * `security` is what is put on an accepted connection, TLS or nothing; `tls` how the server is told.
//! * `words` is how choices are written and read.
//! * `lone` serves a connection that no worker has accepted.

mod accept;
mod acceptor;
mod alarms;
mod care;
pub(crate) mod channelz;
mod counters;
mod descriptors;
mod engine;
#[cfg(feature = "grpc-web")]
mod grpc_web;
mod handshake;
pub(crate) mod health;
mod hooks;
mod listen;
mod lone;
mod observe;
mod orders;
mod overload;
mod peer_log;
mod phase;
mod places;
mod security;
mod supervisor;
mod systemd;
mod threads;
#[cfg(feature = "tls")]
mod tls;
mod watchdog;
mod words;
mod worker;

use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use loopswap_rt::{Runtime, Worker};

use crate::http2::Limits;
use crate::observe::Wanted;
#[cfg(feature = "otel")]
use crate::observe::{Otlp, Spans};
use crate::service::Router;
use crate::{Error, EventLoop, UseLoop};

pub(crate) use care::{Care, Due};
pub(crate) use counters::Counted;
pub use counters::Counters;
pub use engine::Http2;
pub(crate) use engine::{Closed, Engine, House};
#[cfg(feature = "grpc-web")]
pub use grpc_web::GrpcWeb;
pub(crate) use handshake::Handshake;
pub use health::{Health, ServingStatus};
pub use hooks::Started;
pub use listen::Balance;
use listen::Listening;
pub(crate) use listen::bind_alone;
pub use lone::Lone;
pub use overload::Overload;
#[cfg(feature = "grpc-web")]
pub(crate) use peer_log::About;
pub(crate) use peer_log::PeerLog;
pub(crate) use phase::{Phase, PhaseWatch};
pub use supervisor::{Handle, Running};

/// A gRPC server: see [`Server::builder`].
#[derive(Debug)]
pub struct Server {
    _private: (),
}

impl Server {
    /// A server with the defaults: 127.0.0.1:9999, one worker for each CPU that this process may use, not pinned, 25 s to drain.
    pub fn builder() -> Builder {
        Builder {
            listening: Listening::default(),
            n_workers: thread::available_parallelism().map_or(1, NonZero::get),
            pin_cpus: false,
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(25),
            health: None,
            http2: Http2::default(),
            limits: Limits::default(),
            overload: Overload::default(),
            hook_timeout: hooks::HOOK_TIMEOUT,
            #[cfg(feature = "tls")]
            tls: tls::Wanted::default(),
            #[cfg(feature = "grpc-web")]
            grpc_web: None,
            descriptors: descriptors::Wanted::default(),
            observe: Wanted::default(),
            metrics_address: None,
            #[cfg(feature = "otel")]
            otlp: None,
            channelz: false,
        }
    }
}

/// A server to be.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `serve` or `start`"]
pub struct Builder {
    listening: Listening,
    n_workers: usize,
    pin_cpus: bool,
    drain_delay: Duration,
    drain_timeout: Duration,
    health: Option<Health>,
    http2: Http2,
    limits: Limits,
    overload: Overload,
    hook_timeout: Duration,
    #[cfg(feature = "tls")]
    tls: tls::Wanted,
    #[cfg(feature = "grpc-web")]
    grpc_web: Option<GrpcWeb>,
    descriptors: descriptors::Wanted,
    observe: Wanted,
    metrics_address: Option<String>,
    #[cfg(feature = "otel")]
    otlp: Option<Otlp>,
    channelz: bool,
}

impl Builder {
    /// How many workers: threads with a loop each. Default: the CPUs that this process may use.
    pub fn workers(mut self, n: usize) -> Self {
        self.n_workers = n;
        self
    }

    /// Whether each worker is pinned to a CPU of its own, in turn. Default: no.
    pub fn pin_cpus(mut self, pin: bool) -> Self {
        self.pin_cpus = pin;
        self
    }

    /// How long the server goes on accepting and serving after it was told to drain, while its health says NOT_SERVING: the time that load balancers
    /// take to notice and go elsewhere. Default: none.
    pub fn drain_delay(mut self, delay: Duration) -> Self {
        self.drain_delay = delay;
        self
    }

    /// How long calls under way may take to end once the server drains; then they are cut. Default: 25 s, less than the 30 s after which
    /// Kubernetes kills.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Serves this as `grpc.health.v1.Health`, beside the services of each worker, and tells it of them and of the drain. A service of that name among
    /// them is replaced. Default: not served.
    pub fn health(mut self, health: Health) -> Self {
        self.health = Some(health);
        self
    }

    /// What speaks HTTP/2. Default: [`Http2::Native`].
    pub fn http2(mut self, engine: Http2) -> Self {
        self.http2 = engine;
        self
    }

    /// What a connection may cost, and how long it may live. Limits that make no sense ([`Limits::check`]) keep the server from starting.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// When a worker has enough.
    pub fn overload(mut self, overload: Overload) -> Self {
        self.overload = overload;
        self
    }

    /// Serves until SIGTERM or SIGINT, drains, and returns; and tells systemd, where that [wants to know](Running::notify_systemd). `make_service` is called once on each
    /// worker, on its loop.
    ///
    /// # Errors
    ///
    /// The server did not start: see [`start`](Self::start). Or it did not end in order: see [`Running::wait`].
    pub fn serve<L, S, F>(self, event_loop: L, make_service: F) -> Result<(), Error>
    where
        L: EventLoop,
        S: Into<Router>,
        F: Fn(&Worker) -> S + Send + Sync + 'static,
    {
        let mut running = self.start(event_loop, make_service)?;
        running.drain_on_signals()?;
        running.notify_systemd();
        running.wait()
    }

    /// Starts the server in threads of its own, and returns when it listens. Signals are left alone.
    ///
    /// # Errors
    ///
    /// An address means nothing, or cannot be listened on; there are no workers; the limits make no sense, the [maximum of connections](Self::max_connections) among
    /// them; the loop cannot run here, in which case nothing was bound.
    pub fn start<L, S, F>(self, event_loop: L, make_service: F) -> Result<Running, Error>
    where
        L: EventLoop,
        S: Into<Router>,
        F: Fn(&Worker) -> S + Send + Sync + 'static,
    {
        struct Start<F> {
            plan: supervisor::Plan,
            make_service: F,
        }
        impl<S, F> UseLoop for Start<F>
        where
            S: Into<Router>,
            F: Fn(&Worker) -> S + Send + Sync + 'static,
        {
            type Output = Result<Running, Error>;
            fn with<R: Runtime>(self, runtime: R) -> Self::Output {
                let Self { plan, make_service } = self;
                supervisor::start(runtime, plan, async move |worker: &Worker| Ok(Started::new(make_service(worker))))
            }
        }
        let plan = self.plan()?;
        event_loop.with(Start { plan, make_service })
    }

    fn plan(self) -> Result<supervisor::Plan, Error> {
        let doors = self.listening.doors()?;
        if self.n_workers == 0 {
            return Err(Error::usage("0 workers serve nobody; ask for 1 or more"));
        }
        self.limits.check().map_err(Error::usage)?;
        self.overload.check()?;
        #[cfg(feature = "grpc-web")]
        let origins = self.grpc_web.map(|grpc_web| grpc_web.load(self.http2)).transpose()?;
        #[cfg(not(feature = "grpc-web"))]
        let origins = None;
        let max_connections = self.descriptors.max_connections()?;
        #[cfg(feature = "tls")]
        let security = self.tls.load(origins.is_some())?;
        #[cfg(not(feature = "tls"))]
        let security = security::Security::default();
        let counters = Arc::new(Counters::new());
        let Self { http2, limits, overload, drain_timeout, mut observe, .. } = self;
        let sockets = self.channelz.then(|| {
            // The calls that it tells of.
            observe.metrics.get_or_insert_default();
            channelz::Sockets::new()
        });
        #[cfg(feature = "otel")]
        {
            observe.exports = self.otlp.as_ref().map(|otlp| Arc::new(Spans::new(otlp)));
        }
        let setup = worker::Setup { http2, limits, overload, counters, security, origins, drain_timeout, observe, sockets };
        Ok(supervisor::Plan {
            doors,
            max_connections,
            n_workers: self.n_workers,
            pin_cpus: self.pin_cpus,
            setup,
            hook_timeout: self.hook_timeout,
            drain_delay: self.drain_delay,
            health: self.health,
            metrics_address: self.metrics_address,
            #[cfg(feature = "otel")]
            otlp: self.otlp,
        })
    }
}
