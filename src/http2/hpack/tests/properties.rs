//! What holds for any input.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Decoder, Encoder, huffman, integer};
use super::{Field, decode};

#[derive(Clone, Copy, Debug)]
enum How {
    Plain,
    Common,
    Secret,
}

/// Changes of the peer's table, then a block.
type Turn = (Vec<u32>, Vec<(How, Field)>);

/// Few enough that they come again.
fn any_field() -> impl Strategy<Value = (How, Field)> {
    let how = prop_oneof![Just(How::Plain), Just(How::Common), Just(How::Common), Just(How::Secret)];
    let known = prop_oneof![
        Just((b":status".to_vec(), b"404".to_vec())),
        Just((b":status".to_vec(), b"201".to_vec())),
        Just((b"content-type".to_vec(), b"application/grpc".to_vec())),
        Just((b"grpc-status".to_vec(), b"0".to_vec())),
        Just((b"grpc-status".to_vec(), b"13".to_vec())),
        Just((vec![], vec![])),
    ];
    let any = (vec(any::<u8>(), 0..40), vec(any::<u8>(), 0..300));
    (how, prop_oneof![2 => known, 1 => any])
}

fn any_turn() -> impl Strategy<Value = Turn> {
    let size = prop_oneof![0..200_u32, 0..5000_u32, Just(u32::MAX)];
    (prop_oneof![2 => Just(vec![]), 1 => vec(size, 1..4)], vec(any_field(), 0..12))
}

fn write_fields(encoder: &mut Encoder, list: &[(How, Field)], block: &mut Vec<u8>) {
    for (how, (name, value)) in list {
        match how {
            How::Plain => encoder.field(block, name, value),
            How::Common => encoder.common_field(block, name, value),
            How::Secret => encoder.sensitive_field(block, name, value),
        }
    }
}

/// Octets that are blocks more often than chance would have it.
fn any_block() -> impl Strategy<Value = Vec<u8>> {
    let index = (0x80..0xd0_u8).prop_map(|octet| vec![octet]);
    let size = (0..5000_usize).prop_map(|size| {
        let mut out = Vec::new();
        integer::encode(size, 5, 0x20, &mut out);
        out
    });
    let literal = (prop_oneof![0..0x20_u8, 0x40..0x80_u8], vec(any::<u8>(), 0..30), vec(any::<u8>(), 0..100), any::<[bool; 2]>()).prop_map(
        |(first, name, value, coded)| {
            let mut out = vec![first];
            let index = first & if first >= 0x40 { 0x3f } else { 0x0f };
            let name = (index == 0).then_some((name, coded[0]));
            let strings = name.into_iter().chain([(value, coded[1])]);
            for (string, coded) in strings {
                let mut octets = Vec::new();
                if coded {
                    huffman::encode(&string, &mut octets);
                } else {
                    octets = string;
                }
                integer::encode(octets.len(), 7, if coded { 0x80 } else { 0 }, &mut out);
                out.extend(octets);
            }
            out
        },
    );
    let junk = vec(any::<u8>(), 0..20);
    let parts = prop_oneof![6 => index, 8 => literal, 1 => junk];
    (vec(size, 0..2), vec(parts, 0..12)).prop_map(|(sizes, parts)| [sizes.concat(), parts.concat()].concat())
}

proptest! {
    /// What our encoder writes, a decoder reads, whatever the peer makes of its table meanwhile; and the sizes that it announces are within
    /// what the peer allows. While its generation stays, it writes the same again.
    #[test]
    fn what_is_encoded_is_decoded(turns in vec(any_turn(), 1..12)) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
        let (mut allowed, mut used) = (4096, 4096);
        for (sizes, list) in turns {
            let mut smallest = used;
            for size in sizes {
                encoder.set_table_bytes_max(size);
                allowed = size as usize;
                smallest = smallest.min(allowed);
            }
            let generation = encoder.generation();
            let mut block = Vec::new();
            encoder.begin(&mut block);
            let mut announced = Vec::new();
            let mut updates = &block[..];
            while !updates.is_empty() {
                announced.push(integer::decode(&mut updates, 5).expect("an update"));
            }
            if smallest < used {
                prop_assert!(announced.first().is_some_and(|first| *first <= smallest));
            }
            used = announced.last().copied().unwrap_or(used);
            prop_assert!(used <= allowed && announced.len() <= 2);
            write_fields(&mut encoder, &list, &mut block);
            if encoder.generation() == generation {
                let mut again = Vec::new();
                encoder.begin(&mut again);
                write_fields(&mut encoder, &list, &mut again);
                prop_assert_eq!(&again, &block);
                prop_assert_eq!(encoder.generation(), generation);
            }
            let list: Vec<Field> = list.into_iter().map(|(_, field)| field).collect();
            prop_assert_eq!(decode(&mut decoder, &block), Ok(list));
        }
    }

    /// No octets make it panic, or show more fields than there are octets. And a block that leaves the generation as it was means the same again.
    #[test]
    fn any_octets_are_survived(table in 0..6000_usize, blocks in vec(prop_oneof![3 => any_block(), 1 => vec(any::<u8>(), 0..60)], 1..10)) {
        let mut decoder = Decoder::new(table);
        for block in blocks {
            let before = decoder.generation();
            let shown = decode(&mut decoder, &block);
            let Ok(list) = shown else { return Ok(()) };
            prop_assert!(list.len() <= block.len());
            if decoder.generation() == before {
                prop_assert_eq!(decode(&mut decoder, &block), Ok(list));
                prop_assert_eq!(decoder.generation(), before);
            }
        }
    }

    #[test]
    fn a_string_comes_back(plain in vec(any::<u8>(), 0..200)) {
        let (mut coded, mut decoded) = (Vec::new(), b"before".to_vec());
        huffman::encode(&plain, &mut coded);
        prop_assert_eq!(coded.len(), huffman::encoded_len(&plain));
        prop_assert_eq!(huffman::decode(&coded, &mut decoded), Ok(()));
        prop_assert_eq!(decoded, [b"before", &plain[..]].concat());
    }

    /// A string has one code: what is accepted is what would have been written.
    #[test]
    fn no_other_code_is_a_string(coded in vec(prop_oneof![any::<u8>(), Just(0xff)], 0..12)) {
        let mut plain = Vec::new();
        if huffman::decode(&coded, &mut plain).is_ok() {
            let mut again = Vec::new();
            huffman::encode(&plain, &mut again);
            prop_assert_eq!(again, coded);
        }
    }
}
