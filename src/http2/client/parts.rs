//! Requests that are each their own: a header block, a body that comes piece by piece, an answer that is read when its reader likes.
//!
//! A stream takes one piece at a time: who has sent one sends the next when [`has_room`](Connection::has_room) says so, which
//! [`take_roomy`](Connection::take_roomy) tells. So what a request holds here is a piece, and its source is kept waiting by the server's windows.

use bytes::Bytes;

use super::super::fields::{Field, Indexing, Visitor};
use super::super::frame::{self, PAYLOAD_BYTES_MAX, flag, kind};
use super::streams::StreamKey;
use super::{Connection, ErrorCode};

impl Connection {
    /// Opens a stream with these fields, pseudo-header fields first, names in lower case. `end`: the request has no body.
    ///
    /// # Panics
    ///
    /// When [`can_open`](Self::can_open) says no.
    pub(crate) fn begin(&mut self, fields: impl FnOnce(Visitor<'_>), end: bool) -> StreamKey {
        assert!(self.can_open(), "asked before");
        let id = self.next_id;
        self.next_id += 2;
        let mut block = Vec::new();
        let encoder = &mut self.encoder;
        encoder.begin(&mut block);
        fields(&mut |Field { name, value, indexing }| match indexing {
            Indexing::Common => encoder.common_field(&mut block, name, value),
            Indexing::Plain => encoder.field(&mut block, name, value),
            Indexing::Never => encoder.sensitive_field(&mut block, name, value),
        });
        let mut chunks = block.chunks(PAYLOAD_BYTES_MAX).peekable();
        let (mut frame_kind, mut flags) = (kind::HEADERS, if end { flag::END_STREAM } else { 0 });
        while let Some(chunk) = chunks.next() {
            if chunks.peek().is_none() {
                flags |= flag::END_HEADERS;
            }
            self.out.extend_from_slice(&frame::header(chunk.len(), frame_kind, flags, id));
            self.out.extend_from_slice(chunk);
            (frame_kind, flags) = (kind::CONTINUATION, 0);
        }
        let key = self.streams.open(id, self.stream_window as i32, self.peer_window_initial as i32);
        self.streams.get_mut(key).expect("just opened").goes_on = !end;
        key
    }

    /// Whether the request goes on and waits for its next piece.
    pub(crate) fn has_room(&mut self, stream: StreamKey) -> bool {
        self.streams.get_mut(stream).is_some_and(|stream| stream.goes_on && stream.pending.is_none())
    }

    /// The next piece of a request's body; `end`: the last. What the windows do not take waits. Nothing, on a stream that is gone.
    ///
    /// # Panics
    ///
    /// When the stream is there and [`has_room`](Self::has_room) says no.
    pub(crate) fn send(&mut self, key: StreamKey, piece: Bytes, end: bool) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        assert!(stream.goes_on && stream.pending.is_none(), "asked before");
        stream.goes_on = !end;
        if piece.is_empty() {
            if end {
                // Needs no window (6.9.1), and must not wait for one.
                self.out.extend_from_slice(&frame::header(0, kind::DATA, flag::END_STREAM, key.id()));
            }
            return;
        }
        stream.pending = Some(piece);
        if stream.send_window > 0 {
            stream.queued = true;
            self.sendable.push_back(key);
        }
        self.pump();
    }

    /// The streams that have got room since they were last asked for: those whose piece had to wait, among others.
    pub(crate) fn take_roomy(&mut self) -> Vec<StreamKey> {
        std::mem::take(&mut self.roomy)
    }

    /// Whether [`take_roomy`](Self::take_roomy) has something to tell.
    pub(crate) fn has_roomy(&self) -> bool {
        !self.roomy.is_empty()
    }

    /// Opens a stream's window again by what its reader has taken. On a stream that is gone, nothing.
    pub(crate) fn release(&mut self, key: StreamKey, n_bytes: usize) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.unannounced += n_bytes as u32;
        if stream.unannounced >= self.stream_window / 2 && !stream.remote_closed {
            frame::window_update(&mut self.out, key.id(), stream.unannounced);
            stream.recv_window += stream.unannounced as i32;
            stream.unannounced = 0;
        }
    }

    /// Asks the server whether it is there: whatever comes next is an answer.
    pub(crate) fn ask(&mut self) {
        frame::ping(&mut self.out, 0, *b"loopswap");
    }

    /// Says that we go (6.8): no stream of the server's was served.
    pub(crate) fn say_goodbye(&mut self) {
        frame::goaway(&mut self.out, 0, ErrorCode::NO_ERROR, b"");
    }
}
