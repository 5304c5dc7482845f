//! The Huffman code: RFC 7541, Appendix B, and coding with it (5.2).
//!
//! Decoding takes four bits at a time through a table of states, which are the inner nodes of the code's tree; the table is made from the code at
//! compile time.

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

const EOS: u16 = 256;
/// Inner nodes of a tree with 257 leaves.
const N_STATES: usize = 256;

/// What four bits do in a state.
#[derive(Clone, Copy)]
struct Step {
    next: u8,
    /// The octet that they complete, where `emits`. The shortest code has five bits, so there is never more than one.
    octet: u8,
    emits: bool,
    /// They complete EOS, which must not be sent.
    fails: bool,
}

struct Tables {
    steps: [[Step; 16]; N_STATES],
    /// Whether a string may end here: what has come since the last octet is at most seven bits, all of them 1 (5.2).
    ends: [bool; N_STATES],
}

static TABLES: Tables = tables();

const fn tables() -> Tables {
    // The tree: a child is another inner node, or 0x8000 and an octet. The root is nobody's child.
    const LEAF: u16 = 0x8000;
    let mut children = [[0_u16; 2]; N_STATES];
    let mut n_nodes = 1;
    let mut symbol = 0;
    while symbol < CODES.len() {
        let (code, length) = CODES[symbol];
        let (mut node, mut bit) = (0, length);
        while bit > 0 {
            bit -= 1;
            let side = (code >> bit & 1) as usize;
            if bit == 0 {
                children[node][side] = LEAF | symbol as u16;
            } else {
                if children[node][side] == 0 {
                    children[node][side] = n_nodes;
                    n_nodes += 1;
                }
                node = children[node][side] as usize;
            }
        }
        symbol += 1;
    }
    assert!(n_nodes as usize == N_STATES, "a full tree");

    let mut tables = Tables { steps: [[Step { next: 0, octet: 0, emits: false, fails: false }; 16]; N_STATES], ends: [false; N_STATES] };
    let mut state = 0;
    while state < N_STATES {
        let mut bits = 0;
        while bits < 16 {
            let mut step = Step { next: 0, octet: 0, emits: false, fails: false };
            let (mut node, mut left) = (state, 4);
            while left > 0 {
                left -= 1;
                let child = children[node][bits >> left & 1];
                if child & LEAF == 0 {
                    node = child as usize;
                } else {
                    node = 0;
                    step.fails |= child == LEAF | EOS;
                    step.emits = true;
                    step.octet = child as u8;
                }
            }
            step.next = node as u8;
            tables.steps[state][bits] = step;
            bits += 1;
        }
        state += 1;
    }
    let (mut node, mut n_ones) = (0, 0);
    while n_ones < 8 {
        tables.ends[node] = true;
        node = children[node][1] as usize;
        n_ones += 1;
    }
    tables
}

/// Appends what `coded` stands for. `None`: EOS is in it, or its padding is wrong.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut state = 0_u8;
    for byte in coded {
        for bits in [byte >> 4, byte & 0xf] {
            let step = TABLES.steps[usize::from(state)][usize::from(bits)];
            if step.fails {
                return None;
            }
            if step.emits {
                out.push(step.octet);
            }
            state = step.next;
        }
    }
    TABLES.ends[usize::from(state)].then_some(())
}

/// How many bytes `plain` takes when it is coded.
pub(super) fn encoded_len(plain: &[u8]) -> usize {
    let n_bits: usize = plain.iter().map(|octet| usize::from(CODES[usize::from(*octet)].1)).sum();
    n_bits.div_ceil(8)
}

/// Appends `plain`, coded.
pub(super) fn encode(plain: &[u8], out: &mut Vec<u8>) {
    let (mut bits, mut n_bits) = (0_u64, 0);
    for octet in plain {
        let (code, length) = CODES[usize::from(*octet)];
        bits = bits << length | u64::from(code);
        n_bits += length;
        while n_bits >= 8 {
            n_bits -= 8;
            out.push((bits >> n_bits) as u8);
        }
    }
    if n_bits > 0 {
        // EOS begins with ones.
        out.push((bits << (8 - n_bits)) as u8 | 0xff >> n_bits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_comes_back_and_the_code_is_complete() {
        for octet in 0..=255_u8 {
            for n in 1..5 {
                let plain = vec![octet; n];
                let (mut coded, mut decoded) = (Vec::new(), Vec::new());
                encode(&plain, &mut coded);
                assert_eq!(coded.len(), encoded_len(&plain));
                decode(&coded, &mut decoded).expect("our own code");
                assert_eq!(decoded, plain);
            }
        }
        let kraft: u64 = CODES.iter().map(|(_, length)| 1_u64 << (30 - length)).sum();
        assert_eq!(kraft, 1 << 30);
    }

    #[test]
    fn wrong_padding_and_eos_are_refused() {
        let mut out = Vec::new();
        // `0` is 00000 and three bits of padding.
        assert!(decode(&[0b0000_0111], &mut out).is_some());
        assert!(decode(&[0b0000_0110], &mut out).is_none(), "padding of zeros");
        assert!(decode(&[0b0000_0111, 0xff], &mut out).is_none(), "eleven bits of padding");
        assert!(decode(&[0xff], &mut out).is_none(), "eight bits of padding");
        assert!(decode(&[0xff, 0xff, 0xff, 0xff], &mut out).is_none(), "EOS");
        assert!(decode(&[], &mut out).is_some());
    }
}
