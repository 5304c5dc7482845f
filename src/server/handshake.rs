//! Has the peer opened HTTP/2 yet? It has when its preface and its first SETTINGS frame have arrived whole (RFC 9113, 3.4). Until then a deadline
//! runs, which no trickle of bytes extends.
//!
//! What is wrong with a frame is the engine's to judge.

use std::cell::Cell;

use crate::http2::PREFACE;

/// The preface, and the header of the frame behind it.
const OPENING_BYTES: usize = PREFACE.len() + 9;

/// The peer's opening, as far as it has come.
#[derive(Debug)]
pub(crate) struct Handshake {
    seen: Cell<usize>,
    /// Of how many bytes the opening consists; the frame's header says it.
    whole: Cell<usize>,
    /// It is none of HTTP/2, and never will be whole.
    is_other: Cell<bool>,
}

impl Default for Handshake {
    fn default() -> Self {
        Self { seen: Cell::new(0), whole: Cell::new(OPENING_BYTES), is_other: Cell::new(false) }
    }
}

impl Handshake {
    /// Whether the opening is whole.
    pub(crate) fn is_done(&self) -> bool {
        self.seen.get() >= self.whole.get() && !self.is_other.get()
    }

    /// Whether the peer opens HTTP/2, or speaks something else; `None` while what has come may become the preface.
    #[cfg(feature = "grpc-web")]
    pub(crate) fn is_http2(&self) -> Option<bool> {
        match self.is_other.get() {
            true => Some(false),
            false => (self.seen.get() >= PREFACE.len()).then_some(true),
        }
    }

    /// Takes note of bytes that arrived.
    pub(crate) fn observe(&self, bytes: &[u8]) {
        if self.is_done() || self.is_other.get() {
            return;
        }
        let before = self.seen.get();
        if PREFACE.iter().skip(before).zip(bytes).any(|(expected, byte)| expected != byte) {
            self.is_other.set(true);
        }
        // The frame's length is in the three bytes behind the preface.
        for (place, byte) in (24..27).zip([16, 8, 0]).filter(|(place, _)| (before..before + bytes.len()).contains(place)) {
            self.whole.set(self.whole.get() + (usize::from(bytes[place - before]) << byte));
        }
        self.seen.set(before + bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_done_with_the_last_byte_of_settings_however_it_is_cut() {
        let mut opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        opening.extend([0, 0, 12, 4, 0, 0, 0, 0, 0]);
        opening.extend([0; 12]);
        for piece in 1..=opening.len() {
            let handshake = Handshake::default();
            let mut pieces = opening.chunks(piece).peekable();
            while let Some(bytes) = pieces.next() {
                handshake.observe(bytes);
                assert_eq!(handshake.is_done(), pieces.peek().is_none(), "in pieces of {piece}");
            }
        }
    }

    #[test]
    fn is_never_done_by_other_bytes() {
        for n_right in 0..PREFACE.len() {
            let mut other = PREFACE.to_vec();
            other[n_right] ^= 1;
            other.extend([0; 100]);
            for piece in [1, 7, other.len()] {
                let handshake = Handshake::default();
                other.chunks(piece).for_each(|bytes| handshake.observe(bytes));
                assert!(!handshake.is_done(), "wrong at {n_right}, in pieces of {piece}");
            }
        }
    }

    #[cfg(feature = "grpc-web")]
    #[test]
    fn tells_http2_from_others_as_soon_as_it_can_be_told() {
        let handshake = Handshake::default();
        for byte in PREFACE.chunks(1) {
            assert_eq!(handshake.is_http2(), None);
            handshake.observe(byte);
        }
        assert_eq!(handshake.is_http2(), Some(true));
        for text in ["POST / HTTP/1.1", "PUT / HTTP/1.1", "G", "PRI * HTTP/1.1"] {
            let handshake = Handshake::default();
            handshake.observe(text.as_bytes());
            assert_eq!(handshake.is_http2(), Some(false), "{text}");
        }
        let handshake = Handshake::default();
        handshake.observe(b"P");
        assert_eq!(handshake.is_http2(), None);
    }
}
