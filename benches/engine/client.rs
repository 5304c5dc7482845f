//! A client in bytes: what one sends when its tables have settled, and what it makes of the answers.

use loopswap::http2::fuzzing::Decoder;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What a request's header block has beside its path.
const FIELDS: [(&str, &str); 4] =
    [(":authority", "127.0.0.1:9999"), ("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", "tonic/0.14.9")];

/// A client of one method.
#[derive(Debug)]
pub(crate) struct Client {
    path: &'static str,
    /// A gRPC message.
    message: Vec<u8>,
    /// Each call says another timeout, so that no two header blocks are the same.
    with_timeouts: bool,
    /// The next stream.
    id: u32,
    n_calls: u32,
    decoder: Decoder,
}

/// How far the answer to a call has come.
#[derive(Debug, Default)]
struct Answer {
    has_head: bool,
    body: Vec<u8>,
    is_over: bool,
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, id: u32, payload: &[u8]) {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    out.extend_from_slice(&[a, b, c, kind, flags]);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(payload);
}

/// A gRPC message with this payload.
pub(crate) fn message(payload: &[u8]) -> Vec<u8> {
    [&[0][..], &(payload.len() as u32).to_be_bytes(), payload].concat()
}

impl Client {
    pub(crate) fn new(path: &'static str, payload: &[u8], with_timeouts: bool) -> Self {
        Self { path, message: message(payload), with_timeouts, id: 1, n_calls: 0, decoder: Decoder::new(4096) }
    }

    /// The preface, SETTINGS and windows that never close, and a first call, which fills the tables.
    pub(crate) fn open(&mut self) -> Vec<u8> {
        let mut out = PREFACE.to_vec();
        let window = 0x7fff_ffff_u32;
        frame(&mut out, SETTINGS, 0, 0, &[&[0, 4][..], &window.to_be_bytes()].concat());
        frame(&mut out, SETTINGS, 1, 0, &[]);
        frame(&mut out, WINDOW_UPDATE, 0, 0, &(window - 65_535).to_be_bytes());
        let mut block = vec![0x83, 0x86];
        let enter = |block: &mut Vec<u8>, name: &str, value: &str| {
            block.extend_from_slice(&[0x40, name.len() as u8]);
            block.extend_from_slice(name.as_bytes());
            block.push(value.len() as u8);
            block.extend_from_slice(value.as_bytes());
        };
        enter(&mut block, ":path", self.path);
        for (name, value) in FIELDS {
            enter(&mut block, name, value);
        }
        if self.with_timeouts {
            enter(&mut block, "grpc-timeout", "1S");
        }
        self.call(&mut out, &block);
        out
    }

    /// So many calls, one behind the other.
    pub(crate) fn batch(&mut self, out: &mut Vec<u8>, n: usize) {
        for _ in 0..n {
            let mut block = vec![0x83, 0x86];
            // The newest entry is 62; the path came first.
            let newest = 62 + u8::from(self.with_timeouts);
            block.extend((newest..newest + 5).rev().map(|index| 0x80 | index));
            if self.with_timeouts {
                // The name of the newest entry, and a value, which enters no table.
                let value = format!("{}m", 10_000 + self.n_calls % 80_000);
                block.extend_from_slice(&[0x0f, 62 - 15, value.len() as u8]);
                block.extend_from_slice(value.as_bytes());
            }
            self.call(out, &block);
        }
    }

    fn call(&mut self, out: &mut Vec<u8>, block: &[u8]) {
        frame(out, HEADERS, END_HEADERS, self.id, block);
        frame(out, DATA, END_STREAM, self.id, &self.message);
        self.id += 2;
        self.n_calls += 1;
    }

    /// Verifies the answers to the last `n` calls.
    ///
    /// # Panics
    ///
    /// When one is missing, or is not what it should be.
    pub(crate) fn verify(&mut self, output: &[u8], n: usize, body: &[u8]) {
        let first = self.id - 2 * n as u32;
        let mut answers: Vec<Answer> = (0..n).map(|_| Answer::default()).collect();
        let mut rest = output;
        while let Some((header, more)) = rest.split_first_chunk::<9>() {
            let [a, b, c, kind, flags, id @ ..] = *header;
            let (payload, more) = more.split_at(u32::from_be_bytes([0, a, b, c]) as usize);
            rest = more;
            let id = u32::from_be_bytes(id);
            match kind {
                HEADERS | DATA => {
                    let answer = &mut answers[((id - first) / 2) as usize];
                    assert!(!answer.is_over, "the answer on {id} goes on behind its end");
                    answer.is_over = flags & END_STREAM != 0;
                    if kind == DATA {
                        assert!(answer.has_head);
                        answer.body.extend_from_slice(payload);
                    } else {
                        let wanted: (&[u8], &[u8]) = if answer.has_head { (b"grpc-status", b"0") } else { (b":status", b"200") };
                        let mut found = false;
                        assert!(flags & END_HEADERS != 0);
                        assert!(self.decoder.decode(payload, |name, value| found |= (name, value) == wanted), "a block that means nothing");
                        assert!(found, "no {} in the block", String::from_utf8_lossy(wanted.0));
                        answer.has_head = true;
                    }
                }
                // What an engine says beside: windows, acknowledgements, and its SETTINGS at first.
                WINDOW_UPDATE | SETTINGS => {}
                other => panic!("a frame of type {other}: {payload:?}"),
            }
        }
        assert!(rest.is_empty(), "half a frame");
        for answer in answers {
            assert!(answer.is_over, "an answer is missing, or not whole");
            assert_eq!(answer.body, body, "the answer's messages");
        }
    }
}
