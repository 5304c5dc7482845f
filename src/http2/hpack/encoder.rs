//! Header blocks, written: RFC 7541, 6.
//!
//! Answers of gRPC are of two kinds of fields: those that nearly every answer has, and those that hardly two have in common. The first enter the
//! peer's table when they are first sent, and nothing is ever evicted for them; the others go as they are. So an index, once given, stays right.

use super::static_table::{STATIC, find_name};
use super::{ENTRY_BYTES, TABLE_BYTES_INITIAL, huffman, integer};

/// The encoder of a connection, in step with the peer's decoder.
///
/// It holds no memory until a common field is sent, and then what the fields have, and some 12 bytes for each.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// What we have entered into the peer's table, in this order.
    entries: Vec<Entry>,
    /// Name and value of each, one behind the other.
    text: Vec<u8>,
    n_bytes_max: u32,
    /// Changes whenever the same fields may come to be another block.
    generation: u32,
    /// What the peer must be told at the beginning of the next block.
    resized: Option<Resized>,
}

#[derive(Debug)]
struct Entry {
    start: u32,
    name_len: u32,
    value_len: u32,
}

/// The peer's limit has changed since the last block.
#[derive(Clone, Copy, Debug)]
struct Resized {
    /// The smallest size that the table has had meanwhile, in bytes.
    smallest: u32,
}

impl Encoder {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), text: Vec::new(), n_bytes_max: TABLE_BYTES_INITIAL as u32, generation: 0, resized: None }
    }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE, in bytes. We never use more than the protocol's initial 4096.
    pub(crate) fn set_table_bytes_max(&mut self, n: u32) {
        let n = n.min(TABLE_BYTES_INITIAL as u32);
        if n == self.n_bytes_max {
            return;
        }
        self.n_bytes_max = n;
        self.generation += 1;
        let smallest = self.resized.map_or(n, |resized| resized.smallest.min(n));
        self.resized = Some(Resized { smallest });
    }

    /// Gives back memory that the entries do not need.
    pub(crate) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
        self.text.shrink_to_fit();
    }

    /// Between two equal generations the same fields are the same block, [`Self::begin`] included.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// To be called before the first field of a block: says what has become of the table's size (4.2).
    #[inline]
    pub(crate) fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(resized) = self.resized.take() {
            // This block has size updates; the next one has not.
            self.generation += 1;
            self.resize(resized.smallest, out);
        }
    }

    /// The smallest size, where it is not the last, and the last.
    fn resize(&mut self, smallest: u32, out: &mut Vec<u8>) {
        let mut say = |size: u32| integer::encode(size as usize, 5, 0x20, out);
        if self.text.len() + self.entries.len() * ENTRY_BYTES > smallest as usize {
            // The oldest would go first, and those are worth most. So all go, and are entered anew when they are sent again.
            self.entries.clear();
            self.text.clear();
            say(0);
            if self.n_bytes_max > 0 {
                say(self.n_bytes_max);
            }
            return;
        }
        if smallest < self.n_bytes_max {
            say(smallest);
        }
        say(self.n_bytes_max);
    }

    /// `:status`, of three digits.
    #[inline]
    pub(crate) fn status(&mut self, out: &mut Vec<u8>, status: u16) {
        const OK: u8 = 0x88;
        if status == 200 {
            return out.push(OK);
        }
        let digits = [b'0' + (status / 100 % 10) as u8, b'0' + (status / 10 % 10) as u8, b'0' + (status % 10) as u8];
        self.field(out, b":status", &digits);
    }

    /// A field that nearly every answer has: it enters the peer's table if there is room, and is one octet from then on.
    pub(crate) fn common_field(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        if let Some(place) = self.entries.iter().position(|entry| self.is(entry, name, value)) {
            return integer::encode(self.index(place), 7, 0x80, out);
        }
        if let Some(index) = find_field(name, value) {
            return integer::encode(index, 7, 0x80, out);
        }
        let n_bytes = self.text.len() + (self.entries.len() + 1) * ENTRY_BYTES + name.len() + value.len();
        if n_bytes > self.n_bytes_max as usize {
            return self.literal(out, 4, 0x00, name, value);
        }
        self.literal(out, 6, 0x40, name, value);
        self.generation += 1;
        let start = self.text.len() as u32;
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.entries.push(Entry { start, name_len: name.len() as u32, value_len: value.len() as u32 });
    }

    /// A field that is not worth an entry: an index of the static table, or a literal.
    pub(crate) fn field(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        match find_field(name, value) {
            Some(index) => integer::encode(index, 7, 0x80, out),
            None => self.literal(out, 4, 0x00, name, value),
        }
    }

    /// A secret (6.2.3, 7.1.3): it enters no table, here or further on.
    pub(crate) fn sensitive_field(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        self.literal(out, 4, 0x10, name, value);
    }

    /// 6.2: a literal, its name from a table that has it.
    fn literal(&self, out: &mut Vec<u8>, n_bits: u32, pattern: u8, name: &[u8], value: &[u8]) {
        let index = find_name(name).or_else(|| {
            let place = self.entries.iter().position(|entry| self.is_name(entry, name))?;
            Some(self.index(place))
        });
        match index {
            Some(index) => integer::encode(index, n_bits, pattern, out),
            None => {
                out.push(pattern);
                string(out, name);
            }
        }
        string(out, value);
    }

    /// 2.3.3: the newest entry follows the static table.
    fn index(&self, place: usize) -> usize {
        STATIC.len() + self.entries.len() - place
    }

    #[inline]
    fn is(&self, entry: &Entry, name: &[u8], value: &[u8]) -> bool {
        // The lengths first, because most entries differ by them.
        entry.value_len as usize == value.len()
            && self.is_name(entry, name)
            && self.text[entry.start as usize + name.len()..][..value.len()] == *value
    }

    #[inline]
    fn is_name(&self, entry: &Entry, name: &[u8]) -> bool {
        entry.name_len as usize == name.len() && self.text[entry.start as usize..][..name.len()] == *name
    }
}

/// The index of a field in the static table.
fn find_field(name: &[u8], value: &[u8]) -> Option<usize> {
    let first = find_name(name)?;
    let same_name = STATIC[first - 1..].iter().take_while(|entry| entry.0 == name);
    same_name.zip(first..).find_map(|(entry, index)| (entry.1 == value).then_some(index))
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
