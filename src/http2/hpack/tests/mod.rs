//! HPACK as a whole: the examples of RFC 7541, vectors of another implementation, what a decoder must refuse, and properties of any input.

mod examples;
mod properties;
mod refused;
mod vectors;

use super::{DecodeError, Decoder};

/// A field on its own.
type Field = (Vec<u8>, Vec<u8>);

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<Field>, DecodeError> {
    let mut fields = Vec::new();
    decoder.decode(block, |field| fields.push((field.name.to_vec(), field.value.to_vec())))?;
    Ok(fields)
}

fn fields<const N: usize>(list: [(&str, &str); N]) -> Vec<Field> {
    list.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex digits")).collect()
}
