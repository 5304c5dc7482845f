//! Any fields through our encoder and our decoder, across changes of the table's size.
//!
//! Octets in pairs: what to do, and with what. Names and values are pieces of the input, or of a few that come back. What must hold: each block is
//! decoded to the fields it was made of, and leaves a table that is no larger than the decoder's side had last allowed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use loopswap::http2::fuzzing::{Decoder, Encoder};
use loopswap::http2::{Field, Indexing};

const NAMES: [&[u8]; 6] = [b"content-type", b"grpc-status", b"grpc-message", b"x-a", b"set-cookie", b":status"];

/// What a piece of the input is used as.
fn piece<'a>(input: &mut &'a [u8], n: u8) -> &'a [u8] {
    let (taken, rest) = input.split_at(usize::from(n).min(input.len()));
    *input = rest;
    taken
}

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    let mut table_bytes_max = 4096;
    let mut block = Vec::new();
    let mut expected: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    encoder.begin(&mut block);
    loop {
        let next = piece(&mut input, 2);
        let &[what, n] = next else { break };
        match what % 8 {
            0 => {
                // Another block, and before it the table may change.
                let mut decoded = Vec::new();
                assert!(decoder.decode(&block, |name, value| decoded.push((name.to_vec(), value.to_vec()))));
                assert_eq!(decoded, expected);
                assert!(decoder.table_bytes() <= table_bytes_max);
                for _ in 0..what >> 6 {
                    let size = u32::from(n) * 33;
                    encoder.set_table_bytes_max(size);
                    table_bytes_max = size.min(4096) as usize;
                    if let &[size] = piece(&mut input, 1) {
                        encoder.set_table_bytes_max(u32::from(size) * 16);
                        table_bytes_max = (usize::from(size) * 16).min(4096);
                    }
                }
                block.clear();
                expected.clear();
                encoder.begin(&mut block);
            }
            1 => {
                let status = 100 + u16::from(n) * 2;
                encoder.status(&mut block, status);
                expected.push((b":status".to_vec(), status.to_string().into_bytes()));
            }
            kind => {
                let indexing = [Indexing::Common, Indexing::Plain, Indexing::Never][usize::from(kind) % 3];
                let name = match what >> 3 & 7 {
                    known @ 0..6 => NAMES[usize::from(known)],
                    _ => piece(&mut input, n % 32),
                };
                let value = piece(&mut input, n);
                // As long as what the table holds, too.
                let value = if what & 0x80 != 0 { value.repeat(1 + usize::from(n) % 40) } else { value.to_vec() };
                encoder.field(&mut block, Field { name, value: &value, indexing });
                expected.push((name.to_vec(), value));
            }
        }
    }
});
