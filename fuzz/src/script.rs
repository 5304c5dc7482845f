//! An input as a script: what a client sends, in which pieces, and what happens beside it. Any octets are a script; those that mean something short are
//! reached by small changes, so that a fuzzer finds its way past frame headers and stream identifiers.
//!
//! A step's first octet has its kind in the upper three bits and a number, `n`, in the lower five:
//!
//! | kind | then | step |
//! | --- | --- | --- |
//! | 0 | n + 1 octets | these octets, as they are |
//! | 1 | flags, stream, length (255: two octets follow), payload | a frame of type `n % 16`; handed over at once when n ≥ 16 |
//! | 2 | | all but the last n octets are handed over |
//! | 3 | | 2^n ms pass |
//! | 4 | stream, two octets | the deed n of the target, with a number |
//! | 5 | | the last frame again, n + 1 times, on the next streams when it is HEADERS |
//! | 6, 7 | | everything is handed over, n octets at a time, from now on (0: all at once) |

use std::time::Duration;

/// A step of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// These octets, whatever they mean.
    Raw(&'a [u8]),
    /// A frame whose header fits its payload.
    Frame(Frame<'a>),
    /// The last frame, more often.
    Again(usize),
    /// What has been written is handed over, but for its last octets.
    HandOver {
        /// How many octets stay.
        but: usize,
    },
    /// From now on it is handed over in pieces of this size; 0 is no limit.
    Pieces(usize),
    /// Time passes.
    Pass(Duration),
    /// Something that is the target's.
    Deed {
        /// What.
        what: u8,
        /// To which stream; the target counts them as it likes.
        which: u8,
        /// How much.
        n: u16,
    },
}

/// A frame of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream: see [`Ids`].
    pub stream: u8,
    /// Its payload.
    pub payload: &'a [u8],
}

/// Reads a script to its end.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    rest: &'a [u8],
    hand_over: bool,
}

impl<'a> Script<'a> {
    /// The script that the octets are.
    pub fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets, hand_over: false }
    }

    fn octet(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn octets(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(n.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.octet()?, self.octet()?]))
    }
}

impl<'a> Iterator for Script<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        if std::mem::take(&mut self.hand_over) {
            return Some(Step::HandOver { but: 0 });
        }
        let first = self.octet()?;
        let n = first & 0x1f;
        Some(match first >> 5 {
            0 => Step::Raw(self.octets(usize::from(n) + 1)),
            1 => {
                let (flags, stream, length) = (self.octet()?, self.octet()?, self.octet()?);
                let length = if length == 255 { usize::from(self.number()?) } else { usize::from(length) };
                self.hand_over = n >= 16;
                Step::Frame(Frame { kind: n % 16, flags, stream, payload: self.octets(length) })
            }
            2 => Step::HandOver { but: usize::from(n) },
            3 => Step::Pass(Duration::from_millis(1 << n)),
            4 => Step::Deed { what: n, which: self.octet()?, n: self.number()? },
            5 => Step::Again(usize::from(n) + 1),
            _ => Step::Pieces(usize::from(n)),
        })
    }
}

/// Writes scripts: for seeds.
#[derive(Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// Octets as they are.
    pub fn raw(&mut self, octets: &[u8]) -> &mut Self {
        for piece in octets.chunks(32) {
            self.0.push(piece.len() as u8 - 1);
            self.0.extend_from_slice(piece);
        }
        self
    }

    /// A frame, handed over at once.
    pub fn frame(&mut self, kind: u8, flags: u8, stream: u8, payload: &[u8]) -> &mut Self {
        self.0.extend_from_slice(&[1 << 5 | 16 | (kind % 16), flags, stream]);
        match u8::try_from(payload.len()) {
            Ok(length @ 0..=254) => self.0.push(length),
            _ => self.0.extend_from_slice(&[255, (payload.len() >> 8) as u8, payload.len() as u8]),
        }
        self.0.extend_from_slice(payload);
        self
    }

    /// 2^n ms pass.
    pub fn pass(&mut self, n: u8) -> &mut Self {
        self.0.push(3 << 5 | n);
        self
    }

    /// A deed.
    pub fn deed(&mut self, what: u8, which: u8, n: u16) -> &mut Self {
        let [a, b] = n.to_be_bytes();
        self.0.extend_from_slice(&[4 << 5 | what, which, a, b]);
        self
    }

    /// The last frame again.
    pub fn again(&mut self, n: u8) -> &mut Self {
        self.0.push(5 << 5 | (n - 1));
        self
    }

    /// Pieces of this size.
    pub fn pieces(&mut self, n: u8) -> &mut Self {
        self.0.push(6 << 5 | n);
        self
    }
}

/// Stream identifiers in an octet: most are of streams that exist, or of the next one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids {
    /// The highest that HEADERS had.
    last: u32,
}

/// The next stream that nobody has opened.
pub const NEXT: u8 = 128;
/// The stream that was opened last.
pub const LAST: u8 = 192;

impl Ids {
    /// The identifier that the octet stands for.
    pub fn resolve(&mut self, octet: u8, opens: bool) -> u32 {
        let n = u32::from(octet);
        let id = match octet {
            0 => 0,
            1..NEXT => 2 * n - 1,
            NEXT..LAST => ((self.last + 1) | 1).saturating_add(2 * (n - u32::from(NEXT))),
            LAST..224 => self.last.saturating_sub(2 * (n - u32::from(LAST))),
            255 => 0x7fff_ffff,
            _ => 2 * (n - 223),
        };
        let id = id & 0x7fff_ffff;
        if opens {
            self.last = self.last.max(id);
        }
        id
    }
}

/// What a client has written and not handed over.
#[derive(Debug, Default)]
pub struct Pending {
    octets: Vec<u8>,
    ids: Ids,
    again: Option<(u8, u8, u8, Vec<u8>)>,
    pieces: usize,
}

impl Pending {
    /// Takes a step that writes. `Some`: so many octets from the front are to be handed over now, in pieces of `pieces()`.
    pub fn take(&mut self, step: Step<'_>) -> Option<usize> {
        match step {
            Step::Raw(octets) => self.octets.extend_from_slice(octets),
            Step::Frame(Frame { kind, flags, stream, payload }) => {
                self.write(kind, flags, stream, payload);
                self.again = Some((kind, flags, stream, payload.to_vec()));
            }
            Step::Again(n) => {
                if let Some((kind, flags, stream, payload)) = self.again.take() {
                    // Much of a long one is no flood but a long input.
                    let payload = &payload[..payload.len().min(512)];
                    for _ in 0..n {
                        self.write(kind, flags, if kind == 1 { NEXT } else { stream }, payload);
                    }
                    self.again = Some((kind, flags, stream, payload.to_vec()));
                    return Some(self.octets.len());
                }
            }
            Step::Pieces(n) => self.pieces = n,
            Step::HandOver { but } => return Some(self.octets.len().saturating_sub(but)),
            Step::Pass(_) | Step::Deed { .. } => {}
        }
        None
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u8, payload: &[u8]) {
        let id = self.ids.resolve(stream, kind == 1);
        let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
        self.octets.extend_from_slice(&[a, b, c, kind, flags]);
        self.octets.extend_from_slice(&id.to_be_bytes());
        self.octets.extend_from_slice(payload);
    }

    /// Takes the first `n` octets off, in pieces.
    pub fn hand_over(&mut self, n: usize) -> Vec<Vec<u8>> {
        let rest = self.octets.split_off(n);
        let whole = std::mem::replace(&mut self.octets, rest);
        let size = if self.pieces == 0 { whole.len().max(1) } else { self.pieces };
        whole.chunks(size).map(<[u8]>::to_vec).collect()
    }

    /// How much has been written and not handed over.
    pub fn len(&self) -> usize {
        self.octets.len()
    }

    /// Whether all has been handed over.
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }
}
