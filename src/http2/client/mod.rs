//! The client's side of HTTP/2, without I/O: RFC 9113 and RFC 7541 for one who opens streams, and takes no pushes.
//!
//! A [`Connection`] is given the server's bytes; it yields [`Event`]s, and writes what is to be sent into one buffer, as the server's side does. It knows no
//! time: whoever drives it decides how long an answer may take.
//!
//! * `receive` cuts the input into frames, and gives DATA on as it comes; `answers` are header blocks; `control` are the other frames.
//! * `request` is a request as bytes, written again and again; `parts` are requests that are each their own, whose bodies come piece by piece.
//!   `send` writes both within the server's windows.
//! * `streams` holds the open ones, [`AnswerHead`] is what a header block of an answer says.
//!
//! Whoever takes what comes at once uses [`Connection::new`]: our windows are opened again as soon as a frame's header has arrived, and bound nothing but
//! what is on its way. Whoever has readers uses [`Connection::with_readers`]: a stream's window is opened again by [`Connection::release`].

mod answers;
mod control;
mod head;
mod parts;
mod receive;
#[cfg(feature = "cli")]
mod request;
mod send;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use super::ErrorCode;
use super::frame::{self, setting};
use super::hpack;

use answers::{HeadCache, HeaderBlock};
pub(crate) use head::AnswerHead;
use receive::DataFrame;
#[cfg(feature = "cli")]
pub(crate) use request::Request;
pub(crate) use streams::StreamKey;
use streams::Streams;

/// A window before anybody has changed it (RFC 9113, 6.9.2).
const WINDOW_INITIAL: u32 = 65_535;

/// No window may grow beyond it (6.9.1).
const WINDOW_MAX: i64 = 0x7fff_ffff;

/// The receive window of a stream, in bytes: twice the longest reply that gRPC takes, so that no reply waits for us. 8 MiB.
#[cfg(feature = "cli")]
const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// The same where readers take what comes: what a stream may hold that nobody has read. 1 MiB.
pub(crate) const READ_WINDOW_BYTES: u32 = 1024 * 1024;

/// The receive window of the connection, in bytes. 64 MiB: it is opened again as bytes arrive, so that a stream whose reader is slow keeps no other waiting
/// (as in grpc-go); what is held is bounded by the streams' windows.
const CONNECTION_WINDOW_BYTES: u32 = 64 * 1024 * 1024;

/// Bytes of an answer's header list, decoded, 32 added for each field (6.5.2); one that is longer fails its call. 16 KiB, as the server allows.
pub(crate) const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;

/// Streams at a time until the server's SETTINGS have come: the least that it should allow (6.5.2).
const STREAMS_UNTOLD: u32 = 100;

/// The last identifier that a stream can have (5.1.1).
const STREAM_ID_LAST: u32 = 0x7fff_ffff;

/// What the client must know. After every event but `Data` and `Head` without `end` the stream is gone.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// An answer has begun; with `end` it is whole.
    Head { stream: StreamKey, head: Rc<AnswerHead>, end: bool },
    /// A part of an answer's body, without padding; empty only when `end` is set.
    Data { stream: StreamKey, bytes: &'a [u8], end: bool },
    /// An answer has ended with trailers.
    Trailers { stream: StreamKey, head: Rc<AnswerHead> },
    /// The server has reset the stream.
    Reset { stream: StreamKey, code: ErrorCode },
    /// We have, because the answer breaks a rule.
    Refused { stream: StreamKey, why: &'static str },
    /// The server goes away and will not serve this one: it may be sent again, elsewhere (6.8).
    Unprocessed { stream: StreamKey },
}

/// What a server says when it takes no more streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GoAway {
    /// The last stream that it serves.
    last: u32,
    code: ErrorCode,
    /// For people; its beginning.
    debug_data: Box<str>,
}

impl GoAway {
    /// Whether the server was asked too often whether it is there (gRFC A8).
    pub(crate) fn is_too_many_pings(&self) -> bool {
        self.code == ErrorCode::ENHANCE_YOUR_CALM && &*self.debug_data == "too_many_pings"
    }
}

impl fmt::Display for GoAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GOAWAY, {}", self.code)?;
        if self.debug_data.is_empty() { Ok(()) } else { write!(f, ": {}", self.debug_data) }
    }
}

/// Why we have ended the connection: what our GOAWAY says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: ErrorCode,
    pub(crate) reason: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.reason)
    }
}

/// A client's side of one connection.
pub(crate) struct Connection {
    /// The server's first SETTINGS have come.
    is_open: bool,
    /// The beginning of a frame whose end has not arrived; never of DATA's payload.
    partial: Vec<u8>,
    /// The DATA frame whose payload is arriving.
    data: Option<DataFrame>,
    /// The header block whose CONTINUATION frames are arriving.
    block: Option<HeaderBlock>,
    decoder: hpack::Decoder,
    heads: HeadCache,
    trailers: HeadCache,

    encoder: hpack::Encoder,
    out: Vec<u8>,
    streams: Streams,
    /// Of the stream that is opened next.
    next_id: u32,
    /// A stream was reset, by either side: frames of it may still come.
    has_reset: bool,
    /// Streams that have something to send and a window for it, in turn.
    sendable: VecDeque<StreamKey>,
    /// Events that no frame of a single stream has caused.
    events: VecDeque<Event<'static>>,

    /// What the server may send on a stream that nobody reads.
    stream_window: u32,
    /// Streams' windows are opened again by [`release`](Self::release) alone.
    has_readers: bool,
    /// Streams whose requests go on, and which have room for more.
    roomy: Vec<StreamKey>,
    /// What the server may still send on all streams together.
    recv_window: i64,
    /// Received, and not yet given back to the server's window.
    unannounced: u32,
    /// What we may still send on all streams together.
    send_window: i64,
    /// The server's SETTINGS_INITIAL_WINDOW_SIZE.
    peer_window_initial: u32,
    /// The server's SETTINGS_MAX_CONCURRENT_STREAMS.
    streams_max: u32,
    going_away: Option<GoAway>,
    fault: Option<Fault>,
}

impl Connection {
    /// A connection that has just been opened, for one who takes all that comes at once. The preface, our SETTINGS and a larger window wait in its output.
    #[cfg(feature = "cli")]
    pub(crate) fn new() -> Self {
        Self::open_with(STREAM_WINDOW_BYTES, false)
    }

    /// The same for one whose streams have readers: what they take is to be [released](Self::release).
    pub(crate) fn with_readers() -> Self {
        Self::open_with(READ_WINDOW_BYTES, true)
    }

    fn open_with(stream_window: u32, has_readers: bool) -> Self {
        let mut out = frame::PREFACE.to_vec();
        frame::settings(
            &mut out,
            &[
                (setting::ENABLE_PUSH, 0),
                (setting::INITIAL_WINDOW_SIZE, stream_window),
                (setting::MAX_HEADER_LIST_SIZE, HEADER_LIST_BYTES_MAX),
            ],
        );
        frame::window_update(&mut out, 0, CONNECTION_WINDOW_BYTES - WINDOW_INITIAL);
        Self {
            is_open: false,
            partial: Vec::new(),
            data: None,
            block: None,
            decoder: hpack::Decoder::new(hpack::TABLE_BYTES_INITIAL),
            heads: HeadCache::default(),
            trailers: HeadCache::default(),
            encoder: hpack::Encoder::new(),
            out,
            streams: Streams::default(),
            next_id: 1,
            has_reset: false,
            sendable: VecDeque::new(),
            events: VecDeque::new(),
            stream_window,
            has_readers,
            roomy: Vec::new(),
            recv_window: i64::from(CONNECTION_WINDOW_BYTES),
            unannounced: 0,
            send_window: i64::from(WINDOW_INITIAL),
            peer_window_initial: WINDOW_INITIAL,
            streams_max: STREAMS_UNTOLD,
            going_away: None,
            fault: None,
        }
    }

    /// Why we have ended the connection. What waits in the output is still to be sent.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// What the server said when it began to go away.
    pub(crate) fn going_away(&self) -> Option<&GoAway> {
        self.going_away.as_ref()
    }

    /// Whether the server has begun to speak HTTP/2.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether there will be no more streams: the server goes away, we have ended the connection, or its identifiers are used up.
    pub(crate) fn is_closed_to_new(&self) -> bool {
        self.going_away.is_some() || self.fault.is_some() || self.next_id > STREAM_ID_LAST
    }

    /// The streams whose answers have not ended.
    #[cfg(any(test, feature = "cli"))]
    pub(crate) fn streams(&mut self) -> impl Iterator<Item = StreamKey> {
        self.streams.iter_mut().map(|(key, _)| key)
    }

    /// Gives a stream up. Nothing of it is told any more.
    pub(crate) fn reset(&mut self, stream: StreamKey, code: ErrorCode) {
        if self.streams.close(stream) {
            frame::rst_stream(&mut self.out, stream.id(), code);
            self.has_reset = true;
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("n_streams", &self.streams.len()).field("fault", &self.fault).finish_non_exhaustive()
    }
}
