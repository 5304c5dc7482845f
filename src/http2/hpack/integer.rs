//! Integers with a prefix: RFC 7541, 5.1.

/// More than any length or index of ours, and small enough that five octets suffice.
const VALUE_MAX: usize = 0x0fff_ffff;

/// Reads an integer whose first octet has `n_bits` of it; takes it off `input`. `None`: it is cut off, longer than five octets, or too large.
pub(super) fn decode(input: &mut &[u8], n_bits: u32) -> Option<usize> {
    let (&first, mut rest) = input.split_first()?;
    let mask = (1_usize << n_bits) - 1;
    let mut value = usize::from(first) & mask;
    if value == mask {
        for shift in (0..28).step_by(7) {
            let (&octet, more) = rest.split_first()?;
            rest = more;
            value += usize::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                *input = rest;
                return (value <= VALUE_MAX).then_some(value);
            }
        }
        return None;
    }
    *input = rest;
    Some(value)
}

/// Appends an integer whose first octet has `n_bits` of it and `pattern` above them.
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

    #[test]
    fn the_rfcs_examples_and_the_edges() {
        // C.1.1 to C.1.3.
        for (value, n_bits, octets) in [(10, 5, &[0b01010][..]), (1337, 5, &[0b11111, 0b1001_1010, 0b1010]), (42, 8, &[42])] {
            let mut out = Vec::new();
            encode(value, n_bits, 0, &mut out);
            assert_eq!(out, octets);
            assert_eq!(decode(&mut &out[..], n_bits), Some(value));
        }
        for n_bits in 1..=8 {
            for value in [0, 1, 2, 30, 31, 32, 126, 127, 128, 254, 255, 256, 16_383, 16_384, 2_097_151, VALUE_MAX] {
                let mut out = Vec::new();
                encode(value, n_bits, 0, &mut out);
                out.push(0x55);
                let mut input = &out[..];
                assert_eq!(decode(&mut input, n_bits), Some(value), "{value} in {n_bits}");
                assert_eq!(input, [0x55]);
            }
        }
        assert_eq!(decode(&mut &[][..], 7), None);
        assert_eq!(decode(&mut &[0x7f][..], 7), None);
        assert_eq!(decode(&mut &[0x7f, 0x80, 0x80][..], 7), None);
        assert_eq!(decode(&mut &[0x7f, 0xff, 0xff, 0xff, 0xff, 0x7f][..], 7), None, "too large");
        assert_eq!(decode(&mut &[0x7f, 0x80, 0x80, 0x80, 0x80, 0x00][..], 7), None, "too long");
    }
}
