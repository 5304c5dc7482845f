//! The dynamic table of a decoder: RFC 7541, 2.3.2 and 4.
//!
//! The octets of all entries lie one behind the other in one buffer, the oldest first, so that an entry is a slice and an eviction moves a
//! mark. Behind them is room for the strings of the literal that is being read: one that enters the table is then already where it belongs.

use std::collections::VecDeque;
use std::ops::Range;

use super::kind::Kind;
use super::{ENTRY_BYTES, integer};

/// Room beside the entries that an idle table may keep, in bytes.
const SPARE_BYTES_MAX: usize = 256;
/// The same of entries, of 16 bytes each.
const SPARE_ENTRIES_MAX: usize = 8;

/// The entries.
///
/// A new table holds no memory. Between blocks, one of `n` bytes (4.1) holds at most `5 * n + 400` on the heap; eight entries of gRPC some 600.
#[derive(Debug)]
pub(super) struct Table {
    /// Octets of entries that are gone, of those that are there, and strings in the making.
    text: Vec<u8>,
    /// Where the strings in the making begin.
    strings_at: usize,
    /// The newest first.
    entries: VecDeque<Entry>,
    n_bytes: usize,
    n_bytes_max: usize,
    generation: u64,
    /// Entries that there have ever been.
    n_entered: u64,
}

#[derive(Debug)]
struct Entry {
    /// Where in `text` its name begins. The value stands behind it.
    start: u32,
    name_len: u32,
    /// Of both.
    text_len: u32,
    kind: Kind,
}

impl Entry {
    fn n_bytes(&self) -> usize {
        self.text_len as usize + ENTRY_BYTES
    }
}

impl Table {
    /// # Panics
    ///
    /// `n_bytes_max` is more than an integer may say.
    pub(super) fn new(n_bytes_max: usize) -> Self {
        assert!(n_bytes_max <= integer::VALUE_MAX, "positions in a table have 32 bits");
        Self { text: Vec::new(), strings_at: 0, entries: VecDeque::new(), n_bytes: 0, n_bytes_max, generation: 0, n_entered: 0 }
    }

    /// Changes whenever the table does.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// What they may count.
    pub(super) fn n_bytes_max(&self) -> usize {
        self.n_bytes_max
    }

    /// What the entries count (4.1).
    pub(super) fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// The entry's name, value and kind; the newest is 0.
    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], &[u8], Kind)> {
        let entry = self.entries.get(index)?;
        let text = &self.text[entry.start as usize..][..entry.text_len as usize];
        let (name, value) = text.split_at(entry.name_len as usize);
        Some((name, value, entry.kind))
    }

    /// An entry's number, which no other entry ever has; the newest is at index 0.
    #[inline]
    pub(super) fn number(&self, index: usize) -> u64 {
        self.n_entered - index as u64
    }

    /// The entry's kind, and its value; the newest is 0.
    #[inline]
    pub(super) fn kind(&self, index: usize) -> Option<(Kind, Range<usize>)> {
        let entry = self.entries.get(index)?;
        let start = entry.start as usize;
        Some((entry.kind, start + entry.name_len as usize..start + entry.text_len as usize))
    }

    /// Whether an entry would still be there if the strings in the making entered now, and they too.
    pub(super) fn survives(&self, index: usize) -> bool {
        let Some(entry) = self.entries.get(index) else { return false };
        // Newer entries lie behind it.
        self.text.len() - entry.start as usize + (index + 2) * ENTRY_BYTES <= self.n_bytes_max
    }

    /// Where the name of an entry is, until the next [`Self::new_strings`], and the entry's kind; the newest is 0.
    pub(super) fn name(&self, index: usize) -> Option<(Range<usize>, Kind)> {
        let entry = self.entries.get(index)?;
        let start = entry.start as usize;
        Some((start..start + entry.name_len as usize, entry.kind))
    }

    /// The buffer of entries and strings.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Forgets the strings in the making, and begins new ones.
    pub(super) fn new_strings(&mut self) {
        self.text.truncate(self.strings_at);
        // So seldom that an octet is moved at most twice for one that is evicted, and an entry's mark no more often.
        if self.dead() > self.n_bytes / 2 {
            self.compact();
        }
    }

    /// The strings in the making, behind whatever else is there: to be appended to.
    pub(super) fn strings_mut(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// Appends a part of the buffer to the strings in the making.
    pub(super) fn copy_to_strings(&mut self, part: Range<usize>) {
        self.text.extend_from_within(part);
    }

    /// The strings in the making.
    pub(super) fn strings(&self) -> &[u8] {
        &self.text[self.strings_at..]
    }

    /// Enters the strings in the making, a name of `name_len` and its value; the oldest entries make room. A field that is larger than the table
    /// empties it, and is not entered (4.4). Returns the name and the value all the same.
    pub(super) fn enter(&mut self, name_len: usize, kind: Kind) -> (&[u8], &[u8]) {
        let start = self.strings_at;
        let n_bytes = self.text.len() - start + ENTRY_BYTES;
        self.generation += 1;
        self.evict_to(self.n_bytes_max.saturating_sub(n_bytes));
        if n_bytes <= self.n_bytes_max {
            let text_len = self.text.len() - start;
            self.entries.push_front(Entry { start: start as u32, name_len: name_len as u32, text_len: text_len as u32, kind });
            self.n_bytes += n_bytes;
            self.n_entered += 1;
            self.strings_at = self.text.len();
        }
        self.text[start..].split_at(name_len)
    }

    /// Changes the size (4.3).
    pub(super) fn resize(&mut self, n_bytes_max: usize) {
        self.generation += 1;
        self.n_bytes_max = n_bytes_max;
        self.evict_to(n_bytes_max);
    }

    /// Gives back all that the entries do not need. For a connection that has been idle for a while.
    pub(super) fn shrink(&mut self) {
        self.new_strings();
        self.compact();
        self.text.shrink_to_fit();
        self.entries.shrink_to_fit();
    }

    /// Gives back what a long literal has taken, or entries that are gone.
    pub(super) fn settle(&mut self) {
        self.new_strings();
        if self.text.capacity() > 2 * self.text.len() + SPARE_BYTES_MAX {
            self.compact();
            self.text.shrink_to_fit();
        }
        if self.entries.capacity() > 4 * self.entries.len() + SPARE_ENTRIES_MAX {
            self.entries.shrink_to_fit();
        }
    }

    fn evict_to(&mut self, n_bytes: usize) {
        while self.n_bytes > n_bytes {
            let oldest = self.entries.pop_back().expect("a table that counts bytes has entries");
            self.n_bytes -= oldest.n_bytes();
        }
    }

    /// How many octets stand before the oldest entry.
    fn dead(&self) -> usize {
        self.entries.back().map_or(self.strings_at, |oldest| oldest.start as usize)
    }

    /// Takes out the octets of entries that are gone. There must be no strings in the making.
    fn compact(&mut self) {
        let dead = self.dead();
        self.text.drain(..dead);
        self.strings_at -= dead;
        for entry in &mut self.entries {
            entry.start -= dead as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(table: &mut Table, name: &[u8], value: &[u8]) {
        table.new_strings();
        table.strings_mut().extend_from_slice(name);
        table.strings_mut().extend_from_slice(value);
        assert_eq!(table.enter(name.len(), Kind::Other), (name, value));
    }

    /// What it holds on the heap, in bytes.
    fn held(table: &Table) -> usize {
        table.text.capacity() + table.entries.capacity() * size_of::<Entry>()
    }

    /// Against a table as the RFC describes it.
    #[test]
    fn any_sequence_of_entries_and_sizes() {
        let mut model: VecDeque<(Vec<u8>, Vec<u8>)> = VecDeque::new();
        let (mut table, mut n_bytes_max) = (Table::new(512), 512);
        for i in 0..5_000_usize {
            let generation = table.generation();
            if i % 37 == 0 {
                n_bytes_max = i * 7 % 600;
                table.resize(n_bytes_max);
            } else {
                let (name, value) = (vec![i as u8; i * 13 % 40], vec![!i as u8; i * 31 % 90 * (i % 5)]);
                enter(&mut table, &name, &value);
                model.push_front((name, value));
            }
            assert!(table.generation() > generation);
            let bytes =
                |model: &VecDeque<(Vec<u8>, Vec<u8>)>| model.iter().map(|(name, value)| name.len() + value.len() + 32).sum::<usize>();
            while bytes(&model) > n_bytes_max {
                model.pop_back();
            }
            for (index, (name, value)) in model.iter().enumerate() {
                assert_eq!(table.get(index), Some((&name[..], &value[..], Kind::Other)));
            }
            assert_eq!(table.get(model.len()), None);
            table.settle();
            assert!(held(&table) <= 5 * table.n_bytes + 400, "{} for {}", held(&table), table.n_bytes);
        }
    }

    #[test]
    fn memory_follows_what_is_entered() {
        let mut table = Table::new(4096);
        assert_eq!(held(&table), 0);
        let fields: [(&[u8], &[u8]); 8] = [
            (b":path", b"/helloworld.Greeter/SayHello"),
            (b":authority", b"greeter.example.com:9999"),
            (b"content-type", b"application/grpc"),
            (b"user-agent", b"grpc-python/1.76.0 grpc-c/51.0.0 (linux; chttp2)"),
            (b"te", b"trailers"),
            (b"grpc-accept-encoding", b"identity, deflate, gzip"),
            (b"grpc-timeout", b"10S"),
            (b"x-request-class", b"interactive"),
        ];
        for (name, value) in fields {
            enter(&mut table, name, value);
        }
        table.settle();
        assert!(held(&table) + size_of::<Table>() < 1024, "{}", held(&table));

        let before = held(&table);
        table.new_strings();
        table.strings_mut().extend_from_slice(&[b'x'; 100_000]);
        table.settle();
        assert!(held(&table) <= before, "{} before, {} now", before, held(&table));
        assert_eq!(table.get(7), Some((fields[0].0, fields[0].1, Kind::Other)));

        for _ in 0..100 {
            enter(&mut table, b"", b"");
        }
        table.resize(0);
        table.settle();
        assert!(held(&table) <= 400, "{}", held(&table));
    }
}
