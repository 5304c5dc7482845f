//! One connection of a client: what its frames mean, and what is answered.
//!
//! * `receive` cuts the input into frames, and gives DATA on as it comes; `requests` are header blocks, and `heads` those that are known; `control` are the
//!   other frames.
//! * `send` writes answers, within the peer's windows; `close` is how streams and the connection end; `time` is what happens by itself, `keepalive` whether the
//!   peer is still there.

mod close;
mod control;
mod heads;
mod keepalive;
mod receive;
mod requests;
mod send;
#[cfg(test)]
mod tests;
mod time;

use std::fmt;
use std::rc::Rc;
use std::time::Instant;

use super::budget::Budget;
use super::frame::{self, PAYLOAD_BYTES_MAX, setting};
use super::hpack;
use super::limits::{Limits, Violation};
use super::queue::Queue;
use super::streams::{Gone, StreamKey, Streams};
use super::{ErrorCode, Head};

use close::Drain;
use control::Pings;
use heads::HeadCache;
use keepalive::Keepalive;
use receive::{DataFrame, Opening};
use requests::HeaderBlock;
use send::StaticBlock;

/// A window before anybody has changed it (RFC 9113, 6.9.2).
const WINDOW_INITIAL: u32 = 65_535;

/// No window may grow beyond it (6.9.1).
const WINDOW_MAX: i64 = 0x7fff_ffff;

/// What the application must know.
#[derive(Debug)]
pub enum Event<'a> {
    /// A stream was opened by a request that is in order.
    Request {
        /// Its stream.
        stream: StreamKey,
        /// Its header block.
        head: Head,
        /// Nothing follows: the request has no body.
        end: bool,
    },
    /// A stream was opened by a request whose header list is over a limit. It wants an answer, and what comes on it can be ignored.
    TooLarge {
        /// Its stream.
        stream: StreamKey,
        /// The limit.
        violation: Violation,
    },
    /// A part of a request's body. The bytes count against the windows until [`Connection::release`].
    Data {
        /// Its stream.
        stream: StreamKey,
        /// The bytes, without padding; empty only when `end` is set.
        bytes: &'a [u8],
        /// It is the last part.
        end: bool,
    },
    /// A request's body has ended with trailers, whose fields are not kept.
    End {
        /// Its stream.
        stream: StreamKey,
    },
    /// The stream is gone, by the peer's wish or its fault; nobody waits for an answer.
    Reset {
        /// Its stream.
        stream: StreamKey,
        /// Why.
        code: ErrorCode,
    },
    /// [`Connection::has_room`] would now say yes.
    Room {
        /// Its stream.
        stream: StreamKey,
    },
}

/// Why and how a connection ends: what its GOAWAY says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The error; NO_ERROR after a drain.
    pub code: ErrorCode,
    /// What was wrong: a limit's name, or a sentence.
    pub reason: &'static str,
    /// The limit that was reached, if it was one.
    pub violation: Option<Violation>,
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.reason)
    }
}

/// What a frame has done wrong.
#[derive(Debug)]
enum Fault {
    /// The connection ends.
    Connection(ErrorCode, &'static str),
    /// A limit was reached, and the connection ends: ENHANCE_YOUR_CALM.
    Violation(Violation),
    /// The stream ends (5.4.2).
    Stream(u32, ErrorCode),
}

/// A server's side of one HTTP/2 connection, without I/O.
pub struct Connection {
    limits: Rc<Limits>,
    start: Instant,
    now: Instant,

    opening: Opening,
    /// The beginning of a frame whose end has not arrived; never of DATA's payload.
    partial: Vec<u8>,
    /// The DATA frame whose payload is arriving.
    data: Option<DataFrame>,
    /// The header block whose CONTINUATION frames are arriving.
    block: Option<Box<HeaderBlock>>,

    decoder: hpack::Decoder,
    /// Of a connection that is busy.
    heads: Option<Box<HeadCache>>,
    encoder: hpack::Encoder,
    blocks: Vec<StaticBlock>,

    streams: Streams,
    gone: Gone,
    /// The highest stream that the peer has opened.
    stream_id_last: u32,

    /// What the peer may still send on all streams together.
    recv_window: i64,
    /// Released by the application, and not yet told to the peer.
    unannounced: u32,
    /// What we may still send on all streams together.
    send_window: i64,
    /// The peer's SETTINGS_INITIAL_WINDOW_SIZE.
    peer_window_initial: u32,
    /// The peer has acknowledged our SETTINGS.
    settings_acked: bool,

    out: Vec<u8>,
    /// Streams that have something to send and a window for it, in turn.
    sendable: Queue<StreamKey>,
    /// Events that no frame of a single stream has caused.
    events: Queue<Event<'static>>,

    pings: Pings,
    keepalive: Keepalive,
    /// When the last stream ended, or the connection began.
    idle_since: Instant,
    drain: Drain,
    /// The peer has said that it will open no more streams.
    peer_goes_away: bool,
    closing: Option<Box<Closing>>,
    /// When the first stalled stream is to be judged.
    stall_deadline: Option<Instant>,
    budgets: Budgets,
    violations: Queue<Violation>,
}

/// What is left of the peer's budgets.
struct Budgets {
    resets: Budget,
    settings: Budget,
    priorities: Budget,
    window_updates: Budget,
    unknown_frames: Budget,
    empty_frames: Budget,
    tiny_frames: Budget,
}

impl Connection {
    /// A connection that has just been accepted. Our SETTINGS wait in its output.
    pub fn new(limits: Rc<Limits>, now: Instant) -> Self {
        let mut out = Vec::new();
        let stream_window = limits.stream_window_bytes.min(WINDOW_MAX as u32);
        frame::settings(
            &mut out,
            &[
                (setting::MAX_CONCURRENT_STREAMS, limits.concurrent_streams_max),
                (setting::INITIAL_WINDOW_SIZE, stream_window),
                (setting::MAX_FRAME_SIZE, PAYLOAD_BYTES_MAX as u32),
                (setting::MAX_HEADER_LIST_SIZE, limits.header_list_bytes_max),
            ],
        );
        let recv_window = limits.connection_window_bytes.clamp(WINDOW_INITIAL, WINDOW_MAX as u32);
        if recv_window > WINDOW_INITIAL {
            frame::window_update(&mut out, 0, recv_window - WINDOW_INITIAL);
        }
        Self {
            start: now,
            now,
            opening: Opening::Preface { n_matched: 0 },
            partial: Vec::new(),
            data: None,
            block: None,
            decoder: hpack::Decoder::new(hpack::TABLE_BYTES_INITIAL),
            heads: None,
            encoder: hpack::Encoder::new(),
            blocks: Vec::new(),
            streams: Streams::default(),
            gone: Gone::default(),
            stream_id_last: 0,
            recv_window: i64::from(recv_window),
            unannounced: 0,
            send_window: i64::from(WINDOW_INITIAL),
            peer_window_initial: WINDOW_INITIAL,
            settings_acked: false,
            out,
            sendable: Queue::default(),
            events: Queue::default(),
            pings: Pings::default(),
            keepalive: Keepalive::new(now),
            idle_since: now,
            drain: Drain::Not,
            peer_goes_away: false,
            closing: None,
            stall_deadline: None,
            budgets: Budgets {
                resets: Budget::new(limits.resets),
                settings: Budget::new(limits.settings),
                priorities: Budget::new(limits.priorities),
                window_updates: Budget::new(limits.window_updates),
                unknown_frames: Budget::new(limits.unknown_frames),
                empty_frames: Budget::new(limits.empty_frames),
                tiny_frames: Budget::new(limits.tiny_frames),
            },
            violations: Queue::default(),
            limits,
        }
    }

    /// What budgets tell the time by: milliseconds since the connection's start.
    fn clock(&self) -> u32 {
        self.now.saturating_duration_since(self.start).as_millis() as u32
    }

    /// How many streams are open: those whose answer waits for the peer's windows among them.
    pub fn n_streams(&self) -> usize {
        self.streams.len()
    }

    /// Since when no stream has been open. `None`: one is, or the connection is on its way out.
    pub fn idle_since(&self) -> Option<Instant> {
        (self.streams.is_empty() && matches!(self.drain, Drain::Not) && self.closing.is_none()).then_some(self.idle_since)
    }

    /// Why the connection ends, once it does. All streams are gone then; what waits in the output is still to be sent.
    pub fn closing(&self) -> Option<&Closing> {
        self.closing.as_deref()
    }

    /// Whether the preface and the first SETTINGS have arrived.
    pub fn is_open(&self) -> bool {
        matches!(self.opening, Opening::Done)
    }

    /// The limits that were reached since the last call.
    pub fn take_violations(&mut self) -> Vec<Violation> {
        self.violations.take().into()
    }

    /// Gives back memory that only a busy connection needs. For one that has been idle for a while: its next call costs some thousand instructions more.
    pub fn shrink(&mut self) {
        self.streams.shrink();
        self.heads = None;
        self.blocks = Vec::new();
        self.decoder.shrink();
        self.encoder.shrink();
        if self.partial.is_empty() {
            self.partial = Vec::new();
        }
        if self.out.is_empty() {
            self.out = Vec::new();
        }
        self.sendable.shrink();
        self.events.shrink();
        self.violations.shrink();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("n_streams", &self.n_streams()).field("closing", &self.closing).finish_non_exhaustive()
    }
}
