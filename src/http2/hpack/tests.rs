//! The examples of RFC 7541, Appendix C, and what a decoder must refuse.

use super::{DecodeError, Decoder, Encoder};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex digits")).collect()
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, DecodeError> {
    let mut fields = Vec::new();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    decoder.decode(block, |field| fields.push((text(field.name), text(field.value))))?;
    Ok(fields)
}

fn fields(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// C.2.1 to C.2.4.
#[test]
fn single_fields() {
    let examples = [
        ("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", "custom-key", "custom-header"),
        ("040c 2f73 616d 706c 652f 7061 7468", ":path", "/sample/path"),
        ("1008 7061 7373 776f 7264 0673 6563 7265 74", "password", "secret"),
        ("82", ":method", "GET"),
    ];
    for (block, name, value) in examples {
        assert_eq!(decode(&mut Decoder::new(4096), &hex(block)), Ok(fields(&[(name, value)])));
    }
}

/// C.3 and C.4: requests, without and with Huffman coding.
#[test]
fn requests() {
    let first = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")];
    let second = [&first[..], &[("cache-control", "no-cache")]].concat();
    let third = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/index.html"),
        (":authority", "www.example.com"),
        ("custom-key", "custom-value"),
    ];
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let coded = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for blocks in [plain, coded] {
        let mut decoder = Decoder::new(4096);
        for (block, expected) in blocks.iter().zip([&first[..], &second, &third]) {
            assert_eq!(decode(&mut decoder, &hex(block)), Ok(fields(expected)));
        }
    }
}

/// C.5 and C.6: responses in a table of 256 bytes, which evicts.
#[test]
fn responses_that_evict() {
    let first = [
        (":status", "302"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ];
    let second = [&[(":status", "307")], &first[1..]].concat();
    let third = [
        (":status", "200"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
        ("location", "https://www.example.com"),
        ("content-encoding", "gzip"),
        ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
    ];
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 \
         7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a \
         584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ];
    let coded = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 \
         72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    for blocks in [plain, coded] {
        let mut decoder = Decoder::new(256);
        for (block, expected) in blocks.iter().zip([&first[..], &second, &third]) {
            assert_eq!(decode(&mut decoder, &hex(block)), Ok(fields(expected)));
        }
    }
}

#[test]
fn blocks_that_mean_nothing() {
    let cases: &[(&[u8], DecodeError)] = &[
        (&[0x80], DecodeError::Index),
        (&[0xbe], DecodeError::Index),
        (&[0x7f, 0x00, 0x01, b'x'], DecodeError::Index),
        // A literal whose name has the index 70.
        (&[0x7f, 0x07, 0x00], DecodeError::Index),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], DecodeError::Truncated),
        (&[0x40], DecodeError::Truncated),
        (&[0x40, 0x05, b'a'], DecodeError::Truncated),
        (&[0x40, 0x01, b'a', 0x01], DecodeError::Truncated),
        (&[0x40, 0x81, 0xff, 0x01, b'x'], DecodeError::Huffman),
        // "a", EOS, "a" (5.2).
        (&[0x40, 0x01, b'n', 0x85, 0x1f, 0xff, 0xff, 0xff, 0xe3], DecodeError::Huffman),
        (&[0x82, 0x20], DecodeError::SizeUpdate),
        (&[0x3f, 0xe2, 0x1f], DecodeError::SizeUpdate),
    ];
    for (block, error) in cases {
        assert_eq!(decode(&mut Decoder::new(4096), block), Err(*error), "{block:x?}");
    }
    // Two updates, at the beginning, within bounds.
    assert_eq!(decode(&mut Decoder::new(4096), &[0x20, 0x3f, 0xe1, 0x1f, 0x82]), Ok(fields(&[(":method", "GET")])));
}

/// 4.4: the entry whose name is referred to is evicted by what refers to it.
#[test]
fn a_name_outlives_its_entry() {
    let mut decoder = Decoder::new(40);
    decode(&mut decoder, &[0x40, 0x02, b'a', b'b', 0x02, b'x', b'y']).expect("fits");
    let evicts = [0x7e, 0x03, b'1', b'2', b'3'];
    assert_eq!(decode(&mut decoder, &evicts), Ok(fields(&[("ab", "123")])));
    assert_eq!(decode(&mut decoder, &[0xbe]), Ok(fields(&[("ab", "123")])));
    // Larger than the table: it empties it.
    let long = [&[0x40, 0x01, b'z', 0x0a][..], &[b'v'; 10]].concat();
    decode(&mut decoder, &long).expect("shown all the same");
    assert_eq!(decode(&mut decoder, &[0xbe]), Err(DecodeError::Index));
}

/// What the encoder writes, a decoder reads, whatever the peer makes of the table meanwhile.
#[test]
fn the_encoder_is_understood() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    for (i, size) in [None, None, Some(60), None, Some(0), None, Some(4096), None, Some(100_000), None].into_iter().enumerate() {
        if let Some(size) = size {
            encoder.set_table_bytes_max(size);
        }
        let mut block = Vec::new();
        encoder.begin(&mut block);
        encoder.field(&mut block, b":status", b"200");
        encoder.common_field(&mut block, b"content-type", b"application/grpc");
        encoder.common_field(&mut block, b"grpc-status", b"0");
        encoder.field(&mut block, b"x-number", i.to_string().as_bytes());
        encoder.sensitive_field(&mut block, b"authorization", b"secret");
        let number = i.to_string();
        let expected = [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", "0"),
            ("x-number", &number),
            ("authorization", "secret"),
        ];
        assert_eq!(decode(&mut decoder, &block), Ok(fields(&expected)));
    }
    let mut block = Vec::new();
    encoder.begin(&mut block);
    encoder.field(&mut block, b":status", b"200");
    encoder.common_field(&mut block, b"content-type", b"application/grpc");
    assert_eq!(block, [0x88, 0xbf], "two octets once the table has them");
}

/// Nothing that a peer sends makes the decoder panic.
#[test]
fn any_octets_are_survived() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..20_000 {
        let mut decoder = Decoder::new(4096);
        for _ in 0..4 {
            let block: Vec<u8> = (0..40)
                .map(|_| {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    random as u8
                })
                .collect();
            let _ = decode(&mut decoder, &block);
        }
    }
}
