//! Any octets as header blocks, one behind the other through one decoder.
//!
//! The first octet is the table's size in units of 32 bytes; then each block is its length, an octet, and its octets. What must hold: nothing panics; the
//! table stays within its size; a field is no longer than its block's octets or the table allow; and a block that has left the table as it was means
//! the same again, which the engine's cache of heads relies on.

#![no_main]

use libfuzzer_sys::fuzz_target;
use loopswap::http2::fuzzing::Decoder;
use loopswap_fuzz::memory;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// A Huffman code has five bits at least.
fn plain_len_max(block: &[u8]) -> usize {
    block.len() * 8 / 5
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn decode(decoder: &mut Decoder, block: &[u8]) -> Option<Fields> {
    let mut fields = Fields::new();
    decoder.decode(block, |name, value| fields.push((name.to_vec(), value.to_vec()))).then_some(fields)
}

fuzz_target!(|input: &[u8]| {
    let Some((&size, mut rest)) = input.split_first() else { return };
    let table_bytes_max = usize::from(size) * 32;
    let before = memory::live();
    let mut decoder = Decoder::new(table_bytes_max);
    while let Some((&length, more)) = rest.split_first() {
        let (block, more) = more.split_at(usize::from(length).min(more.len()));
        rest = more;
        let generation = decoder.generation();
        let Some(fields) = decode(&mut decoder, block) else { return };
        assert!(fields.len() <= block.len());
        for (name, value) in &fields {
            assert!(name.len() + value.len() <= plain_len_max(block) + table_bytes_max.max(64));
        }
        assert!(decoder.table_bytes() <= table_bytes_max);
        if generation == decoder.generation() {
            assert_eq!(decode(&mut decoder, block), Some(fields), "the table is as it was");
        } else {
            drop(fields);
        }
        // An entry counts for 32 bytes more than its octets, which is about what it takes; a list of them grows by doubling.
        assert!(memory::live() - before <= 2 * table_bytes_max + 4096, "the table's memory");
    }
});
