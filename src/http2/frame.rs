//! Frames as bytes: RFC 9113, 4.1 and 6. Reading a frame's header, and writing whole frames; what they mean is `connection`'s.

use super::ErrorCode;

/// Bytes of a frame's header.
pub(super) const HEADER_BYTES: usize = 9;

/// The largest payload that we accept, and the largest that every peer accepts: the initial SETTINGS_MAX_FRAME_SIZE (6.5.2).
pub(super) const PAYLOAD_BYTES_MAX: usize = 16_384;

/// What a client sends first (3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame's type.
pub(super) mod kind {
    pub(crate) const DATA: u8 = 0x0;
    pub(crate) const HEADERS: u8 = 0x1;
    pub(crate) const PRIORITY: u8 = 0x2;
    pub(crate) const RST_STREAM: u8 = 0x3;
    pub(crate) const SETTINGS: u8 = 0x4;
    pub(crate) const PUSH_PROMISE: u8 = 0x5;
    pub(crate) const PING: u8 = 0x6;
    pub(crate) const GOAWAY: u8 = 0x7;
    pub(crate) const WINDOW_UPDATE: u8 = 0x8;
    pub(crate) const CONTINUATION: u8 = 0x9;
}

/// A frame's flags.
pub(super) mod flag {
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// A setting's identifier (6.5.2).
pub(super) mod setting {
    pub(crate) const HEADER_TABLE_SIZE: u16 = 0x1;
    pub(crate) const ENABLE_PUSH: u16 = 0x2;
    pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub(crate) const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub(crate) const MAX_FRAME_SIZE: u16 = 0x5;
    pub(crate) const MAX_HEADER_LIST_SIZE: u16 = 0x6;
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) len: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// The reserved bit is gone.
    pub(super) stream_id: u32,
}

impl FrameHeader {
    pub(super) fn parse(bytes: &[u8; HEADER_BYTES]) -> Self {
        let [a, b, c, kind, flags, id @ ..] = *bytes;
        Self { len: u32::from_be_bytes([0, a, b, c]) as usize, kind, flags, stream_id: u32::from_be_bytes(id) & 0x7fff_ffff }
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A header whose payload the caller writes behind it. `len` is below 2^24.
pub(super) fn header(len: usize, kind: u8, flags: u8, stream_id: u32) -> [u8; HEADER_BYTES] {
    let [_, a, b, c] = (len as u32).to_be_bytes();
    let [d, e, f, g] = stream_id.to_be_bytes();
    [a, b, c, kind, flags, d, e, f, g]
}

/// Writes SETTINGS.
pub(super) fn settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    out.extend_from_slice(&header(settings.len() * 6, kind::SETTINGS, 0, 0));
    for (id, value) in settings {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Writes an acknowledgement of SETTINGS.
pub(super) fn settings_ack(out: &mut Vec<u8>) {
    out.extend_from_slice(&header(0, kind::SETTINGS, flag::ACK, 0));
}

/// Writes PING, or with `ACK` the answer to one.
pub(super) fn ping(out: &mut Vec<u8>, flags: u8, data: [u8; 8]) {
    out.extend_from_slice(&header(8, kind::PING, flags, 0));
    out.extend_from_slice(&data);
}

/// Writes RST_STREAM.
pub(super) fn rst_stream(out: &mut Vec<u8>, stream_id: u32, code: ErrorCode) {
    out.extend_from_slice(&header(4, kind::RST_STREAM, 0, stream_id));
    out.extend_from_slice(&code.0.to_be_bytes());
}

/// Writes WINDOW_UPDATE; stream 0 is the connection.
pub(super) fn window_update(out: &mut Vec<u8>, stream_id: u32, n_bytes: u32) {
    out.extend_from_slice(&header(4, kind::WINDOW_UPDATE, 0, stream_id));
    out.extend_from_slice(&n_bytes.to_be_bytes());
}

/// Writes GOAWAY.
pub(super) fn goaway(out: &mut Vec<u8>, last_stream_id: u32, code: ErrorCode, debug_data: &[u8]) {
    out.extend_from_slice(&header(8 + debug_data.len(), kind::GOAWAY, 0, 0));
    out.extend_from_slice(&last_stream_id.to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(debug_data);
}
