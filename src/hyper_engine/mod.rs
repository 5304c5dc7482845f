//! The engine `hyper`: HTTP/2 by hyper and h2, over a connection of any loop.

mod streams;
mod timer;

use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use hyper::server::conn::http2;
use loopswap_rt::{Runtime, deadline_after};

use crate::hyper_io::HyperIo;
use crate::server::{Closed, Engine, Handshake, Limits, Phase, PhaseWatch};
use crate::service::{Contained, TonicService};

use streams::Streams;
use timer::LoopTimer;

/// The engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HyperEngine;

impl<S: TonicService> Engine<S> for HyperEngine {
    async fn serve<R: Runtime>(self, runtime: R, connection: R::Connection, service: S, limits: &Limits, mut phases: PhaseWatch) -> Closed {
        let handshake = Rc::new(Handshake::default());
        let opening = Rc::clone(&handshake);
        let io = HyperIo::new(connection, move |bytes: &[u8]| opening.observe(bytes));
        let mut streams = Streams::default();
        let serving = http2::Builder::new(streams.executor())
            .timer(LoopTimer::default())
            // gRPC knows no date, and it would enter the header table anew every second.
            .auto_date_header(false)
            .max_concurrent_streams(limits.concurrent_streams_max)
            .max_header_list_size(limits.header_list_bytes_max)
            .initial_stream_window_size(limits.stream_window_bytes)
            .initial_connection_window_size(limits.connection_window_bytes)
            .max_send_buf_size(limits.send_buffer_bytes_max)
            .max_pending_accept_reset_streams(limits.pending_resets_max)
            .max_local_error_reset_streams(limits.local_error_resets_max)
            .serve_connection(io, Contained::new(service));
        let mut serving = pin!(serving);
        let mut deadline = pin!(Some(runtime.sleep_until(deadline_after(runtime.now(), limits.handshake_timeout))));
        let mut draining = false;
        poll_fn(|cx| {
            match phases.poll(cx) {
                Phase::Serving => {}
                Phase::Draining if draining => {}
                Phase::Draining => {
                    draining = true;
                    serving.as_mut().graceful_shutdown();
                }
                Phase::Stopping => return Poll::Ready(Closed::Stopped),
            }
            if let Poll::Ready(result) = serving.as_mut().poll(cx) {
                return Poll::Ready(match result {
                    Ok(()) => Closed::Orderly,
                    Err(error) => Closed::Broken(reason(&error)),
                });
            }
            // What the connection has just read; their answers are sent at its next turn, for which they wake this task.
            streams.poll(cx);
            // After the connection was polled, which is what reads.
            if let Some(sleep) = deadline.as_mut().as_pin_mut() {
                if handshake.is_done() {
                    deadline.set(None);
                } else if sleep.poll(cx).is_ready() {
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
