//! Frames of RFC 9113 as they stand on the wire: made of any parts, right or wrong, and told apart. What they mean is the connection's.

use std::fmt;

/// Lengths of frames that a peer may send unless it was allowed more (RFC 9113, 6.5.2).
pub(crate) const MAX_FRAME_SIZE: usize = 16_384;
/// A window that nobody has changed (RFC 9113, 6.9.2).
pub(crate) const WINDOW: i64 = 65_535;
/// The largest window and increment, and the highest number of a stream.
pub(crate) const MAX_31_BITS: u32 = (1 << 31) - 1;

/// Types of frames (RFC 9113, 6).
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// Flags of frames (RFC 9113, 6).
pub(crate) mod flag {
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// Identifiers of settings (RFC 9113, 6.5.2).
pub(crate) mod setting {
    pub(crate) const HEADER_TABLE_SIZE: u16 = 1;
    pub(crate) const ENABLE_PUSH: u16 = 2;
    pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(crate) const MAX_FRAME_SIZE: u16 = 5;
    pub(crate) const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// Error codes (RFC 9113, 7).
pub(crate) mod code {
    pub(crate) const NO_ERROR: u32 = 0x0;
    pub(crate) const PROTOCOL_ERROR: u32 = 0x1;
    pub(crate) const FLOW_CONTROL_ERROR: u32 = 0x3;
    pub(crate) const STREAM_CLOSED: u32 = 0x5;
    pub(crate) const FRAME_SIZE_ERROR: u32 = 0x6;
    pub(crate) const REFUSED_STREAM: u32 = 0x7;
    pub(crate) const CANCEL: u32 = 0x8;
    pub(crate) const COMPRESSION_ERROR: u32 = 0x9;
    pub(crate) const ENHANCE_YOUR_CALM: u32 = 0xb;
}

/// A frame. Its length is that of its payload.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// With the reserved bit, if somebody set it.
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// With END_STREAM.
    pub(crate) fn end(mut self) -> Self {
        self.flags |= flag::END_STREAM;
        self
    }

    /// Without END_HEADERS: more of the block follows.
    pub(crate) fn open(mut self) -> Self {
        self.flags &= !flag::END_HEADERS;
        self
    }

    /// With this much padding, its length before it.
    pub(crate) fn padded(mut self, n: u8) -> Self {
        self.flags |= flag::PADDED;
        self.payload.insert(0, n);
        self.payload.resize(self.payload.len() + usize::from(n), 0);
        self
    }

    /// With the fields of a priority before the payload (RFC 9113, 6.2). To be applied before padding.
    pub(crate) fn prioritised(mut self, depends_on: u32, weight: u8) -> Self {
        self.flags |= flag::PRIORITY;
        self.payload.splice(0..0, priority(0, depends_on, weight).payload);
        self
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let len = u32::try_from(self.payload.len()).expect("no frame is so long");
        out.extend_from_slice(&len.to_be_bytes()[1..]);
        out.extend_from_slice(&[self.kind, self.flags]);
        out.extend_from_slice(&self.stream.to_be_bytes());
        out.extend_from_slice(&self.payload);
    }

    /// The payload without padding, and for HEADERS without priority.
    pub(crate) fn content(&self) -> &[u8] {
        let mut content = &self.payload[..];
        if self.has(flag::PADDED) {
            content = &content[1..content.len() - usize::from(content[0])];
        }
        if self.kind == kind::HEADERS && self.has(flag::PRIORITY) { &content[5..] } else { content }
    }

    /// Four bytes of the payload as a number, without the reserved bit.
    pub(crate) fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes")) & MAX_31_BITS
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 10] =
            ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE", "CONTINUATION"];
        let name = NAMES.get(usize::from(self.kind)).unwrap_or(&"UNKNOWN");
        write!(f, "{name} flags {:#x} stream {} length {}", self.flags, self.stream, self.payload.len())?;
        match self.kind {
            kind::RST_STREAM if self.payload.len() == 4 => write!(f, " code {}", self.number(0)),
            kind::GOAWAY if self.payload.len() >= 8 => {
                write!(f, " last {} code {} `{}`", self.number(0), self.number(4), String::from_utf8_lossy(&self.payload[8..]))
            }
            _ => Ok(()),
        }
    }
}

pub(crate) fn data(stream: u32, bytes: impl Into<Vec<u8>>) -> Frame {
    Frame::new(kind::DATA, 0, stream, bytes)
}

/// With END_HEADERS.
pub(crate) fn headers(stream: u32, block: impl Into<Vec<u8>>) -> Frame {
    Frame::new(kind::HEADERS, flag::END_HEADERS, stream, block)
}

/// With END_HEADERS.
pub(crate) fn continuation(stream: u32, block: impl Into<Vec<u8>>) -> Frame {
    Frame::new(kind::CONTINUATION, flag::END_HEADERS, stream, block)
}

pub(crate) fn priority(stream: u32, depends_on: u32, weight: u8) -> Frame {
    Frame::new(kind::PRIORITY, 0, stream, [&depends_on.to_be_bytes()[..], &[weight]].concat())
}

pub(crate) fn rst_stream(stream: u32, code: u32) -> Frame {
    Frame::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
}

pub(crate) fn settings(values: &[(u16, u32)]) -> Frame {
    let entry = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    Frame::new(kind::SETTINGS, 0, 0, values.iter().flat_map(entry).collect::<Vec<_>>())
}

pub(crate) fn settings_ack() -> Frame {
    Frame::new(kind::SETTINGS, flag::ACK, 0, [])
}

pub(crate) fn ping(payload: [u8; 8]) -> Frame {
    Frame::new(kind::PING, 0, 0, payload)
}

pub(crate) fn ping_ack(payload: [u8; 8]) -> Frame {
    Frame::new(kind::PING, flag::ACK, 0, payload)
}

pub(crate) fn goaway(last: u32, code: u32, debug: &str) -> Frame {
    Frame::new(kind::GOAWAY, 0, 0, [&last.to_be_bytes()[..], &code.to_be_bytes(), debug.as_bytes()].concat())
}

pub(crate) fn window_update(stream: u32, increment: u32) -> Frame {
    Frame::new(kind::WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
}

/// A header block cut into HEADERS and CONTINUATION frames of at most this many bytes.
pub(crate) fn header_frames(stream: u32, block: &[u8], piece: usize) -> Vec<Frame> {
    let mut frames: Vec<_> = block.chunks(piece).map(|bytes| continuation(stream, bytes).open()).collect();
    frames[0].kind = kind::HEADERS;
    frames.last_mut().expect("a block has bytes").flags |= flag::END_HEADERS;
    frames
}
