//! The engine `hyper`: HTTP/2 by hyper and h2, over a connection of any loop.
//!
//! * `calls` makes a call of each of hyper's requests; `exchange` is what the call answers through.
//! * `streams` polls what hyper runs for each stream; `deadlines` ends calls whose time is over; `timer` is hyper's clock.

mod calls;
mod deadlines;
mod exchange;
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
use crate::hyper_io::HyperIo;
use crate::server::{Closed, Engine, Handshake, House, Phase, PhaseWatch};
use crate::service::Router;

use calls::Calls;
use deadlines::Deadlines;
use streams::Streams;
use timer::LoopTimer;

/// Streams that the peer may reset before their service has seen them (CVE-2023-44487); then the connection is closed. hyper's default.
const PENDING_RESETS_MAX: usize = 20;

/// Streams that the peer may make h2 reset by its errors (CVE-2025-8671), in all; then the connection is closed. hyper's default.
const LOCAL_ERROR_RESETS_MAX: usize = 1024;

/// The engine.
///
/// Of [`Limits`](crate::Limits) it keeps those that hyper knows: the handshake's time, streams, the header list's bytes, windows, the send buffer; and
/// that of [partial messages](crate::Limits::partial_messages_bytes_max), which is ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HyperEngine;

impl Engine for HyperEngine {
    async fn serve<R: Runtime>(
        self,
        runtime: R,
        connection: R::Connection,
        router: Router,
        house: Rc<House>,
        mut phases: PhaseWatch,
    ) -> Closed {
        let limits = &house.limits;
        let peer = Rc::new(Peer::of(&connection));
        let handshake = Rc::new(Handshake::default());
        let opening = Rc::clone(&handshake);
        let io = HyperIo::new(connection, move |bytes: &[u8]| opening.observe(bytes));
        let mut streams = Streams::default();
        let deadlines = Deadlines::default();
        let partials = Rc::new(Partials::new(limits.partial_messages_bytes_max));
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
            .serve_connection(
                io,
                Calls::new(router, limits.send_buffer_bytes_max, deadlines.clone(), Rc::clone(&partials), Rc::clone(&peer)),
            );
        let mut serving = pin!(serving);
        let mut deadline = pin!(Some(runtime.sleep_until(deadline_after(runtime.now(), limits.handshake_timeout))));
        let mut draining = false;
        let closed = poll_fn(|cx| {
            match phases.poll(cx) {
                Phase::Serving | Phase::Leaving => {}
                Phase::Draining if draining => {}
                Phase::Draining => {
                    draining = true;
                    serving.as_mut().graceful_shutdown();
                }
                Phase::Stopping => return Poll::Ready(Closed::Stopped),
            }
            partials.set_in_turn(true);
            if let Poll::Ready(result) = serving.as_mut().poll(cx) {
                return Poll::Ready(match result {
                    Ok(()) => Closed::Orderly,
                    Err(error) => Closed::Broken(reason(&error)),
                });
            }
            // What the connection has just read; their answers are sent at its next turn, for which they wake this task.
            streams.poll(cx);
            partials.set_in_turn(false);
            // Behind what may have opened calls.
            deadlines.poll(cx);
            (0..partials.take_refused()).for_each(|_| house.counters.count(Violation::PartialMessages));
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
        closed.log(&peer.remote);
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
