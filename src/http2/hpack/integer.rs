//! Integers with a prefix: RFC 7541, 5.1.

use super::DecodeError;

/// More than any length or index of ours, and small enough that a prefix and four octets suffice.
pub(super) const VALUE_MAX: usize = 0x0fff_ffff;

/// Reads an integer whose first octet has `n_bits` of it, and takes it off `input`.
///
/// # Errors
///
/// It is cut off, longer than five octets, or larger than [`VALUE_MAX`]. `input` then stands anywhere.
#[inline]
pub(super) fn decode(input: &mut &[u8], n_bits: u32) -> Result<usize, DecodeError> {
    let (&first, rest) = input.split_first().ok_or(DecodeError::Truncated)?;
    *input = rest;
    let mask = (1_usize << n_bits) - 1;
    let value = usize::from(first) & mask;
    if value < mask { Ok(value) } else { decode_rest(input, mask) }
}

/// The octets behind a prefix of ones alone.
fn decode_rest(input: &mut &[u8], prefix: usize) -> Result<usize, DecodeError> {
    let mut value = prefix;
    for shift in (0..28).step_by(7) {
        let (&octet, rest) = input.split_first().ok_or(DecodeError::Truncated)?;
        *input = rest;
        value += usize::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return if value <= VALUE_MAX { Ok(value) } else { Err(DecodeError::Integer) };
        }
    }
    Err(DecodeError::Integer)
}

/// Appends an integer whose first octet has `n_bits` of it and `pattern` above them.
#[inline]
pub(super) fn encode(value: usize, n_bits: u32, pattern: u8, out: &mut Vec<u8>) {
    let mask = (1_usize << n_bits) - 1;
    if value < mask {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C.1.1 to C.1.3.
    #[test]
    fn examples_of_the_rfc() {
        for (value, n_bits, octets) in [(10, 5, &[0b01010][..]), (1337, 5, &[0b11111, 0b1001_1010, 0b1010]), (42, 8, &[42])] {
            let mut out = Vec::new();
            encode(value, n_bits, 0, &mut out);
            assert_eq!(out, octets);
            assert_eq!(decode(&mut &out[..], n_bits), Ok(value));
        }
    }

    #[test]
    fn edges_come_back_and_nothing_behind_them_is_taken() {
        for n_bits in 1..=8 {
            for value in [0, 1, 2, 30, 31, 32, 126, 127, 128, 254, 255, 256, 16_383, 16_384, 2_097_151, VALUE_MAX] {
                let mut out = Vec::new();
                encode(value, n_bits, 0, &mut out);
                out.push(0x55);
                let mut input = &out[..];
                assert_eq!(decode(&mut input, n_bits), Ok(value), "{value} in {n_bits} bits");
                assert_eq!(input, [0x55]);
            }
        }
    }

    #[test]
    fn cut_off_too_large_and_too_long() {
        for octets in [&[][..], &[0x7f], &[0x7f, 0x80, 0x80], &[0x7f, 0x80, 0x80, 0x80]] {
            assert_eq!(decode(&mut &octets[..], 7), Err(DecodeError::Truncated), "{octets:x?}");
        }
        // The largest value, and one more.
        assert_eq!(decode(&mut &[0x7f, 0x80, 0xff, 0xff, 0x7f][..], 7), Ok(VALUE_MAX));
        assert_eq!(decode(&mut &[0x7f, 0x81, 0xff, 0xff, 0x7f][..], 7), Err(DecodeError::Integer));
        // A fifth octet behind the prefix, be it worth nothing.
        assert_eq!(decode(&mut &[0x7f, 0x80, 0x80, 0x80, 0x80, 0x00][..], 7), Err(DecodeError::Integer));
        assert_eq!(decode(&mut &[0xff; 64][..], 7), Err(DecodeError::Integer));
    }
}
