//! Has the peer opened HTTP/2 yet? It has when its preface and its first SETTINGS frame have arrived whole (RFC 9113, 3.4). Until then a deadline
//! runs, which no trickle of bytes extends.
//!
//! Whether the bytes are the right ones is the engine's to judge.

use std::cell::Cell;

/// The preface, and the header of the frame behind it.
const OPENING_BYTES: usize = 24 + 9;

/// The peer's opening, as far as it has come.
#[derive(Debug)]
pub(crate) struct Handshake {
    seen: Cell<usize>,
    /// Of how many bytes the opening consists; the frame's header says it.
    whole: Cell<usize>,
}

impl Default for Handshake {
    fn default() -> Self {
        Self { seen: Cell::new(0), whole: Cell::new(OPENING_BYTES) }
    }
}

impl Handshake {
    /// Whether the opening is whole.
    pub(crate) fn is_done(&self) -> bool {
        self.seen.get() >= self.whole.get()
    }

    /// Takes note of bytes that arrived.
    pub(crate) fn observe(&self, bytes: &[u8]) {
        if self.is_done() {
            return;
        }
        let before = self.seen.get();
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
}
