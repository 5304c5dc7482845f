//! RFC 7541, Appendix C, from C.2 on; C.1 is with the integers. Decoded all, and encoded where our encoder makes the same choices.

use super::super::{Decoder, Encoder};
use super::{Field, decode, fields, hex};

/// C.2.1 to C.2.4.
#[test]
fn single_fields() {
    let examples = [
        ("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", "custom-key", "custom-header", true),
        ("040c 2f73 616d 706c 652f 7061 7468", ":path", "/sample/path", false),
        ("1008 7061 7373 776f 7264 0673 6563 7265 74", "password", "secret", false),
        ("82", ":method", "GET", false),
    ];
    for (block, name, value, enters) in examples {
        let mut decoder = Decoder::new(4096);
        assert_eq!(decode(&mut decoder, &hex(block)), Ok(fields([(name, value)])));
        assert_eq!(decode(&mut decoder, &[0xbe]).is_ok(), enters, "{name}");
    }
}

fn requests() -> [Vec<Field>; 3] {
    [
        fields([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")]),
        fields([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com"), ("cache-control", "no-cache")]),
        fields([
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/index.html"),
            (":authority", "www.example.com"),
            ("custom-key", "custom-value"),
        ]),
    ]
}

const REQUESTS_PLAIN: [&str; 3] = [
    "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
    "8286 84be 5808 6e6f 2d63 6163 6865",
    "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
];

const REQUESTS_CODED: [&str; 3] = [
    "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
    "8286 84be 5886 a8eb 1064 9cbf",
    "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];

/// C.3 and C.4.
#[test]
fn requests_are_decoded() {
    for blocks in [REQUESTS_PLAIN, REQUESTS_CODED] {
        let mut decoder = Decoder::new(4096);
        for (block, expected) in blocks.iter().zip(requests()) {
            assert_eq!(decode(&mut decoder, &hex(block)), Ok(expected));
        }
        // The table of C.3.3 and C.4.3.
        let table = fields([("custom-key", "custom-value"), ("cache-control", "no-cache"), (":authority", "www.example.com")]);
        assert_eq!(decode(&mut decoder, &[0xbe, 0xbf, 0xc0]), Ok(table));
        assert!(decode(&mut decoder, &[0xc1]).is_err());
    }
}

/// C.4: the examples enter everything that the static table has not.
#[test]
fn requests_are_encoded() {
    let mut encoder = Encoder::new();
    for (block, list) in REQUESTS_CODED.iter().zip(requests()) {
        let mut out = Vec::new();
        encoder.begin(&mut out);
        for (name, value) in &list {
            encoder.common_field(&mut out, name, value);
        }
        assert_eq!(out, hex(block));
    }
}

fn responses() -> [Vec<Field>; 3] {
    let date = "Mon, 21 Oct 2013 20:13:21 GMT";
    let location = ("location", "https://www.example.com");
    [
        fields([(":status", "302"), ("cache-control", "private"), ("date", date), location]),
        fields([(":status", "307"), ("cache-control", "private"), ("date", date), location]),
        fields([
            (":status", "200"),
            ("cache-control", "private"),
            ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
            location,
            ("content-encoding", "gzip"),
            ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
        ]),
    ]
}

const RESPONSES_PLAIN: [&str; 3] = [
    "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 \
     7777 2e65 7861 6d70 6c65 2e63 6f6d",
    "4803 3330 37c1 c0bf",
    "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a \
     584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
];

const RESPONSES_CODED: [&str; 3] = [
    "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
    "4883 640e ffc1 c0bf",
    "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 \
     72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
];

/// C.5 and C.6: a table of 256 bytes, which evicts.
#[test]
fn responses_are_decoded() {
    for blocks in [RESPONSES_PLAIN, RESPONSES_CODED] {
        let mut decoder = Decoder::new(256);
        for (block, expected) in blocks.iter().zip(responses()) {
            assert_eq!(decode(&mut decoder, &hex(block)), Ok(expected));
        }
        // The table of C.5.3 and C.6.3.
        let table = fields([
            ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
            ("content-encoding", "gzip"),
            ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
        ]);
        assert_eq!(decode(&mut decoder, &[0xbe, 0xbf, 0xc0]), Ok(table));
        assert!(decode(&mut decoder, &[0xc1]).is_err());
    }
}

/// C.6.1; the following ones evict, which we do not.
#[test]
fn a_response_is_encoded() {
    let mut encoder = Encoder::new();
    encoder.set_table_bytes_max(256);
    let mut out = Vec::new();
    encoder.begin(&mut out);
    assert_eq!(out, [0x3f, 0xe1, 0x01], "the size that the example presumes");
    out.clear();
    let [first, ..] = responses();
    for (name, value) in &first {
        encoder.common_field(&mut out, name, value);
    }
    assert_eq!(out, hex(RESPONSES_CODED[0]));
    // 222 bytes are taken: another field does not fit, and evicts none.
    out.clear();
    encoder.common_field(&mut out, b"te", b"x");
    assert_eq!(out, hex("0002 7465 0178"));
    out.clear();
    encoder.common_field(&mut out, &first[0].0, &first[0].1);
    assert_eq!(out, [0xc1]);
}
