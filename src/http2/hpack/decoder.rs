//! Header blocks, read: RFC 7541, 3.2 and 6.

use std::fmt;

use super::kind::Kind;
use super::static_table::STATIC;
use super::table::Table;
use super::{huffman, integer};

/// A field, lent for the length of a call.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Decoded<'a> {
    pub(in super::super) name: &'a [u8],
    pub(in super::super) value: &'a [u8],
    pub(in super::super) kind: Kind,
}

/// A block that means nothing. The connection cannot go on: COMPRESSION_ERROR (RFC 9113, 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum DecodeError {
    /// It ends within a field, or an integer has no end.
    Truncated,
    /// An index that no table has.
    Index,
    /// A string that is no Huffman code.
    Huffman,
    /// A size update that is above our maximum, or not at the beginning of the block.
    SizeUpdate,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the block ends within a field, or an integer is too large",
            Self::Index => "an index that no table has",
            Self::Huffman => "a string that is no Huffman code",
            Self::SizeUpdate => "a table size that is too large or comes too late",
        })
    }
}

/// The peer's encoder, followed.
///
/// Its work is bounded by what it is given: an octet yields at most one field, a field is at most as long as the table, and nothing of it is copied
/// unless it enters the table. What is kept of the fields, and when that is too much, is the caller's to decide while it is shown them.
#[derive(Debug)]
pub(in super::super) struct Decoder {
    table: Table,
    /// What the peer may make of the table (4.2).
    table_bytes_max: usize,
}

impl Decoder {
    /// `table_bytes_max` is what was advertised as SETTINGS_HEADER_TABLE_SIZE.
    pub(in super::super) fn new(table_bytes_max: usize) -> Self {
        Self { table: Table::new(table_bytes_max), table_bytes_max }
    }

    /// Changes whenever the dynamic table does. Between two equal generations, a block that left them equal means the same again.
    pub(in super::super) fn generation(&self) -> u64 {
        self.table.generation()
    }

    /// Shows `each` all fields of a whole block, in their order.
    ///
    /// # Errors
    ///
    /// The block means nothing. Fields before the fault have been shown.
    pub(in super::super) fn decode(&mut self, block: &[u8], mut each: impl FnMut(Decoded<'_>)) -> Result<(), DecodeError> {
        let mut input = block;
        let mut strings = Vec::new();
        let mut may_resize = true;
        while let Some(&first) = input.first() {
            if first & 0x80 != 0 {
                // 6.1: a field that a table has.
                let index = integer::decode(&mut input, 7).ok_or(DecodeError::Truncated)?;
                let (name, value, kind) = self.entry(index)?;
                each(Decoded { name, value, kind });
            } else if first & 0xe0 == 0x20 {
                // 6.3.
                let size = integer::decode(&mut input, 5).ok_or(DecodeError::Truncated)?;
                if !may_resize || size > self.table_bytes_max {
                    return Err(DecodeError::SizeUpdate);
                }
                self.table.resize(size);
                continue;
            } else {
                // 6.2: a literal, which enters the table or does not.
                let enters = first & 0x40 != 0;
                self.literal(&mut input, enters, &mut strings, &mut each)?;
            }
            may_resize = false;
        }
        Ok(())
    }

    fn literal(
        &mut self,
        input: &mut &[u8],
        enters: bool,
        strings: &mut Vec<u8>,
        each: &mut impl FnMut(Decoded<'_>),
    ) -> Result<(), DecodeError> {
        let index = integer::decode(input, if enters { 6 } else { 4 }).ok_or(DecodeError::Truncated)?;
        strings.clear();
        if index == 0 {
            string(input, strings)?;
        } else {
            // Copied, because its entry may be evicted to make room for this one (4.4).
            strings.extend_from_slice(self.entry(index)?.0);
        }
        let name_len = strings.len();
        string(input, strings)?;
        let (name, value) = strings.split_at(name_len);
        let kind = Kind::of(name, value);
        if enters {
            self.table.insert(name, value, kind);
        }
        each(Decoded { name, value, kind });
        Ok(())
    }

    /// 2.3.3: the static table, and the dynamic one behind it.
    fn entry(&self, index: usize) -> Result<(&[u8], &[u8], Kind), DecodeError> {
        let place = index.checked_sub(1).ok_or(DecodeError::Index)?;
        match STATIC.get(place) {
            Some(entry) => Ok(*entry),
            None => self.table.get(place - STATIC.len()).ok_or(DecodeError::Index),
        }
    }
}

/// 5.2: a string, appended to `out`.
fn string(input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let coded = input.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer::decode(input, 7).ok_or(DecodeError::Truncated)?;
    let (octets, rest) = input.split_at_checked(length).ok_or(DecodeError::Truncated)?;
    *input = rest;
    if coded {
        return huffman::decode(octets, out).ok_or(DecodeError::Huffman);
    }
    out.extend_from_slice(octets);
    Ok(())
}
