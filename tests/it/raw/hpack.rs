//! HPACK (RFC 7541) for a test client: a writer that writes what it is told, right or wrong, and a decoder that forgives the server nothing.

use std::collections::VecDeque;

/// What an entry of a table costs besides its octets (RFC 7541, 4.1).
const ENTRY_OVERHEAD: usize = 32;

/// A header block in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block(Vec<u8>);

impl Block {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// These fields, as literals that no table remembers.
    pub(crate) fn of<'a>(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        fields.into_iter().fold(Self::new(), |block, (name, value)| block.literal(name, value))
    }

    /// An indexed field (6.1).
    pub(crate) fn indexed(mut self, index: usize) -> Self {
        self.integer(0x80, 7, index);
        self
    }

    /// A literal with incremental indexing (6.2.1).
    pub(crate) fn remembered(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.0.push(0x40);
        self.string(name.as_ref()).string(value.as_ref());
        self
    }

    /// A literal with incremental indexing whose name is an entry's (6.2.1).
    pub(crate) fn remembered_with_name(mut self, index: usize, value: impl AsRef<[u8]>) -> Self {
        self.integer(0x40, 6, index);
        self.string(value.as_ref());
        self
    }

    /// A literal without indexing (6.2.2).
    pub(crate) fn literal(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.0.push(0);
        self.string(name.as_ref()).string(value.as_ref());
        self
    }

    /// A literal never to be indexed (6.2.3).
    pub(crate) fn never_indexed(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.0.push(0x10);
        self.string(name.as_ref()).string(value.as_ref());
        self
    }

    /// A dynamic table size update (6.3).
    pub(crate) fn table_size(mut self, bytes: usize) -> Self {
        self.integer(0x20, 5, bytes);
        self
    }

    /// These octets, whatever they mean.
    pub(crate) fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// Another block's octets behind these.
    pub(crate) fn then(self, other: &Self) -> Self {
        self.raw(&other.0)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// An integer behind the pattern of its first octet (5.1).
    fn integer(&mut self, pattern: u8, prefix_bits: u32, value: usize) {
        let max = (1 << prefix_bits) - 1;
        if value < max {
            self.0.push(pattern | value as u8);
            return;
        }
        self.0.push(pattern | max as u8);
        let mut rest = value - max;
        while rest >= 128 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    /// A string as it is (5.2).
    fn string(&mut self, octets: &[u8]) -> &mut Self {
        self.integer(0, 7, octets.len());
        self.0.extend_from_slice(octets);
        self
    }
}

impl From<Block> for Vec<u8> {
    fn from(block: Block) -> Self {
        block.0
    }
}

/// The decoder's side of a connection.
#[derive(Debug)]
pub(crate) struct Decoder {
    entries: VecDeque<(Vec<u8>, Vec<u8>)>,
    /// The size that the encoder has chosen.
    table_bytes_max: usize,
    /// The size that we have allowed, once that was acknowledged.
    allowed: usize,
    /// The size that the next block must go down to before anything else, because we have allowed no more for a while.
    owed: Option<usize>,
    n_indexed: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { entries: VecDeque::new(), table_bytes_max: 4096, allowed: 4096, owed: None, n_indexed: 0 }
    }
}

impl Decoder {
    /// The server has acknowledged this SETTINGS_HEADER_TABLE_SIZE.
    pub(crate) fn allow(&mut self, bytes: usize) {
        self.allowed = bytes;
        if bytes < self.table_bytes_max {
            self.owed = Some(self.owed.map_or(bytes, |owed| owed.min(bytes)));
        }
    }

    /// How many fields came from the dynamic table.
    pub(crate) fn n_indexed(&self) -> usize {
        self.n_indexed
    }

    /// The fields of a block.
    ///
    /// # Panics
    ///
    /// When the block breaks a rule.
    pub(crate) fn decode(&mut self, block: &[u8]) -> Vec<(String, String)> {
        let mut input = Input(block);
        let mut fields = Vec::new();
        while let Some(first) = input.peek() {
            if first & 0xe0 == 0x20 {
                assert!(fields.is_empty(), "a size update in the middle of a block (RFC 7541, 4.2)");
                let bytes = input.integer(5);
                assert!(
                    bytes <= self.allowed,
                    "the table grows to {bytes}, which is more than the allowed {} (RFC 7541, 4.2)",
                    self.allowed
                );
                assert!(self.owed.take().is_none_or(|owed| bytes <= owed), "the lowest size is signalled first (RFC 7541, 4.2)");
                self.table_bytes_max = bytes;
                self.evict(0);
                continue;
            }
            assert!(self.owed.is_none(), "the table was to shrink to {:?} first (RFC 7541, 4.2)", self.owed);
            let (name, value) = if first & 0x80 != 0 {
                let index = input.integer(7);
                self.n_indexed += usize::from(index > STATIC_TABLE.len());
                self.entry(index)
            } else {
                let remember = first & 0x40 != 0;
                let index = input.integer(if remember { 6 } else { 4 });
                let name = if index == 0 { input.string() } else { self.entry(index).0 };
                let value = input.string();
                if remember {
                    self.remember(&name, &value);
                }
                (name, value)
            };
            let text = |bytes| String::from_utf8(bytes).expect("the server's fields are text");
            fields.push((text(name), text(value)));
        }
        fields
    }

    fn entry(&self, index: usize) -> (Vec<u8>, Vec<u8>) {
        assert!(index > 0, "there is no entry 0 (RFC 7541, 6.1)");
        if let Some((name, value)) = STATIC_TABLE.get(index - 1) {
            return (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        }
        let n = self.entries.len();
        self.entries.get(index - 1 - STATIC_TABLE.len()).unwrap_or_else(|| panic!("entry {index}, with {n} in the dynamic table")).clone()
    }

    fn remember(&mut self, name: &[u8], value: &[u8]) {
        let bytes = name.len() + value.len() + ENTRY_OVERHEAD;
        self.evict(bytes);
        if bytes <= self.table_bytes_max {
            self.entries.push_front((name.to_vec(), value.to_vec()));
        }
    }

    /// Makes room for this many bytes (4.3, 4.4).
    fn evict(&mut self, bytes: usize) {
        let held = |entries: &VecDeque<(Vec<u8>, Vec<u8>)>| -> usize {
            entries.iter().map(|(name, value)| name.len() + value.len() + ENTRY_OVERHEAD).sum()
        };
        while !self.entries.is_empty() && held(&self.entries) + bytes > self.table_bytes_max {
            self.entries.pop_back();
        }
    }
}

/// What is left of a block.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn octet(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().expect("the block is cut short");
        self.0 = rest;
        *first
    }

    fn integer(&mut self, prefix_bits: u32) -> usize {
        let max = (1 << prefix_bits) - 1;
        let mut value = usize::from(self.octet()) & max;
        if value == max {
            for shift in (0..28).step_by(7) {
                let octet = self.octet();
                value += usize::from(octet & 0x7f) << shift;
                if octet & 0x80 == 0 {
                    return value;
                }
            }
            panic!("an integer of more octets than any server needs");
        }
        value
    }

    fn string(&mut self) -> Vec<u8> {
        let huffman = self.peek().expect("a string follows") & 0x80 != 0;
        let len = self.integer(7);
        assert!(len <= self.0.len(), "a string ends behind its block");
        let (octets, rest) = self.0.split_at(len);
        self.0 = rest;
        if huffman { huffman_decode(octets) } else { octets.to_vec() }
    }
}

/// Decodes bit by bit. The code is canonical: within a length, codes follow one another in the order of their symbols.
fn huffman_decode(octets: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let (mut code, mut len, mut first, mut ones) = (0_u32, 0, 0_u32, true);
    for octet in octets {
        for bit in (0..8).rev().map(|n| u32::from(octet >> n & 1)) {
            (code, len, first) = (code << 1 | bit, len + 1, first << 1);
            ones &= bit == 1;
            let mut of_this_length = (0..HUFFMAN_LENGTHS.len()).filter(|symbol| HUFFMAN_LENGTHS[*symbol] == len);
            let n_of_this_length = of_this_length.clone().count() as u32;
            if code < first + n_of_this_length {
                let symbol = of_this_length.nth((code - first) as usize).expect("it is one of them");
                decoded.push(u8::try_from(symbol).expect("EOS is no symbol of a string (RFC 7541, 5.2)"));
                (code, len, first, ones) = (0, 0, 0, true);
            } else {
                first += n_of_this_length;
            }
        }
    }
    assert!(len < 8 && ones, "the padding is not the beginning of EOS (RFC 7541, 5.2)");
    decoded
}

/// The lengths of the codes of 0 to 255 and EOS in bits (RFC 7541, Appendix B).
#[rustfmt::skip]
const HUFFMAN_LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// RFC 7541, Appendix A.
const STATIC_TABLE: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[test]
fn decodes_the_examples_of_the_rfc() {
    // RFC 7541, C.4: three requests with Huffman coding on one connection.
    let blocks = ["828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf", "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"];
    let mut decoder = Decoder::default();
    let decoded = blocks.map(|hex| {
        let octet = |n| u8::from_str_radix(&hex[n..n + 2], 16).unwrap();
        decoder.decode(&(0..hex.len()).step_by(2).map(octet).collect::<Vec<_>>())
    });
    let fields = |n: usize| -> Vec<_> { decoded[n].iter().map(|(name, value)| (&name[..], &value[..])).collect() };
    let get = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")];
    assert_eq!(fields(0), get);
    assert_eq!(fields(1), [&get[..], &[("cache-control", "no-cache")]].concat());
    let index = [(":method", "GET"), (":scheme", "https"), (":path", "/index.html"), (":authority", "www.example.com")];
    assert_eq!(fields(2), [&index[..], &[("custom-key", "custom-value")]].concat());
    assert_eq!(decoder.n_indexed(), 2);
}

#[test]
fn decodes_what_it_writes() {
    let block =
        Block::new().indexed(3).remembered("x-a", "1").remembered_with_name(62, "2").never_indexed("x-b", "3".repeat(300)).indexed(62);
    let fields = Decoder::default().decode(block.bytes());
    let expected = [(":method", "POST"), ("x-a", "1"), ("x-a", "2"), ("x-b", &"3".repeat(300)), ("x-a", "2")];
    assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}
