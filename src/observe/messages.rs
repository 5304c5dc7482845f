//! Counts the messages in a body that comes in pieces (PROTOCOL-HTTP2, "Length-Prefixed-Message"). It judges nothing: that is `grpc`'s.

use crate::grpc::PREFIX_BYTES;

/// How far a body has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Messages {
    /// Bytes of the prefix under way, or all of them.
    n_prefix: usize,
    /// What they say of the length; then the bytes that the message lacks.
    n_left: u32,
}

impl Messages {
    /// Takes note of the next bytes, and returns how many messages end in them.
    #[inline]
    pub(super) fn see(&mut self, mut bytes: &[u8]) -> u64 {
        let mut n_ended = 0;
        while !bytes.is_empty() {
            if let (0, Some((&[_, a, b, c, d], rest))) = (self.n_prefix, bytes.split_first_chunk::<PREFIX_BYTES>()) {
                (self.n_prefix, self.n_left) = (PREFIX_BYTES, u32::from_be_bytes([a, b, c, d]));
                bytes = rest;
            } else {
                let (prefix, rest) = bytes.split_at((PREFIX_BYTES - self.n_prefix).min(bytes.len()));
                // The flag goes first, and is shifted out again.
                self.n_left = prefix.iter().fold(self.n_left, |len, byte| len << 8 | u32::from(*byte));
                self.n_prefix += prefix.len();
                bytes = rest;
                if self.n_prefix < PREFIX_BYTES {
                    break;
                }
            }
            let n = bytes.len().min(self.n_left as usize);
            bytes = &bytes[n..];
            self.n_left -= n as u32;
            if self.n_left == 0 {
                n_ended += 1;
                *self = Self::default();
            }
        }
        n_ended
    }

    /// Whether the last message that has begun is whole.
    #[inline]
    pub(super) fn is_whole(self) -> bool {
        self.n_prefix == 0
    }
}

/// Whether these bytes are a message and nothing else, as the bodies of most requests are.
#[inline]
pub(super) fn is_one_message(bytes: &[u8]) -> bool {
    let parts = bytes.split_first_chunk::<PREFIX_BYTES>();
    parts.is_some_and(|(&[_, a, b, c, d], rest)| rest.len() == u32::from_be_bytes([a, b, c, d]) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_same_however_it_is_cut() {
        let mut body = Vec::new();
        for len in [0, 1, 300, 0, 7] {
            body.push(0);
            body.extend(u32::to_be_bytes(len));
            body.extend(vec![9; len as usize]);
        }
        for piece in 1..=body.len() {
            let mut messages = Messages::default();
            assert_eq!(body.chunks(piece).map(|bytes| messages.see(bytes)).sum::<u64>(), 5, "in pieces of {piece}");
            assert!(messages.is_whole());
        }
    }

    #[test]
    fn one_message_is_known_without_counting() {
        for (bytes, is_one) in [
            (&[][..], false),
            (&[0, 0, 0, 0], false),
            (&[0, 0, 0, 0, 0], true),
            (&[1, 0, 0, 0, 2, 9, 9], true),
            (&[0, 0, 0, 0, 2, 9], false),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], false),
        ] {
            assert_eq!(is_one_message(bytes), is_one, "{bytes:?}");
        }
    }

    #[test]
    fn a_message_that_is_cut_off_does_not_count() {
        for bytes in [&[0, 0, 0, 0, 2, 9][..], &[0, 0, 0, 0]] {
            let mut messages = Messages::default();
            assert_eq!(messages.see(bytes), 0);
            assert!(!messages.is_whole());
        }
    }
}
