//! The base64 of application/grpc-web-text. It comes in pieces, cut anywhere, and may be padded wherever its sender has paused (PROTOCOL-WEB.md).

use base64::prelude::{BASE64_STANDARD, Engine as _};

/// Characters that stand for up to three bytes.
const QUAD: usize = 4;

/// A text that is being read.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// A quad that is not whole.
    rest: Vec<u8>,
}

/// It is no base64.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoBase64;

impl Text {
    /// What these characters stand for, with those that came before and did not make a quad. `end`: they are the last.
    ///
    /// # Errors
    ///
    /// They stand for nothing.
    pub(super) fn read(&mut self, characters: &[u8], end: bool) -> Result<Vec<u8>, NoBase64> {
        let mut text = std::mem::take(&mut self.rest);
        text.extend_from_slice(characters);
        self.rest = text.split_off(text.len() / QUAD * QUAD);
        if end && !self.rest.is_empty() {
            return Err(NoBase64);
        }
        let mut bytes = Vec::new();
        let mut text = &text[..];
        while !text.is_empty() {
            // The next text begins behind padding.
            let end = text.iter().position(|character| *character == b'=').map_or(text.len(), |at| (at / QUAD + 1) * QUAD);
            let (padded, later) = text.split_at(end);
            BASE64_STANDARD.decode_vec(padded, &mut bytes).map_err(|_| NoBase64)?;
            text = later;
        }
        Ok(bytes)
    }
}

/// The text for these bytes, padded.
pub(super) fn written(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<u8>, NoBase64> {
        let mut text = Text::default();
        let mut bytes = Vec::new();
        for (n, piece) in pieces.iter().enumerate() {
            bytes.extend(text.read(piece, n + 1 == pieces.len())?);
        }
        Ok(bytes)
    }

    #[test]
    fn any_cut_of_padded_texts_means_the_same() {
        let texts = [written(b"one"), written(b"four"), written(b"fives"), written(b""), written(b"sixsix")].concat();
        for piece in 1..=texts.len() {
            let pieces: Vec<_> = texts.as_bytes().chunks(piece).collect();
            assert_eq!(read(&pieces).as_deref(), Ok(&b"onefourfivessixsix"[..]), "in pieces of {piece}");
        }
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in ["a", "ab", "abc", "abc=d", "a===", "====", "=abc", "ab=c", "ab c", "ab-_", "YWI=YWI", "YWJ=", "abcd\n"] {
            assert_eq!(read(&[text.as_bytes()]), Err(NoBase64), "{text}");
            let pieces: Vec<_> = text.as_bytes().chunks(1).collect();
            assert_eq!(read(&pieces), Err(NoBase64), "{text}, in pieces");
        }
    }

    #[test]
    fn nothing_is_kept_but_a_part_of_a_quad() {
        let mut text = Text::default();
        assert_eq!(text.read(&[b'A'; 4 * 1000 + 3], false).map(|bytes| bytes.len()), Ok(3000));
        assert_eq!(text.rest.len(), 3);
    }
}
