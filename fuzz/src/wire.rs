//! An observer of a connection's two directions. It knows frames and little more, and holds what a server sends against RFC 9113 without asking the engine.

use std::collections::HashMap;

use loopswap::http2::fuzzing::Decoder;

/// Frame types.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// The initial window of a connection (6.9.2).
const WINDOW_INITIAL: i64 = 65_535;

/// Cuts octets into frames, whatever the pieces.
#[derive(Debug, Default)]
struct Cutter {
    partial: Vec<u8>,
    /// A frame's length was more than anybody takes: what follows means nothing.
    is_lost: bool,
}

struct Cut {
    kind: u8,
    flags: u8,
    id: u32,
    payload: Vec<u8>,
}

impl Cutter {
    fn next(&mut self) -> Option<Cut> {
        let header: [u8; 9] = *self.partial.first_chunk()?;
        let [a, b, c, kind, flags, id @ ..] = header;
        let end = 9 + u32::from_be_bytes([0, a, b, c]) as usize;
        if end > 9 + 16_384 {
            self.is_lost = true;
            self.partial.clear();
            return None;
        }
        if self.partial.len() < end {
            return None;
        }
        let payload = self.partial[9..end].to_vec();
        self.partial.drain(..end);
        Some(Cut { kind, flags, id: u32::from_be_bytes(id) & 0x7fff_ffff, payload })
    }
}

/// How far the server's side of a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Head,
    Ended,
    Reset,
}

/// The observer.
#[derive(Debug)]
pub struct Observer {
    to_server: Cutter,
    to_client: Cutter,
    answers: HashMap<u32, Answer>,
    /// What the server may send, at most: every update counted, valid or not.
    window: i64,
    /// What the client may send, less what it has sent.
    granted: i64,
    n_requests: usize,
    goaway_last: u32,
    /// A header block, and its stream.
    block: Option<(u32, Vec<u8>)>,
    decoder: Decoder,
}

impl Default for Observer {
    fn default() -> Self {
        Self {
            to_server: Cutter::default(),
            to_client: Cutter::default(),
            answers: HashMap::new(),
            window: WINDOW_INITIAL,
            granted: WINDOW_INITIAL,
            n_requests: 0,
            goaway_last: u32::MAX,
            block: None,
            decoder: Decoder::new(4096),
        }
    }
}

impl Observer {
    /// Sees what the client sends behind its preface.
    pub fn to_server(&mut self, octets: &[u8]) {
        self.to_server.partial.extend_from_slice(octets);
        while let Some(cut) = self.to_server.next() {
            match (cut.kind, <[u8; 4]>::try_from(&cut.payload[..])) {
                (WINDOW_UPDATE, Ok(increment)) if cut.id == 0 => {
                    self.window += i64::from(u32::from_be_bytes(increment) & 0x7fff_ffff);
                }
                (HEADERS, _) => self.n_requests += 1,
                (DATA, _) => self.granted -= cut.payload.len() as i64,
                _ => {}
            }
        }
    }

    /// Whether the client has sent nothing but whole frames.
    pub fn is_between_frames(&self) -> bool {
        self.to_server.partial.is_empty() && !self.to_server.is_lost
    }

    /// How many HEADERS frames the client has sent.
    pub fn n_requests(&self) -> usize {
        self.n_requests
    }

    /// What the client may still send on the connection, by what the server has told it.
    pub fn granted(&self) -> i64 {
        self.granted
    }

    /// Sees what the server sends.
    ///
    /// # Panics
    ///
    /// When that is against the rules.
    pub fn to_client(&mut self, octets: &[u8]) {
        self.to_client.partial.extend_from_slice(octets);
        while let Some(cut) = self.to_client.next() {
            if let Some((id, _)) = &self.block {
                assert!(cut.kind == CONTINUATION && cut.id == *id, "6.10: a frame within a header block");
            }
            self.frame(cut);
        }
        assert!(!self.to_client.is_lost, "4.2: a frame is larger than any client must accept");
    }

    /// # Panics
    ///
    /// When the server's last frame is not whole.
    pub fn end(&self) {
        assert!(self.to_client.partial.is_empty(), "half a frame");
    }

    fn frame(&mut self, cut: Cut) {
        let Cut { kind, flags, id, payload } = cut;
        let word = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().expect("long enough"));
        match kind {
            HEADERS => {
                assert!(!matches!(self.answers.get(&id), Some(Answer::Ended | Answer::Reset)), "5.1: HEADERS on {id}, which has ended");
                self.answers.insert(id, Answer::Head);
                self.ends(id, flags);
                self.block = Some((id, Vec::new()));
                self.block(flags, &payload);
            }
            CONTINUATION => self.block(flags, &payload),
            DATA => {
                assert_eq!(self.answers.get(&id), Some(&Answer::Head), "8.1: DATA on {id}, which is not open for it");
                self.window -= payload.len() as i64;
                assert!(self.window >= 0, "6.9: DATA beyond the connection's window");
                self.ends(id, flags);
            }
            RST_STREAM => {
                assert_eq!(payload.len(), 4);
                assert!(id % 2 == 1, "6.4: RST_STREAM on stream {id}");
                self.answers.insert(id, Answer::Reset);
            }
            SETTINGS => assert!(id == 0 && payload.len() % 6 == 0),
            GOAWAY => {
                let last = word(0);
                assert!(last <= self.goaway_last, "6.8: the last stream of GOAWAY grows from {} to {last}", self.goaway_last);
                self.goaway_last = last;
            }
            WINDOW_UPDATE => {
                assert_eq!(payload.len(), 4);
                assert!((1..0x8000_0000).contains(&word(0)), "6.9: WINDOW_UPDATE of {}", word(0));
                assert!(id == 0 || self.answers.get(&id) != Some(&Answer::Reset), "6.4: WINDOW_UPDATE on {id} behind RST_STREAM");
                if id == 0 {
                    self.granted += i64::from(word(0));
                    assert!(self.granted <= 0x7fff_ffff, "6.9.1: the client's window is too large");
                }
            }
            6 => assert!(payload.len() == 8 && id == 0),
            other => panic!("a frame of type {other}"),
        }
    }

    fn ends(&mut self, id: u32, flags: u8) {
        if flags & 1 != 0 {
            self.answers.insert(id, Answer::Ended);
        }
    }

    fn block(&mut self, flags: u8, fragment: &[u8]) {
        let Some((_, block)) = &mut self.block else { panic!("6.10: CONTINUATION without HEADERS") };
        block.extend_from_slice(fragment);
        if flags & 4 != 0 {
            let mut n_fields = 0;
            assert!(self.decoder.decode(block, |_, _| n_fields += 1), "4.3: a header block that means nothing");
            self.block = None;
        }
    }
}
