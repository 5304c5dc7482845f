//! Header blocks, written: RFC 7541, 6.
//!
//! Answers of gRPC are of two kinds of fields: those that nearly every answer has, and those that hardly two have in common. The first enter the
//! peer's table when they are first sent, and nothing is ever evicted for them; the others go as they are. So an index, once given, stays right.

use super::static_table::STATIC;
use super::{TABLE_BYTES_INITIAL, huffman, integer};

/// What an entry counts beside its octets (4.1).
const ENTRY_BYTES: usize = 32;

/// A name and a value.
type Entry = (Box<[u8]>, Box<[u8]>);

/// The encoder of a connection, in step with the peer's decoder.
#[derive(Debug)]
pub(in super::super) struct Encoder {
    /// What we have entered into the peer's table, in this order.
    entries: Vec<Entry>,
    n_bytes: usize,
    n_bytes_max: usize,
    /// Changes whenever an index that was given comes to mean something else.
    generation: u32,
    /// The peer's limit has changed, and it must be told what we make of that at the beginning of the next block (4.2).
    resized: bool,
}

impl Encoder {
    pub(in super::super) fn new() -> Self {
        Self { entries: Vec::new(), n_bytes: 0, n_bytes_max: TABLE_BYTES_INITIAL, generation: 0, resized: false }
    }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE. We never use more than the protocol's initial 4096 bytes.
    pub(in super::super) fn set_table_bytes_max(&mut self, n: u32) {
        let n = TABLE_BYTES_INITIAL.min(n as usize);
        if n != self.n_bytes_max {
            self.n_bytes_max = n;
            self.resized = true;
            // What had been entered is entered anew: `begin` empties the table.
            self.entries.clear();
            self.generation += 1;
            self.n_bytes = 0;
        }
    }

    /// Between two equal generations the same fields are the same block.
    pub(in super::super) fn generation(&self) -> u32 {
        self.generation
    }

    /// To be called before the first field of a block.
    pub(in super::super) fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.resized) {
            // Through the smallest size that it has had meanwhile, or less (4.2).
            integer::encode(0, 5, 0x20, out);
            if self.n_bytes_max > 0 {
                integer::encode(self.n_bytes_max, 5, 0x20, out);
            }
        }
    }

    /// `:status`, of three digits.
    pub(in super::super) fn status(&mut self, out: &mut Vec<u8>, status: u16) {
        const OK: u8 = 0x88;
        if status == 200 {
            return out.push(OK);
        }
        let digits = [b'0' + (status / 100 % 10) as u8, b'0' + (status / 10 % 10) as u8, b'0' + (status % 10) as u8];
        self.field(out, b":status", &digits);
    }

    /// A field that nearly every answer has: one octet, but for the first time.
    pub(in super::super) fn common_field(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        if let Some(place) = self.entries.iter().position(|(n, v)| **n == *name && **v == *value) {
            let newer = self.entries.len() - 1 - place;
            integer::encode(STATIC.len() + 1 + newer, 7, 0x80, out);
            return;
        }
        let n_bytes = name.len() + value.len() + ENTRY_BYTES;
        if self.n_bytes + n_bytes > self.n_bytes_max {
            return self.field(out, name, value);
        }
        self.n_bytes += n_bytes;
        self.generation += 1;
        self.entries.push((name.into(), value.into()));
        literal(out, 6, 0x40, name, value);
    }

    /// A field that is not worth an entry.
    pub(in super::super) fn field(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        match STATIC.iter().position(|(n, v, _)| *n == name && *v == value) {
            Some(place) => integer::encode(place + 1, 7, 0x80, out),
            None => literal(out, 4, 0x00, name, value),
        }
    }

    /// A secret (7.1.3): it enters no table, here or further on.
    pub(in super::super) fn sensitive_field(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        literal(out, 4, 0x10, name, value);
    }
}

/// 6.2: a literal, its name from the static table where that has it.
fn literal(out: &mut Vec<u8>, n_bits: u32, pattern: u8, name: &[u8], value: &[u8]) {
    match STATIC.iter().position(|(n, ..)| *n == name) {
        Some(place) => integer::encode(place + 1, n_bits, pattern, out),
        None => {
            out.push(pattern);
            string(out, name);
        }
    }
    string(out, value);
}

/// 5.2: coded where that is shorter.
fn string(out: &mut Vec<u8>, octets: &[u8]) {
    let coded_len = huffman::encoded_len(octets);
    if coded_len < octets.len() {
        integer::encode(coded_len, 7, 0x80, out);
        huffman::encode(octets, out);
    } else {
        integer::encode(octets.len(), 7, 0x00, out);
        out.extend_from_slice(octets);
    }
}
