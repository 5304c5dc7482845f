//! What a block holds.

/// The size of a block: a page, and the transfer that storage engines make most.
pub const BLOCK_BYTES: usize = 4096;

/// Words of eight bytes in a block.
const N_WORDS: u64 = BLOCK_BYTES as u64 / 8;

/// What the block of this number holds: [`BLOCK_BYTES`] bytes, little-endian words of a sequence that no other block shares.
pub fn contents(block: u64) -> Vec<u8> {
    words(block).flat_map(u64::to_le_bytes).collect()
}

/// Whether `data` is what the block of this number holds.
pub fn holds(block: u64, data: &[u8]) -> bool {
    data.len() == BLOCK_BYTES && data.chunks_exact(8).zip(words(block)).all(|(bytes, word)| bytes == word.to_le_bytes())
}

fn words(block: u64) -> impl Iterator<Item = u64> {
    let first = block.wrapping_mul(N_WORDS);
    (0..N_WORDS).map(move |n| mixed(first.wrapping_add(n)))
}

/// Spreads each bit over all: the output step of splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014). One to one, so
/// that no two words are alike.
pub(super) fn mixed(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_known_by_its_contents() {
        for block in [0, 1, 7, 1 << 40, u64::MAX] {
            let data = contents(block);
            assert!(data.len() == BLOCK_BYTES && holds(block, &data));
            assert!(!holds(block.wrapping_add(1), &data) && !holds(block, &data[1..]) && !holds(block, &[]));
            for at in [0, 2048, BLOCK_BYTES - 1] {
                let mut spoilt = data.clone();
                spoilt[at] ^= 1;
                assert!(!holds(block, &spoilt), "byte {at} is looked at");
            }
        }
    }

    /// Files outlive versions of this program.
    #[test]
    fn the_contents_stay_as_they_are() {
        // splitmix64 from state 0 and onwards: its published first outputs.
        let data = contents(0);
        assert_eq!(data[8..16], 0xe220_a839_7b1d_cdaf_u64.to_le_bytes());
        assert_eq!(data[16..24], 0x6e78_9e6a_a1b9_65f4_u64.to_le_bytes());
    }
}
