//! A request as bytes: encoded once for a connection, and written again and again.

use bytes::Bytes;

use super::super::frame::{HEADER_BYTES, PAYLOAD_BYTES_MAX, flag, header, kind};
use super::super::hpack::Encoder;

/// A request that is sent any number of times, on one connection.
#[derive(Debug)]
pub(crate) struct Request {
    fields: Vec<(&'static str, String)>,
    /// The names of fields that enter no table.
    written_out: &'static [&'static str],
    body: Bytes,
    /// HEADERS, CONTINUATION if it must be, and behind them DATA if the body is short enough for one frame. Stream identifiers are 0.
    frames: Vec<u8>,
    /// How long it is without DATA.
    head_len: usize,
    /// The encoder's when `frames` was written; `None` while there are none, or where they cannot be written again.
    generation: Option<u32>,
}

impl Request {
    /// A request of these fields, pseudo-header fields first, names in lower case; all of them enter the server's dynamic table but those of the names
    /// `written_out`, which stand in each request as they are.
    pub(crate) fn new(fields: impl IntoIterator<Item = (&'static str, String)>, written_out: &'static [&'static str], body: Bytes) -> Self {
        Self { fields: fields.into_iter().collect(), written_out, body, frames: Vec::new(), head_len: 0, generation: None }
    }

    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Appends HEADERS for a stream; with DATA where it fits and `with_body` says so.
    #[inline]
    pub(super) fn write(&mut self, encoder: &mut Encoder, out: &mut Vec<u8>, stream_id: u32, with_body: bool) {
        if self.generation != Some(encoder.generation()) {
            self.encode(encoder);
        }
        let start = out.len();
        out.extend_from_slice(if with_body { &self.frames } else { &self.frames[..self.head_len] });
        put_stream_id(&mut out[start..], stream_id);
        if self.head_len > HEADER_BYTES + PAYLOAD_BYTES_MAX {
            put_stream_ids(&mut out[start..][..self.head_len], stream_id);
        }
        if with_body {
            put_stream_id(&mut out[start + self.head_len..], stream_id);
        }
    }

    /// Whether the body fits into the frame that stands behind HEADERS.
    #[inline]
    pub(super) fn has_short_body(&self) -> bool {
        self.body.len() <= PAYLOAD_BYTES_MAX
    }

    fn encode(&mut self, encoder: &mut Encoder) {
        let before = encoder.generation();
        let mut block = Vec::new();
        encoder.begin(&mut block);
        for (name, value) in &self.fields {
            if self.written_out.contains(name) {
                encoder.field(&mut block, name.as_bytes(), value.as_bytes());
            } else {
                encoder.common_field(&mut block, name.as_bytes(), value.as_bytes());
            }
        }
        // A block that has changed the server's table would change it again.
        self.generation = (encoder.generation() == before).then_some(before);
        self.frames.clear();
        let mut chunks = block.chunks(PAYLOAD_BYTES_MAX).peekable();
        let mut frame_kind = kind::HEADERS;
        while let Some(chunk) = chunks.next() {
            let flags = if chunks.peek().is_none() { flag::END_HEADERS } else { 0 };
            self.frames.extend_from_slice(&header(chunk.len(), frame_kind, flags, 0));
            self.frames.extend_from_slice(chunk);
            frame_kind = kind::CONTINUATION;
        }
        self.head_len = self.frames.len();
        if self.has_short_body() {
            self.frames.extend_from_slice(&header(self.body.len(), kind::DATA, flag::END_STREAM, 0));
            self.frames.extend_from_slice(&self.body);
        }
    }
}

/// Into the frame that begins here.
#[inline]
fn put_stream_id(frame: &mut [u8], stream_id: u32) {
    frame[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&stream_id.to_be_bytes());
}

/// Into all frames, each of which but the last is as long as it may be.
fn put_stream_ids(frames: &mut [u8], stream_id: u32) {
    for frame in frames.chunks_mut(HEADER_BYTES + PAYLOAD_BYTES_MAX) {
        put_stream_id(frame, stream_id);
    }
}
