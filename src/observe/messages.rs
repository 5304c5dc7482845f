//! Counts the messages in a body that comes in pieces (PROTOCOL-HTTP2, "Length-Prefixed-Message"). It judges nothing: that is `grpc`'s.

use crate::grpc::PREFIX_BYTES;

/// How far a body has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Messages {
    /// Of a prefix that is not whole.
    prefix: [u8; PREFIX_BYTES],
    n_prefix: usize,
    /// Bytes that the message under way lacks.
    n_left: usize,
}

impl Messages {
    /// Takes note of the next bytes, and returns how many messages end in them.
    #[inline]
    pub(super) fn see(&mut self, mut bytes: &[u8]) -> u64 {
        let mut n_ended = 0;
        while !bytes.is_empty() {
            if self.n_left > 0 {
                let n = self.n_left.min(bytes.len());
                self.n_left -= n;
                bytes = &bytes[n..];
            } else {
                let n = (PREFIX_BYTES - self.n_prefix).min(bytes.len());
                self.prefix[self.n_prefix..self.n_prefix + n].copy_from_slice(&bytes[..n]);
                self.n_prefix += n;
                bytes = &bytes[n..];
                if self.n_prefix < PREFIX_BYTES {
                    break;
                }
                let [_, len @ ..] = self.prefix;
                (self.n_prefix, self.n_left) = (0, u32::from_be_bytes(len) as usize);
            }
            if self.n_left == 0 {
                n_ended += 1;
            }
        }
        n_ended
    }
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
        }
    }

    #[test]
    fn a_message_that_is_cut_off_does_not_count() {
        assert_eq!(Messages::default().see(&[0, 0, 0, 0, 2, 9]), 0);
        assert_eq!(Messages::default().see(&[0, 0, 0, 0]), 0);
    }
}
