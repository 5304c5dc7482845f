//! The metrics and the health of a server over HTTP/1.1, for Prometheus, curl and probes.
//!
//! A thread of its own and no loop: it answers while every worker is busy, and nothing of it depends on which loop they run. It serves operators, not the
//! world, and yet is bounded as if it served the world: see [`CLIENTS_MAX`] and the limits of a [`Client`].
//!
//! `request` reads a request's head, `client` is one connection.

mod client;
mod request;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use loopswap_rt::{Address, BoundListener};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::observe::{Metrics, TextFormat};
use crate::{Error, ErrorKind};

use client::Client;
use request::{Method, Reply, Request};

/// Connections at a time. Those beyond wait in the listener's queue, until one is over: 5 s at most.
const CLIENTS_MAX: usize = 16;

/// After an accept has failed, for want of descriptors say, it is not tried again for so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A thread that serves [`Metrics`]. Dropped, it ends.
pub(crate) struct Endpoint {
    address: SocketAddr,
    /// Closed, it wakes the thread and ends it.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Serves them at this address: `IP:PORT`; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// The address means nothing, or cannot be listened on.
    pub(crate) fn start(address: &str, metrics: Metrics) -> Result<Self, Error> {
        let tcp: SocketAddr = address.parse().map_err(|error| {
            Error::usage(format!("bad address `{address}` for metrics: {error}; write IP:PORT or [IPv6]:PORT, as in 127.0.0.1:9464"))
                .with_source(error)
        })?;
        let listener = match crate::server::bind_alone(&Address::from(tcp)) {
            Ok(BoundListener::Tcp(listener)) => listener,
            Ok(BoundListener::Unix(_)) => unreachable!("it is a TCP address"),
            Err(error) => return Err(Error::new(error.kind(), format!("metrics: {error}")).with_source(error)),
        };
        let failed = |error: io::Error| Error::new(ErrorKind::Bind, format!("metrics cannot be served: {error}")).with_source(error);
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = UnixStream::pair().map_err(failed)?;
        let body = move || {
            if let Err(error) = serve(&listener, &stopped, &metrics) {
                tracing::error!("metrics are served no longer: {error}");
            }
        };
        let thread = thread::Builder::new().name("metrics".into()).spawn(body).map_err(failed)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Serves until the other end of `stopped` is closed.
fn serve(listener: &TcpListener, stopped: &UnixStream, metrics: &Metrics) -> io::Result<()> {
    let mut clients: Vec<Client> = Vec::new();
    let mut accept_at = Instant::now();
    loop {
        let now = Instant::now();
        let may_accept = clients.len() < CLIENTS_MAX && accept_at <= now;
        let mut waits = vec![PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::IN)];
        waits.extend(clients.iter().map(|client| PollFd::from_borrowed_fd(client.socket().as_fd(), client.waits_for())));
        if may_accept {
            waits.push(PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN));
        }
        let due = clients.iter().map(Client::deadline).chain((accept_at > now).then_some(accept_at)).min();
        let timeout = due
            .map(|due| due.saturating_duration_since(now))
            .map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() });
        match poll(&mut waits, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let has_something: Vec<_> = waits.iter().map(|wait| !wait.revents().is_empty()).collect();
        drop(waits);
        if has_something[0] {
            return Ok(());
        }
        let now = Instant::now();
        let mut place = 0;
        clients.retain_mut(|client| {
            place += 1;
            client.deadline() > now && (!has_something[place] || client.go_on(|request| answer(request, metrics)))
        });
        if may_accept && has_something[has_something.len() - 1] {
            match listener.accept().and_then(|(socket, _)| Client::new(socket, now)) {
                Ok(client) => clients.push(client),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => accept_at = now + ACCEPT_PAUSE,
            }
        }
    }
}

/// What is answered.
fn answer(request: &Request<'_>, metrics: &Metrics) -> Reply {
    let reply = match request.path {
        "/metrics" => {
            let format = TextFormat::accepted(request.accept);
            Reply::new("200 OK", format.content_type(), metrics.render(format))
        }
        // The process lives: it answers.
        "/healthz" => Reply::text("200 OK", "alive"),
        "/readyz" if metrics.is_serving() => Reply::text("200 OK", "serving"),
        "/readyz" => Reply::text("503 Service Unavailable", "not serving"),
        _ => return Reply::text("404 Not Found", "there are: /metrics, /healthz, /readyz"),
    };
    match request.method {
        Method::Get | Method::Head => reply,
        Method::Other => Reply::text("405 Method Not Allowed", "GET and HEAD alone").with("allow: GET, HEAD\r\n"),
    }
}
