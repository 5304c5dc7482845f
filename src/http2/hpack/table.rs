//! The dynamic table of a decoder: RFC 7541, 2.3.2 and 4.

use std::collections::VecDeque;

use super::kind::Kind;

/// What an entry counts beside its octets (4.1).
const ENTRY_BYTES: usize = 32;

/// The entries, the newest first. A table without entries holds no memory.
#[derive(Debug)]
pub(super) struct Table {
    entries: VecDeque<Entry>,
    n_bytes: usize,
    n_bytes_max: usize,
    generation: u64,
}

#[derive(Debug)]
struct Entry {
    /// The name, and the value behind it.
    text: Box<[u8]>,
    name_len: u32,
    kind: Kind,
}

impl Table {
    pub(super) fn new(n_bytes_max: usize) -> Self {
        Self { entries: VecDeque::new(), n_bytes: 0, n_bytes_max, generation: 0 }
    }

    /// Changes whenever the table does.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The entry's name, value and kind; the newest is 0.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], &[u8], Kind)> {
        let entry = self.entries.get(index)?;
        let (name, value) = entry.text.split_at(entry.name_len as usize);
        Some((name, value, entry.kind))
    }

    /// Enters a field; the oldest make room. One that is larger than the table empties it (4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8], kind: Kind) {
        self.generation += 1;
        let n_bytes = name.len() + value.len() + ENTRY_BYTES;
        self.evict_to(self.n_bytes_max.saturating_sub(n_bytes));
        if n_bytes > self.n_bytes_max {
            return;
        }
        let mut text = Vec::with_capacity(name.len() + value.len());
        text.extend_from_slice(name);
        text.extend_from_slice(value);
        self.n_bytes += n_bytes;
        self.entries.push_front(Entry { text: text.into_boxed_slice(), name_len: name.len() as u32, kind });
    }

    /// Changes the size (4.3).
    pub(super) fn resize(&mut self, n_bytes_max: usize) {
        self.generation += 1;
        self.n_bytes_max = n_bytes_max;
        self.evict_to(n_bytes_max);
    }

    fn evict_to(&mut self, n_bytes: usize) {
        while self.n_bytes > n_bytes {
            let oldest = self.entries.pop_back().expect("a table that holds bytes has entries");
            self.n_bytes -= oldest.text.len() + ENTRY_BYTES;
        }
    }
}
