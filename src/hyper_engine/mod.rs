//! The engine `hyper`: HTTP/2 by hyper and h2, over a connection of any loop.
//!
//! * `calls` makes a call of each of hyper's requests; `exchange` is what the call answers through.
//! * `streams` polls what hyper runs for each stream; `deadlines` ends calls whose time is over; `timer` is hyper's clock.
//! * `life` is how long a connection is idle, and how old.
//! * `web` is gRPC-Web, over HTTP/1.1 as well.

mod calls;
mod deadlines;
mod exchange;
mod life;
mod streams;
mod timer;
#[cfg_attr(not(feature = "grpc-web"), path = "web/absent.rs")]
mod web;

use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use hyper::rt::{Read, Write};
use hyper::server::conn::http2;
use loopswap_rt::{Runtime, deadline_after};

use crate::grpc::{Partials, Peer};
use crate::http2::{Limits, Violation};
use crate::hyper_io::{HyperIo, Passing};
use crate::server::{Closed, Due, Engine, Handshake, House, Phase, PhaseWatch};
use crate::service::Router;
use crate::socket::Socket;

use calls::Calls;
use deadlines::Deadlines;
use life::{Life, Open};
use streams::{Spawned, Streams};
use timer::LoopTimer;
pub(crate) use web::Origins;

/// Streams that the peer may reset before their service has seen them (CVE-2023-44487); then the connection is closed. hyper's default.
const PENDING_RESETS_MAX: usize = 20;

/// Streams that the peer may make h2 reset by its errors (CVE-2025-8671), in all; then the connection is closed. hyper's default.
const LOCAL_ERROR_RESETS_MAX: usize = 1024;

/// The engine.
///
/// Of [`Limits`] it keeps those that hyper knows: streams, the header list's bytes, windows, the send buffer, keepalive; and those that are
/// ours: the handshake's time, idleness and age, [partial messages](Limits::partial_messages_bytes_max). hyper's GOAWAY does not say why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HyperEngine;

impl Engine for HyperEngine {
    async fn serve<R: Runtime>(
        self,
        runtime: R,
        connection: Socket<R::Connection>,
        router: Router,
        house: Rc<House>,
        phases: PhaseWatch,
    ) -> Closed {
        let start = runtime.now();
        let peer = Rc::new(Peer::of(&connection));
        let (handshake, open) = (Rc::new(Handshake::default()), Open::none(start));
        let opening = Rc::clone(&handshake);
        let observer = house.observer.clone();
        let io = HyperIo::new(connection, move |passing: Passing<'_>| match passing {
            Passing::In(bytes) => {
                opening.observe(bytes);
                observer.iter().for_each(|observer| observer.received(bytes.len()));
            }
            Passing::Out(bytes) => observer.iter().for_each(|observer| observer.sent(bytes.len())),
        });
        let beside = Beside {
            house: Rc::clone(&house),
            start,
            peer: Rc::clone(&peer),
            handshake: Rc::clone(&handshake),
            open: Rc::clone(&open),
            streams: Streams::default(),
            deadlines: Deadlines::default(),
            partials: Rc::new(Partials::new(Rc::clone(&house.partials))),
        };
        let calls = beside.calls(router, Rc::clone(&peer));
        let closed = web::serve(beside, &runtime, phases, io, calls).await;
        let closed = if handshake.is_done() || open.has_begun() { closed } else { closed.unopened() };
        closed.log(&peer.remote, &house.log, runtime.now());
        closed
    }
}

/// A connection as hyper serves it, of whichever version of HTTP.
trait Serving: Future<Output = hyper::Result<()>> {
    /// Serves what has begun, and no more.
    fn leave(self: Pin<&mut Self>);

    /// The limit that is reached when hyper itself says that something took too long.
    fn timed_out(&self) -> Violation;
}

type Http2<I> = http2::Connection<I, Calls, Spawned>;

impl<I: Read + Write + Unpin> Serving for Http2<I> {
    fn leave(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }

    fn timed_out(&self) -> Violation {
        Violation::Keepalive
    }
}

fn speak_http2<I: Read + Write + Unpin>(limits: &Limits, io: I, calls: Calls, streams: Spawned) -> Http2<I> {
    http2::Builder::new(streams)
        .timer(LoopTimer::default())
        // gRPC knows no date, and it would enter the header table anew every second.
        .auto_date_header(false)
        .max_concurrent_streams(limits.concurrent_streams_max)
        .max_header_list_size(limits.header_list_bytes_max)
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_send_buf_size(limits.send_buffer_bytes_max)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(LOCAL_ERROR_RESETS_MAX)
        .keep_alive_interval(limits.keepalive_time)
        .keep_alive_timeout(limits.keepalive_timeout)
        .serve_connection(io, calls)
}

/// What a connection has beside what hyper keeps of it.
struct Beside {
    house: Rc<House>,
    start: Instant,
    peer: Rc<Peer>,
    handshake: Rc<Handshake>,
    open: Rc<Open>,
    streams: Streams,
    deadlines: Deadlines,
    partials: Rc<Partials>,
}

impl Beside {
    fn calls(&self, router: Router, peer: Rc<Peer>) -> Calls {
        Calls::new(router, Rc::clone(&self.house), self.deadlines.clone(), Rc::clone(&self.partials), peer, Rc::clone(&self.open))
    }

    /// Polls it all, until the connection ends.
    async fn serve<R: Runtime>(self, runtime: &R, mut phases: PhaseWatch, serving: impl Serving) -> Closed {
        let Self { house, start, peer, handshake, open, mut streams, deadlines, partials } = self;
        let limits = &house.limits;
        let mut serving = pin!(serving);
        let mut deadline = pin!(Some(runtime.sleep_until(deadline_after(start, limits.handshake_timeout))));
        let mut draining = false;
        let mut life = Life::new(limits, start, Rc::clone(&open));
        poll_fn(|cx| {
            let phase = phases.poll(cx);
            // Of a client that TLS has refused nothing is due: the connection ends when it was told.
            let due = if peer.is_refused() { None } else { life.due(limits, runtime, draining, &mut phases) };
            if let Some(Due::Drain(limit) | Due::Cut(limit)) = due {
                house.counters.count(limit);
            }
            match (phase, due) {
                (Phase::Stopping, _) => return Poll::Ready(Closed::Stopped),
                (_, Some(Due::Cut(limit))) => return Poll::Ready(Closed::Cut(limit)),
                (Phase::Draining, _) | (_, Some(Due::Drain(_))) if !draining => {
                    draining = true;
                    serving.as_mut().leave();
                }
                _ => {}
            }
            partials.set_in_turn(true);
            if let Poll::Ready(result) = serving.as_mut().poll(cx) {
                return Poll::Ready(match result {
                    Ok(()) => Closed::Orderly,
                    Err(error) if error.is_timeout() && !peer.is_refused() => {
                        let limit = serving.timed_out();
                        house.counters.count(limit);
                        Closed::Cut(limit)
                    }
                    Err(error) => Closed::Broken(reason(&error)),
                });
            }
            // What the connection has just read; their answers are sent at its next turn, for which they wake this task.
            streams.poll(cx);
            partials.set_in_turn(false);
            // Behind what may have opened calls.
            deadlines.poll(cx);
            partials.take_refused().for_each(|violation| house.counters.count(violation));
            // After the connection was polled, which is what reads.
            if let Some(sleep) = deadline.as_mut().as_pin_mut() {
                if handshake.is_done() || open.has_begun() || peer.is_refused() {
                    deadline.set(None);
                } else if sleep.poll(cx).is_ready() {
                    house.counters.count(Violation::Handshake);
                    return Poll::Ready(Closed::NoHandshake);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// hyper's error with what it wraps: its own text says little.
fn reason(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
