//! Writes `seeds/`: what the targets begin with. To be run in this folder, when the seeds are to be changed: `cargo run --example seeds`.
//!
//! Good requests, each type of frame, the examples of RFC 7541, and the beginnings of the attacks that the engine's limits are about.

use std::fs;
use std::path::Path;

use loopswap_fuzz::script::{LAST, NEXT, Writer};

/// Types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// Flags.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// RFC 7541, C.2 to C.6.
const EXAMPLES: [&[&str]; 6] = [
    &["400a637573746f6d2d6b65790d637573746f6d2d686561646572", "040c2f73616d706c652f70617468", "100870617373776f726406736563726574", "82"],
    &[
        "828684410f7777772e6578616d706c652e636f6d",
        "828684be58086e6f2d6361636865",
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
    ],
    &["828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf", "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"],
    &[
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d",
        "4803333037c1c0bf",
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
    ],
    &[
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
        "4883640effc1c0bf",
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ],
    // Sizes that change, and what no block may have.
    &["3fe11f20828684", "20828684", "3f81018286", "80", "ff00", "4085ffffffff", "40ff", "828620"],
];

fn from_hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).expect("hexadecimal digits")).collect()
}

fn literal(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend([&[0x40, name.len() as u8][..], name, &[value.len() as u8], value].concat());
}

/// A gRPC request's header block: everything enters the table.
fn request(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    literal(&mut block, b":path", path.as_bytes());
    literal(&mut block, b":authority", b"a");
    literal(&mut block, b"content-type", b"application/grpc");
    literal(&mut block, b"te", b"trailers");
    for (name, value) in more {
        literal(&mut block, name.as_bytes(), value.as_bytes());
    }
    block
}

/// The same once the tables know it.
fn again(n_more: u8) -> Vec<u8> {
    [&[0x83, 0x86][..], &(0..4 + n_more).rev().map(|n| 0xbe + n).collect::<Vec<_>>()].concat()
}

/// A gRPC message: HelloRequest with a name, and perhaps a sleep.
fn message(name: &str, sleep_ms: u8) -> Vec<u8> {
    let mut body = vec![0x0a, name.len() as u8];
    body.extend_from_slice(name.as_bytes());
    if sleep_ms > 0 {
        body.extend([0x10, sleep_ms]);
    }
    [&[0, 0, 0, 0, body.len() as u8][..], &body].concat()
}

fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

fn keep(target: &str, name: &str, octets: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder).expect("the folder of the seeds");
    fs::write(folder.join(name), octets).expect("a seed");
}

/// What a client says first.
fn opened() -> Writer {
    let mut script = Writer::default();
    script.frame(SETTINGS, 0, 0, &[]).frame(SETTINGS, ACK, 0, &[]);
    script
}

/// Scripts whose client does the same whatever serves it. Their deeds are those of the target `frames`.
fn scripts() -> Vec<(&'static str, Vec<u8>)> {
    const ANSWER: u8 = 3;
    let all = END_HEADERS | END_STREAM;
    let hello = "/helloworld.Greeter/SayHello";
    let (block, known) = (request(hello, &[]), again(0));
    let mut scripts: Vec<(&str, Writer)> = Vec::new();
    let mut add = |name, write: &dyn Fn(&mut Writer)| {
        let mut script = opened();
        write(&mut script);
        script.deed(0, 0, 0);
        scripts.push((name, script));
    };
    add("unary", &|s| {
        s.frame(HEADERS, END_HEADERS, NEXT, &block).frame(DATA, END_STREAM, LAST, &message("you", 0)).deed(ANSWER, 0, 18);
        for _ in 0..3 {
            s.frame(HEADERS, END_HEADERS, NEXT, &known).frame(DATA, END_STREAM, LAST, &message("you", 0)).deed(ANSWER, 0, 18);
        }
    });
    add("octet_by_octet", &|s| {
        s.pieces(1).frame(HEADERS, END_HEADERS, NEXT, &block).frame(DATA, END_STREAM, LAST, &message("you", 0)).deed(ANSWER, 0, 18);
    });
    add("sleeps", &|s| {
        s.frame(HEADERS, END_HEADERS, NEXT, &request(hello, &[("grpc-timeout", "50m")]));
        s.frame(DATA, END_STREAM, LAST, &message("you", 100)).pass(5).pass(5).pass(5);
    });
    add("parts", &|s| {
        s.frame(HEADERS, 0, NEXT, &block[..9]).frame(CONTINUATION, 0, LAST, &block[9..20]).frame(
            CONTINUATION,
            END_HEADERS,
            LAST,
            &block[20..],
        );
        let message = message("in parts", 0);
        s.frame(DATA, PADDED, LAST, &[&[3], &message[..4], &[0; 3]].concat()).frame(DATA, 0, LAST, &message[4..]).frame(
            DATA,
            END_STREAM,
            LAST,
            &[],
        );
        s.deed(21, 0, 20).deed(ANSWER, 0, 5);
    });
    add("trailers", &|s| {
        s.frame(HEADERS, END_HEADERS, NEXT, &block).frame(DATA, 0, LAST, &message("you", 0));
        s.frame(HEADERS, all, LAST, &[0x40, 1, b't', 1, b'v']).deed(ANSWER, 0, 9);
    });
    add("windows", &|s| {
        s.frame(SETTINGS, 0, 0, &setting(4, 10)).frame(HEADERS, END_HEADERS, NEXT, &block).frame(
            DATA,
            END_STREAM,
            LAST,
            &message("you", 0),
        );
        s.deed(ANSWER, 0, 3000).deed(0, 0, 0).frame(WINDOW_UPDATE, 0, LAST, &[0, 0, 0, 200]).deed(0, 0, 0);
        s.frame(SETTINGS, 0, 0, &setting(4, 70_000)).deed(0, 0, 0).frame(SETTINGS, 0, 0, &setting(4, 0)).pass(16);
        s.frame(WINDOW_UPDATE, 0, 0, &[0, 1, 0, 0]).frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]);
    });
    add("resets", &|s| {
        s.frame(HEADERS, END_HEADERS, NEXT, &block).frame(RST_STREAM, 0, LAST, &[0, 0, 0, 8]).frame(DATA, 0, LAST, b"late");
        s.frame(HEADERS, END_HEADERS, NEXT, &known).again(32).deed(19, 3, 0).frame(RST_STREAM, 0, LAST + 2, &[0, 0, 0, 8]).again(8);
    });
    add("control", &|s| {
        s.frame(PING, 0, 0, b"12345678").frame(PING, ACK, 0, b"draining").frame(PRIORITY, 0, NEXT, &[0, 0, 0, 0, 16]);
        s.frame(12, 0xff, 7, b"unknown").frame(SETTINGS, 0, 0, &[setting(1, 100), setting(5, 16_384), setting(6, 1000)].concat());
        s.pass(22).frame(PING, 0, 0, b"12345678").again(4);
    });
    add("drain", &|s| {
        s.frame(HEADERS, END_HEADERS, NEXT, &block).deed(1, 0, 0).deed(0, 0, 0).frame(HEADERS, all, NEXT, &known);
        s.frame(PING, ACK, 0, b"draining").frame(HEADERS, all, NEXT, &known).deed(ANSWER, 0, 4).deed(ANSWER, 1, 4).pass(13);
    });
    add("goes_away", &|s| {
        s.frame(HEADERS, END_HEADERS, NEXT, &block)
            .frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 0, b'b', b'y', b'e'])
            .deed(ANSWER, 0, 4)
            .pass(11);
    });
    add("pushes", &|s| {
        s.frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]);
    });
    add("too_many_fields", &|s| {
        let block = [&block[..], &[0xbe; 200]].concat();
        s.frame(HEADERS, all, NEXT, &block).deed(10, 0, 40).frame(HEADERS, all, NEXT, &known).deed(ANSWER, 0, 4);
    });
    add("streams", &|s| {
        s.frame(HEADERS, all, NEXT, &block).frame(HEADERS, all, NEXT, &known);
        for _ in 0..8 {
            s.again(32);
        }
        for stream in 0..20 {
            s.deed(ANSWER, stream, 100);
        }
    });
    add("malformed", &|s| {
        let more: [&[(&str, &str)]; 5] =
            [&[("Upper", "x")], &[("connection", "close")], &[("content-length", "3")], &[("host", "b")], &[("te", "gzip")]];
        for fields in more {
            s.frame(HEADERS, END_HEADERS, NEXT, &request(hello, fields)).frame(DATA, END_STREAM, LAST, b"four");
        }
    });
    add("grpc_faults", &|s| {
        let more: [&[(&str, &str)]; 4] =
            [&[("grpc-timeout", "1x")], &[("grpc-encoding", "gzip")], &[("x-bin", "!")], &[("grpc-timeout", "0n")]];
        for fields in more {
            s.frame(HEADERS, END_HEADERS, NEXT, &request(hello, fields)).frame(DATA, END_STREAM, LAST, &message("you", 0));
        }
        for body in [&[2, 0, 0, 0, 0][..], &[1, 0, 0, 0, 0], &[0, 0xff, 0, 0, 0, 1], &[0, 0, 0], &[0, 0, 0, 0, 1, 7], &[]] {
            s.frame(HEADERS, END_HEADERS, NEXT, &block).frame(DATA, END_STREAM, LAST, body);
        }
        s.frame(HEADERS, END_HEADERS, NEXT, &known).frame(DATA, END_STREAM, LAST, &[message("a", 0), message("b", 0)].concat());
        s.frame(HEADERS, all, NEXT, &request("/no.Such/Method", &[]));
    });
    add("raw", &|s| {
        s.raw(b"\0\0\x08\x06\0\0\0\0\0pingpong\0\0\0\x04\x01\0\0\0\0");
    });
    for (name, path) in [("takes_many", "/f.Kinds/TakesMany"), ("gives_many", "/f.Kinds/GivesMany"), ("both", "/f.Kinds/Both")] {
        add(name, &|s| {
            s.frame(HEADERS, END_HEADERS, NEXT, &request(path, &[])).frame(DATA, 0, LAST, &message("one", 2)).again(5);
            s.frame(DATA, END_STREAM, LAST, &message("last", 9)).deed(0, 0, 0).frame(WINDOW_UPDATE, 0, LAST, &[0, 0, 1, 0]);
        });
    }
    scripts.into_iter().map(|(name, script)| (name, script.0)).collect()
}

fn main() {
    for (n, blocks) in EXAMPLES.iter().enumerate() {
        let blocks: Vec<_> = blocks.iter().map(|block| from_hex(block)).collect();
        let framed: Vec<u8> = blocks.iter().flat_map(|block| [&[block.len() as u8][..], block].concat()).collect();
        // C.5 and C.6 have a table of 256 octets.
        keep("hpack_decode", &format!("rfc7541_c{}", n + 2), &[&[if (3..5).contains(&n) { 8 } else { 128 }], &framed[..]].concat());
    }
    keep("hpack_decode", "grpc", &{
        let (first, known) = (request("/helloworld.Greeter/SayHello", &[]), again(0));
        [&[128, first.len() as u8][..], &first, &[known.len() as u8], &known, &[known.len() as u8], &known].concat()
    });
    // What to do, with how much, and the octets that it takes.
    keep(
        "hpack_roundtrip",
        "answers",
        b"\x01\x32\x02\x10application/grpc\0\0\x0a\x010\0\0\x01\x32\x02\x10application/grpc\0\0\x0a\x010\x13\x05hello\0\0",
    );
    keep(
        "hpack_roundtrip",
        "sizes",
        b"\x02\x03abc\x40\x01\x02\x02\x03abc\xc0\x20\x08\xff\x02\x03abc\0\0\xba\x14name and then a value of it\0\0",
    );
    for (name, script) in scripts() {
        for (limits, suffix) in [(0, ""), (0x33, "_small")] {
            keep("frames", &format!("{name}{suffix}"), &[&[limits], &script[..]].concat());
            keep("connection", &format!("{name}{suffix}"), &[&[limits], &script[..]].concat());
        }
    }
}
