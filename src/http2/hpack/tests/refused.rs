//! What a decoder must refuse, and the edges of what it must not; what an encoder says of sizes.

use super::super::{DecodeError, Decoder, Encoder, Kind};
use super::{decode, fields};

#[test]
fn blocks_that_mean_nothing() {
    let cases: &[(&[u8], DecodeError)] = &[
        // 6.1: index 0; and one past the tables, as a field and as a name.
        (&[0x80], DecodeError::Index),
        (&[0xbe], DecodeError::Index),
        (&[0x7f, 0x00, 0x01, b'x'], DecodeError::Index),
        (&[0x0f, 0x2f, 0x01, b'x'], DecodeError::Index),
        (&[0x1f, 0x2f, 0x01, b'x'], DecodeError::Index),
        (&[0xff, 0x80, 0xff, 0xff, 0x7f], DecodeError::Index),
        (&[0x7f, 0x07, 0x00], DecodeError::Index),
        // 5.1: too large, too long.
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], DecodeError::Integer),
        (&[0x82, 0xff, 0x80, 0x80, 0x80, 0x80, 0x00], DecodeError::Integer),
        (&[0x40, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x7f], DecodeError::Integer),
        (&[0x3f, 0xff, 0xff, 0xff, 0xff, 0x7f], DecodeError::Integer),
        // The end comes too early, at each place.
        (&[0xff], DecodeError::Truncated),
        (&[0x40], DecodeError::Truncated),
        (&[0x40, 0x05, b'a'], DecodeError::Truncated),
        (&[0x40, 0x01, b'a'], DecodeError::Truncated),
        (&[0x40, 0x01, b'a', 0x01], DecodeError::Truncated),
        (&[0x00, 0x01, b'a', 0x7f], DecodeError::Truncated),
        (&[0x04, 0x82, 0xff], DecodeError::Truncated),
        (&[0x3f], DecodeError::Truncated),
        (&[0x82, 0x7f, 0x80], DecodeError::Truncated),
        // 5.2: padding with a zero, of more than seven bits; EOS. In a name, and in values that do and do not enter the table.
        (&[0x40, 0x81, 0x06, 0x01, b'x'], DecodeError::Huffman),
        (&[0x40, 0x81, 0xff, 0x01, b'x'], DecodeError::Huffman),
        (&[0x44, 0x82, 0x07, 0xff], DecodeError::Huffman),
        (&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff], DecodeError::Huffman),
        // "a", EOS, "a".
        (&[0x40, 0x01, b'n', 0x85, 0x1f, 0xff, 0xff, 0xff, 0xe3], DecodeError::Huffman),
        // 4.2 and 6.3: too late, too large.
        (&[0x82, 0x20], DecodeError::SizeUpdate),
        (&[0x04, 0x01, b'/', 0x20], DecodeError::SizeUpdate),
        (&[0x3f, 0xe2, 0x1f], DecodeError::SizeUpdate),
        (&[0x20, 0x3f, 0xe2, 0x1f], DecodeError::SizeUpdate),
    ];
    for (block, error) in cases {
        assert_eq!(decode(&mut Decoder::new(4096), block), Err(*error), "{block:x?}");
        assert!(!error.reason().is_empty());
    }
    assert_eq!(decode(&mut Decoder::new(4096), &[]), Ok(vec![]));
}

/// 4.2 and 6.3: at the beginning, within bounds, and as often as the peer likes.
#[test]
fn sizes_change_between_blocks() {
    let mut decoder = Decoder::new(4096);
    let get = fields([(":method", "GET")]);
    assert_eq!(decode(&mut decoder, &[0x20, 0x3f, 0xe1, 0x1f, 0x82]), Ok(get.clone()));
    let before = decoder.generation();
    assert_eq!(decode(&mut decoder, &[0x40, 0x01, b'a', 0x01, b'b']), Ok(fields([("a", "b")])));
    assert_ne!(decoder.generation(), before, "an entry");
    assert_eq!(decode(&mut decoder, &[0x3f, 0x03, 0xbe]), Ok(fields([("a", "b")])), "34 bytes hold it");
    let before = decoder.generation();
    assert_eq!(decode(&mut decoder, &[0x3f, 0x02]), Ok(vec![]), "33 bytes do not");
    assert_ne!(decoder.generation(), before, "an eviction");
    assert_eq!(decode(&mut decoder, &[0xbe]), Err(DecodeError::Index));
    let before = decoder.generation();
    assert_eq!(decode(&mut decoder, &[0x82]), Ok(get));
    assert_eq!(decoder.generation(), before, "nothing");
}

/// SETTINGS may allow more than the initial 4096 bytes; the table has no more until the peer says so.
#[test]
fn a_larger_table_must_be_taken() {
    // 4032 bytes: the initial table holds one of them.
    let entry = [&[0x40, 0x01, b'a', 0x7f, 0xa0, 0x1e][..], &[b'v'; 3999]].concat();
    let mut decoder = Decoder::new(10_000);
    decode(&mut decoder, &[&entry[..], &entry].concat()).expect("two fields");
    assert!(decode(&mut decoder, &[0xbe]).is_ok());
    assert_eq!(decode(&mut decoder, &[0xbf]), Err(DecodeError::Index));
    // 10,000 and no more.
    assert_eq!(decode(&mut decoder, &[0x3f, 0xf2, 0x4d]), Err(DecodeError::SizeUpdate));
    decode(&mut decoder, &[&[0x3f, 0xf1, 0x4d][..], &entry].concat()).expect("10,000 bytes");
    assert!(decode(&mut decoder, &[0xbe, 0xbf]).is_ok());
}

/// 4.4: the entry whose name is referred to is evicted by what refers to it.
#[test]
fn a_name_outlives_its_entry() {
    let mut decoder = Decoder::new(40);
    decode(&mut decoder, &[0x40, 0x02, b'a', b'b', 0x02, b'x', b'y']).expect("fits");
    assert_eq!(decode(&mut decoder, &[0x7e, 0x03, b'1', b'2', b'3']), Ok(fields([("ab", "123")])));
    assert_eq!(decode(&mut decoder, &[0xbe]), Ok(fields([("ab", "123")])));
    assert_eq!(decode(&mut decoder, &[0xbf]), Err(DecodeError::Index));
    // Larger than the table, and named by the entry that it drives out: it empties the table, and is shown all the same.
    let long = [&[0x7e, 0x0a][..], &[b'v'; 10], &[0x82]].concat();
    assert_eq!(decode(&mut decoder, &long), Ok(fields([("ab", "vvvvvvvvvv"), (":method", "GET")])));
    assert_eq!(decode(&mut decoder, &[0xbe]), Err(DecodeError::Index));
}

/// The kind is of the whole field, wherever its parts come from.
#[test]
fn kinds_come_with_fields() {
    let mut decoder = Decoder::new(4096);
    let kinds = |decoder: &mut Decoder, block: &[u8]| {
        let mut kinds = Vec::new();
        decoder.decode(block, |field| kinds.push(field.kind)).map(|()| kinds)
    };
    assert_eq!(
        kinds(&mut decoder, &[0x83, 0x86, 0x84, 0x81, 0x88]),
        Ok(vec![Kind::Method, Kind::Scheme, Kind::Path, Kind::Authority, Kind::Malformed])
    );
    // `te` with a bad value enters the table; its name is still good, and the entry stays bad.
    let te = [0x40, 0x02, b't', b'e', 0x01, 0x00, 0x7e, 0x01, b'x', 0x0f, 0x2f, 0x01, b'y', 0x0f, 0x30, 0x01, b'\n', 0xbf, 0xbe];
    assert_eq!(kinds(&mut decoder, &te), Ok(vec![Kind::Malformed, Kind::Te, Kind::Te, Kind::Malformed, Kind::Malformed, Kind::Te]));
    // A static name with a bad value, and with a good one.
    assert_eq!(kinds(&mut decoder, &[0x0f, 0x0d, 0x01, b' ', 0x5c, 0x01, b'7']), Ok(vec![Kind::Malformed, Kind::ContentLength]));
    // A new name, in capitals.
    assert_eq!(kinds(&mut decoder, &[0x00, 0x01, b'A', 0x00, 0x00, 0x00, 0x00]), Ok(vec![Kind::Malformed, Kind::Malformed]));
}

/// What is shown cannot upset the table, even by a panic.
#[test]
fn a_panic_leaves_the_table_whole() {
    let mut decoder = Decoder::new(4096);
    let blocks: [&[u8]; 2] = [&[0x40, 0x01, b'a', 0x01, b'b'], &[0x00, 0x81, 0x1f, 0x81, 0x1f]];
    for block in blocks {
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| decoder.decode(block, |_| panic!("a handler's bug"))));
        assert!(panicked.is_err());
        assert_eq!(decode(&mut decoder, &[0xbe, 0x00, 0x81, 0x1f, 0x01, b'2']), Ok(fields([("a", "b"), ("a", "2")])));
    }
}

/// 4.2: the smallest size and the last, in the block that follows.
#[test]
fn the_encoder_announces_sizes() {
    let mut encoder = Encoder::new();
    let begin = |encoder: &mut Encoder, sizes: &[u32]| {
        sizes.iter().for_each(|size| encoder.set_table_bytes_max(*size));
        let mut out = Vec::new();
        encoder.begin(&mut out);
        out
    };
    assert!(begin(&mut encoder, &[]).is_empty());
    assert!(begin(&mut encoder, &[4096, 65_536, u32::MAX]).is_empty(), "we use no more than 4096");
    assert_eq!(begin(&mut encoder, &[100]), [0x3f, 0x45]);
    assert!(begin(&mut encoder, &[]).is_empty(), "once");
    assert_eq!(begin(&mut encoder, &[64, 30, 90]), [0x3e, 0x3f, 0x3b]);
    assert_eq!(begin(&mut encoder, &[0]), [0x20]);
    assert_eq!(begin(&mut encoder, &[u32::MAX]), [0x3f, 0xe1, 0x1f]);
    // An entry of 34 bytes stays while there is room for it, and goes when there is not.
    let mut out = Vec::new();
    encoder.common_field(&mut out, b"a", b"b");
    assert_eq!(begin(&mut encoder, &[34]), [0x3f, 0x03]);
    out.clear();
    encoder.common_field(&mut out, b"a", b"b");
    assert_eq!(out, [0xbe]);
    assert_eq!(begin(&mut encoder, &[33, 4096]), [0x20, 0x3f, 0xe1, 0x1f]);
    out.clear();
    encoder.common_field(&mut out, b"a", b"b");
    assert_eq!(out[0], 0x40, "anew");
}
