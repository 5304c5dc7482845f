//! The Huffman code: RFC 7541, Appendix B, and coding with it (5.2).
//!
//! The code is canonical: put in the order of their lengths and symbols, each code is the one before it plus one. So decoding needs no tree:
//! eight bits look up the symbols of text, whose codes have five to eight; the codes of a longer length are an interval, and a symbol is its
//! place in it. The tables, 1.2 KiB in all, are made from the code at compile time.

use super::DecodeError;

/// The code of each octet, and of EOS (256), aligned to the least significant bit; and its length in bits.
#[rustfmt::skip]
const CODES: [(u32, u8); 257] = [
    (0x1ff8, 13), (0x7fffd8, 23), (0xfffffe2, 28), (0xfffffe3, 28),
    (0xfffffe4, 28), (0xfffffe5, 28), (0xfffffe6, 28), (0xfffffe7, 28),
    (0xfffffe8, 28), (0xffffea, 24), (0x3ffffffc, 30), (0xfffffe9, 28),
    (0xfffffea, 28), (0x3ffffffd, 30), (0xfffffeb, 28), (0xfffffec, 28),
    (0xfffffed, 28), (0xfffffee, 28), (0xfffffef, 28), (0xffffff0, 28),
    (0xffffff1, 28), (0xffffff2, 28), (0x3ffffffe, 30), (0xffffff3, 28),
    (0xffffff4, 28), (0xffffff5, 28), (0xffffff6, 28), (0xffffff7, 28),
    (0xffffff8, 28), (0xffffff9, 28), (0xffffffa, 28), (0xffffffb, 28),
    (0x14, 6), (0x3f8, 10), (0x3f9, 10), (0xffa, 12),
    (0x1ff9, 13), (0x15, 6), (0xf8, 8), (0x7fa, 11),
    (0x3fa, 10), (0x3fb, 10), (0xf9, 8), (0x7fb, 11),
    (0xfa, 8), (0x16, 6), (0x17, 6), (0x18, 6),
    (0x0, 5), (0x1, 5), (0x2, 5), (0x19, 6),
    (0x1a, 6), (0x1b, 6), (0x1c, 6), (0x1d, 6),
    (0x1e, 6), (0x1f, 6), (0x5c, 7), (0xfb, 8),
    (0x7ffc, 15), (0x20, 6), (0xffb, 12), (0x3fc, 10),
    (0x1ffa, 13), (0x21, 6), (0x5d, 7), (0x5e, 7),
    (0x5f, 7), (0x60, 7), (0x61, 7), (0x62, 7),
    (0x63, 7), (0x64, 7), (0x65, 7), (0x66, 7),
    (0x67, 7), (0x68, 7), (0x69, 7), (0x6a, 7),
    (0x6b, 7), (0x6c, 7), (0x6d, 7), (0x6e, 7),
    (0x6f, 7), (0x70, 7), (0x71, 7), (0x72, 7),
    (0xfc, 8), (0x73, 7), (0xfd, 8), (0x1ffb, 13),
    (0x7fff0, 19), (0x1ffc, 13), (0x3ffc, 14), (0x22, 6),
    (0x7ffd, 15), (0x3, 5), (0x23, 6), (0x4, 5),
    (0x24, 6), (0x5, 5), (0x25, 6), (0x26, 6),
    (0x27, 6), (0x6, 5), (0x74, 7), (0x75, 7),
    (0x28, 6), (0x29, 6), (0x2a, 6), (0x7, 5),
    (0x2b, 6), (0x76, 7), (0x2c, 6), (0x8, 5),
    (0x9, 5), (0x2d, 6), (0x77, 7), (0x78, 7),
    (0x79, 7), (0x7a, 7), (0x7b, 7), (0x7ffe, 15),
    (0x7fc, 11), (0x3ffd, 14), (0x1ffd, 13), (0xffffffc, 28),
    (0xfffe6, 20), (0x3fffd2, 22), (0xfffe7, 20), (0xfffe8, 20),
    (0x3fffd3, 22), (0x3fffd4, 22), (0x3fffd5, 22), (0x7fffd9, 23),
    (0x3fffd6, 22), (0x7fffda, 23), (0x7fffdb, 23), (0x7fffdc, 23),
    (0x7fffdd, 23), (0x7fffde, 23), (0xffffeb, 24), (0x7fffdf, 23),
    (0xffffec, 24), (0xffffed, 24), (0x3fffd7, 22), (0x7fffe0, 23),
    (0xffffee, 24), (0x7fffe1, 23), (0x7fffe2, 23), (0x7fffe3, 23),
    (0x7fffe4, 23), (0x1fffdc, 21), (0x3fffd8, 22), (0x7fffe5, 23),
    (0x3fffd9, 22), (0x7fffe6, 23), (0x7fffe7, 23), (0xffffef, 24),
    (0x3fffda, 22), (0x1fffdd, 21), (0xfffe9, 20), (0x3fffdb, 22),
    (0x3fffdc, 22), (0x7fffe8, 23), (0x7fffe9, 23), (0x1fffde, 21),
    (0x7fffea, 23), (0x3fffdd, 22), (0x3fffde, 22), (0xfffff0, 24),
    (0x1fffdf, 21), (0x3fffdf, 22), (0x7fffeb, 23), (0x7fffec, 23),
    (0x1fffe0, 21), (0x1fffe1, 21), (0x3fffe0, 22), (0x1fffe2, 21),
    (0x7fffed, 23), (0x3fffe1, 22), (0x7fffee, 23), (0x7fffef, 23),
    (0xfffea, 20), (0x3fffe2, 22), (0x3fffe3, 22), (0x3fffe4, 22),
    (0x7ffff0, 23), (0x3fffe5, 22), (0x3fffe6, 22), (0x7ffff1, 23),
    (0x3ffffe0, 26), (0x3ffffe1, 26), (0xfffeb, 20), (0x7fff1, 19),
    (0x3fffe7, 22), (0x7ffff2, 23), (0x3fffe8, 22), (0x1ffffec, 25),
    (0x3ffffe2, 26), (0x3ffffe3, 26), (0x3ffffe4, 26), (0x7ffffde, 27),
    (0x7ffffdf, 27), (0x3ffffe5, 26), (0xfffff1, 24), (0x1ffffed, 25),
    (0x7fff2, 19), (0x1fffe3, 21), (0x3ffffe6, 26), (0x7ffffe0, 27),
    (0x7ffffe1, 27), (0x3ffffe7, 26), (0x7ffffe2, 27), (0xfffff2, 24),
    (0x1fffe4, 21), (0x1fffe5, 21), (0x3ffffe8, 26), (0x3ffffe9, 26),
    (0xffffffd, 28), (0x7ffffe3, 27), (0x7ffffe4, 27), (0x7ffffe5, 27),
    (0xfffec, 20), (0xfffff3, 24), (0xfffed, 20), (0x1fffe6, 21),
    (0x3fffe9, 22), (0x1fffe7, 21), (0x1fffe8, 21), (0x7ffff3, 23),
    (0x3fffea, 22), (0x3fffeb, 22), (0x1ffffee, 25), (0x1ffffef, 25),
    (0xfffff4, 24), (0xfffff5, 24), (0x3ffffea, 26), (0x7ffff4, 23),
    (0x3ffffeb, 26), (0x7ffffe6, 27), (0x3ffffec, 26), (0x3ffffed, 26),
    (0x7ffffe7, 27), (0x7ffffe8, 27), (0x7ffffe9, 27), (0x7ffffea, 27),
    (0x7ffffeb, 27), (0xffffffe, 28), (0x7ffffec, 27), (0x7ffffed, 27),
    (0x7ffffee, 27), (0x7ffffef, 27), (0x7fffff0, 27), (0x3ffffee, 26),
    (0x3fffffff, 30),
];

/// Bits of the shortest code, and of the longest.
const SHORTEST_BITS: usize = 5;
const LONGEST_BITS: u32 = 30;
/// Bits that look up a short code.
const SHORT_BITS: u32 = 8;
/// Ends no string: its beginning is what fills the last octet (5.2).
const EOS: u16 = 256;

/// What eight bits begin with: a symbol, and above it the length of its code, or 0 where that is longer than eight bits.
static SHORT: [u16; 1 << SHORT_BITS] = short();
/// All symbols in the order of their codes.
static IN_ORDER: [u16; CODES.len()] = in_order();
/// The longer codes, the shortest first.
static LONG: [Interval; N_LONG] = long();
/// 10 to 15, 19 to 28, and 30 bits.
const N_LONG: usize = 17;

/// The codes of one length, as the uppermost of 32 bits.
#[derive(Clone, Copy)]
struct Interval {
    first: u32,
    /// What the last of them covers.
    last: u32,
    length: u8,
    /// Where its symbols begin in `IN_ORDER`.
    place: u16,
}

const fn in_order() -> [u16; CODES.len()] {
    let mut symbols = [0; CODES.len()];
    let (mut n, mut length) = (0, 1);
    while length <= LONGEST_BITS {
        let mut symbol = 0;
        while symbol < CODES.len() {
            if CODES[symbol].1 as u32 == length {
                symbols[n] = symbol as u16;
                n += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    // Canonical: each code follows the one before it, with zeros behind it where it is longer.
    n = 1;
    while n < symbols.len() {
        let (before, at) = (CODES[symbols[n - 1] as usize], CODES[symbols[n] as usize]);
        assert!(at.0 == (before.0 + 1) << (at.1 - before.1));
        n += 1;
    }
    symbols
}

const fn short() -> [u16; 1 << SHORT_BITS] {
    let mut table = [0; 1 << SHORT_BITS];
    let mut symbol = 0;
    while symbol < CODES.len() {
        let (code, length) = CODES[symbol];
        if length as u32 <= SHORT_BITS {
            let free = SHORT_BITS - length as u32;
            let mut rest = 0;
            while rest < 1 << free {
                table[(code as usize) << free | rest] = (length as u16) << 8 | symbol as u16;
                rest += 1;
            }
        }
        symbol += 1;
    }
    table
}

const fn long() -> [Interval; N_LONG] {
    let in_order = in_order();
    let mut intervals = [Interval { first: 0, last: 0, length: 0, place: 0 }; N_LONG];
    let (mut n, mut place) = (0, 0);
    while place < in_order.len() {
        let (code, length) = CODES[in_order[place] as usize];
        if length as u32 > SHORT_BITS {
            if n == 0 || intervals[n - 1].length != length {
                intervals[n] = Interval { first: code << (32 - length), last: 0, length, place: place as u16 };
                n += 1;
            }
            intervals[n - 1].last = code << (32 - length) | u32::MAX >> length;
        }
        place += 1;
    }
    assert!(n == N_LONG && intervals[n - 1].last == u32::MAX, "every sequence of bits begins with a code");
    intervals
}

/// Appends what `coded` stands for, at most 1.6 times its length.
///
/// # Errors
///
/// EOS is in it; or what stands behind its last symbol is longer than seven bits or has a zero. What has been appended then means nothing.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let start = out.len();
    out.resize(start + coded.len() * 8 / SHORTEST_BITS, 0);
    let n = decode_into(coded, &mut out[start..])?;
    out.truncate(start + n);
    Ok(())
}

/// Writes what `coded` stands for to the beginning of `out`, which has room for it. Returns its length.
fn decode_into(coded: &[u8], out: &mut [u8]) -> Result<usize, DecodeError> {
    // The next bits, uppermost first, and how many of them count. Below those are zeros, or what is about to be read anyway.
    let (mut bits, mut n_bits, mut input) = (0_u64, 0_u32, coded);
    let mut n = 0;
    loop {
        if let Some(word) = input.first_chunk() {
            bits |= u64::from_be_bytes(*word) >> n_bits;
            let n_octets = (63 - n_bits) / 8;
            input = &input[n_octets as usize..];
            n_bits += 8 * n_octets;
        } else {
            while n_bits <= 56
                && let Some((&octet, rest)) = input.split_first()
            {
                bits |= u64::from(octet) << (56 - n_bits);
                input = rest;
                n_bits += 8;
            }
        }
        while n_bits >= SHORT_BITS {
            let entry = SHORT[(bits >> (64 - SHORT_BITS)) as usize];
            let length = u32::from(entry >> 8);
            if length == 0 {
                break;
            }
            out[n] = entry as u8;
            n += 1;
            bits <<= length;
            n_bits -= length;
        }
        // A code that is longer than eight bits; or there are not as many.
        if n_bits >= LONGEST_BITS || input.is_empty() {
            let (symbol, length) = first_symbol(bits);
            if length > n_bits {
                let is_padding = n_bits < 8 && bits.leading_ones() >= n_bits;
                return if is_padding { Ok(n) } else { Err(DecodeError::Huffman) };
            }
            if symbol == EOS {
                return Err(DecodeError::Huffman);
            }
            out[n] = symbol as u8;
            n += 1;
            bits <<= length;
            n_bits -= length;
        }
    }
}

/// The symbol that these bits begin with, and the length of its code.
fn first_symbol(bits: u64) -> (u16, u32) {
    let entry = SHORT[(bits >> (64 - SHORT_BITS)) as usize];
    match entry >> 8 {
        0 => first_long_symbol((bits >> 32) as u32),
        length => (entry & 0xff, u32::from(length)),
    }
}

fn first_long_symbol(bits: u32) -> (u16, u32) {
    let interval = LONG.iter().find(|interval| bits <= interval.last).expect("the last interval goes up to the largest number");
    let length = u32::from(interval.length);
    let place = usize::from(interval.place) + ((bits - interval.first) >> (32 - length)) as usize;
    (IN_ORDER[place], length)
}

/// How many octets `plain` takes when it is coded.
pub(super) fn encoded_len(plain: &[u8]) -> usize {
    let n_bits: usize = plain.iter().map(|octet| usize::from(CODES[usize::from(*octet)].1)).sum();
    n_bits.div_ceil(8)
}

/// Appends `plain`, coded.
pub(super) fn encode(plain: &[u8], out: &mut Vec<u8>) {
    // The lowest `n_bits` wait to be written.
    let (mut bits, mut n_bits) = (0_u64, 0);
    for octet in plain {
        let (code, length) = CODES[usize::from(*octet)];
        bits = bits << length | u64::from(code);
        n_bits += u32::from(length);
        if n_bits >= 32 {
            n_bits -= 32;
            out.extend_from_slice(&((bits >> n_bits) as u32).to_be_bytes());
        }
    }
    while n_bits >= 8 {
        n_bits -= 8;
        out.push((bits >> n_bits) as u8);
    }
    if n_bits > 0 {
        // EOS begins with ones.
        out.push((bits << (8 - n_bits)) as u8 | 0xff >> n_bits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut out = Vec::new();
        decode(coded, &mut out).map(|()| out)
    }

    /// Bits as text, filled up with ones.
    fn octets(bits: &str) -> Vec<u8> {
        let bits: Vec<_> = bits.bytes().filter(|bit| *bit != b' ').collect();
        bits.chunks(8).map(|octet| (0..8).fold(0, |byte, i| byte << 1 | u8::from(octet.get(i) != Some(&b'0')))).collect()
    }

    fn bits_of(symbol: usize) -> String {
        let (code, length) = CODES[symbol];
        format!("{code:0length$b}", length = usize::from(length))
    }

    #[test]
    fn no_code_begins_another_and_no_bits_are_left_over() {
        for (a, (code, length)) in CODES.iter().enumerate() {
            for (longer, more) in CODES.iter().enumerate().filter(|(b, (_, more))| *b != a && more >= length).map(|(_, entry)| entry) {
                assert_ne!(longer >> (more - length), *code, "{a}");
            }
        }
        let kraft: u64 = CODES.iter().map(|(_, length)| 1_u64 << (30 - length)).sum();
        assert_eq!(kraft, 1 << 30);
    }

    /// Each at each of the eight positions in an octet, near the end of the input and far from it.
    #[test]
    fn every_octet_comes_back() {
        for octet in 0..=255_u8 {
            for n_before in 0..8 {
                for n in [1, 2, 3, 40] {
                    // A code of five bits, to shift it; and then one of six.
                    let plain = [&vec![b'0'; n_before][..], &vec![octet; n], b"-"].concat();
                    let mut coded = Vec::new();
                    encode(&plain, &mut coded);
                    assert_eq!(coded, octets(&plain.iter().map(|octet| bits_of(usize::from(*octet))).collect::<String>()));
                    assert_eq!(coded.len(), encoded_len(&plain));
                    assert_eq!(decoded(&coded), Ok(plain));
                }
            }
        }
    }

    #[test]
    fn padding_is_at_most_seven_ones() {
        assert_eq!(decoded(&[]), Ok(vec![]));
        for (n_zeros, n_padding) in [(1, 3), (2, 6), (3, 1), (4, 4), (5, 7), (6, 2), (7, 5), (8, 0)] {
            let coded = octets(&"00000".repeat(n_zeros));
            assert_eq!(coded.len() * 8 - 5 * n_zeros, n_padding);
            assert_eq!(decoded(&coded), Ok(vec![b'0'; n_zeros]));
            assert_eq!(decoded(&[&coded[..], &[0xff]].concat()), Err(DecodeError::Huffman), "{} bits of padding", n_padding + 8);
            for bit in 0..n_padding.min(2) {
                let mut coded = coded.clone();
                *coded.last_mut().expect("zeros have been written") &= !(1 << bit);
                // Bits this low make no symbol of the padding.
                assert_eq!(decoded(&coded), Err(DecodeError::Huffman), "{coded:x?}");
            }
        }
        for n in 1..64 {
            assert_eq!(decoded(&vec![0xff; n]), Err(DecodeError::Huffman), "{n} octets of ones");
        }
    }

    #[test]
    fn eos_is_refused_wherever_it_stands() {
        let eos = bits_of(256);
        for n_before in 0..20 {
            for n_behind in 0..20 {
                let coded = octets(&format!("{}{eos}{}", "00000".repeat(n_before), "00000".repeat(n_behind)));
                assert_eq!(decoded(&coded), Err(DecodeError::Huffman), "{n_before}, {n_behind}");
            }
        }
    }

    #[test]
    fn a_code_that_is_cut_off_is_refused() {
        for symbol in 0..256 {
            let bits = bits_of(symbol);
            for n in (8..bits.len()).step_by(8) {
                assert_eq!(decoded(&octets(&bits[..n])), Err(DecodeError::Huffman), "{n} bits of {symbol}");
            }
        }
    }
}
