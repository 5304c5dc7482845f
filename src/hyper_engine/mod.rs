//! The engine `hyper`: HTTP/2 by hyper and h2, over a connection of any loop.
//!
//! * `calls` makes a call of each of hyper's requests; `exchange` is what the call answers through.
//! * `streams` polls what hyper runs for each stream; `deadlines` ends calls whose time is over; `timer` is hyper's clock.
//! * `life` is how long a connection is idle, and how old.

mod calls;
mod deadlines;
mod exchange;
mod life;
mod streams;
mod timer;

use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use hyper::server::conn::http2;
use loopswap_rt::{Runtime, deadline_after};

use crate::grpc::{Partials, Peer};
use crate::http2::Violation;
use crate::hyper_io::{HyperIo, Passing};
use crate::server::{Closed, Due, Engine, Handshake, House, Phase, PhaseWatch};
use crate::service::Router;
use crate::socket::Socket;

use calls::Calls;
use deadlines::Deadlines;
use life::{Life, Open};
use streams::Streams;
use timer::LoopTimer;

/// Streams that the peer may reset before their service has seen them (CVE-2023-44487); then the connection is closed. hyper's default.
const PENDING_RESETS_MAX: usize = 20;

/// Streams that the peer may make h2 reset by its errors (CVE-2025-8671), in all; then the connection is closed. hyper's default.
const LOCAL_ERROR_RESETS_MAX: usize = 1024;

/// The engine.
///
/// Of [`Limits`](crate::Limits) it keeps those that hyper knows: streams, the header list's bytes, windows, the send buffer, keepalive; and those that are
/// ours: the handshake's time, idleness and age, [partial messages](crate::Limits::partial_messages_bytes_max). hyper's GOAWAY does not say why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HyperEngine;

impl Engine for HyperEngine {
    async fn serve<R: Runtime>(
        self,
        runtime: R,
        connection: Socket<R::Connection>,
        router: Router,
        house: Rc<House>,
        mut phases: PhaseWatch,
    ) -> Closed {
        let limits = &house.limits;
        let start = runtime.now();
        let peer = Rc::new(Peer::of(&connection));
        let handshake = Rc::new(Handshake::default());
        let opening = Rc::clone(&handshake);
        let observer = house.observer.clone();
        let io = HyperIo::new(connection, move |passing: Passing<'_>| match passing {
            Passing::In(bytes) => {
                opening.observe(bytes);
                observer.iter().for_each(|observer| observer.received(bytes.len()));
            }
            Passing::Out(bytes) => observer.iter().for_each(|observer| observer.sent(bytes.len())),
        });
        let mut streams = Streams::default();
        let deadlines = Deadlines::default();
        let partials = Rc::new(Partials::new(Rc::clone(&house.partials)));
        let open = Open::none(start);
        let serving = http2::Builder::new(streams.executor())
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
            .serve_connection(
                io,
                Calls::new(router, Rc::clone(&house), deadlines.clone(), Rc::clone(&partials), Rc::clone(&peer), Rc::clone(&open)),
            );
        let mut serving = pin!(serving);
        let mut deadline = pin!(Some(runtime.sleep_until(deadline_after(start, limits.handshake_timeout))));
        let mut draining = false;
        let mut life = Life::new(limits, start, Rc::clone(&open));
        let closed = poll_fn(|cx| {
            let phase = phases.poll(cx);
            let due = life.due(limits, &runtime, draining, &mut phases);
            if let Some(Due::Drain(limit) | Due::Cut(limit)) = due {
                house.counters.count(limit);
            }
            match (phase, due) {
                (Phase::Stopping, _) => return Poll::Ready(Closed::Stopped),
                (_, Some(Due::Cut(limit))) => return Poll::Ready(Closed::Cut(limit)),
                (Phase::Draining, _) | (_, Some(Due::Drain(_))) if !draining => {
                    draining = true;
                    serving.as_mut().graceful_shutdown();
                }
                _ => {}
            }
            partials.set_in_turn(true);
            if let Poll::Ready(result) = serving.as_mut().poll(cx) {
                return Poll::Ready(match result {
                    Ok(()) => Closed::Orderly,
                    Err(error) if error.is_timeout() => {
                        house.counters.count(Violation::Keepalive);
                        Closed::Cut(Violation::Keepalive)
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
                if handshake.is_done() {
                    deadline.set(None);
                } else if sleep.poll(cx).is_ready() {
                    house.counters.count(Violation::Handshake);
                    return Poll::Ready(Closed::NoHandshake);
                }
            }
            Poll::Pending
        })
        .await;
        let closed = if handshake.is_done() { closed } else { closed.unopened() };
        closed.log(&peer.remote, &house.log, runtime.now());
        closed
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
