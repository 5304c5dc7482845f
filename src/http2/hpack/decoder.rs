//! Header blocks, read: RFC 7541, 3.2 and 6.

use std::ops::Range;

use super::kind::{Kind, VARYING};
use super::static_table::STATIC;
use super::table::Table;
use super::{ENTRY_BYTES, TABLE_BYTES_INITIAL, huffman, integer};

/// A field, lent for the length of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoded<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) kind: Kind,
    pub(crate) id: FieldId,
}

/// A field by number: the same number is the same field, name and value, for as long as the connection lives. Entries of the tables have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldId(u64);

impl FieldId {
    /// A field that no table has.
    pub(crate) const NONE: Self = Self(u64::MAX);
    /// The [`VARYING`] field, whatever its value.
    pub(crate) const VARYING: Self = Self(0);

    fn of_dynamic(number: u64) -> Self {
        Self(STATIC.len() as u64 + number)
    }
}

/// The [`VARYING`] field of a block that was [sketched](Decoder::sketch).
#[derive(Clone, Debug, Default)]
pub(crate) struct Sketch {
    /// Where its value is in the table's buffer.
    value: Option<Range<usize>>,
    is_literal: bool,
    enters: bool,
}

impl Sketch {
    /// Whether the block means the same again for as long as the table stays as it is.
    pub(crate) fn is_constant(&self) -> bool {
        !self.is_literal
    }
}

/// A block that means nothing. The connection cannot go on: COMPRESSION_ERROR (RFC 9113, 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// It ends within a field.
    Truncated,
    /// An integer that is longer than five octets, or larger than 2^28 - 1 (5.1).
    Integer,
    /// An index that no table has (2.3.3, 6.1).
    Index,
    /// A string that is no Huffman code (5.2).
    Huffman,
    /// A size update that is above our maximum, or not at the beginning of the block (4.2, 6.3).
    SizeUpdate,
}

impl DecodeError {
    /// What is wrong, for the peer's developers: GOAWAY has it as its debug data.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Truncated => "HPACK: the block ends within a field",
            Self::Integer => "HPACK: an integer is too large or too long",
            Self::Index => "HPACK: an index that no table has",
            Self::Huffman => "HPACK: a string that is no Huffman code",
            Self::SizeUpdate => "HPACK: a table size that is too large or comes too late",
        }
    }
}

/// The peer's encoder, followed.
///
/// # What a block may cost
///
/// An octet yields at most one field, and at most 1.6 octets of a literal; but an index of one octet lends an entry of up to the table's size,
/// and so a block of 16 KiB may show 64 MiB of fields, without a copy of any. The caller keeps to its limits by what it stores of them:
/// `decode` goes on to the end, because later blocks build on the table.
///
/// What is copied is the literals that enter the table or are Huffman coded. A literal of two octets may enter the table under the name of
/// an entry: that copies the name, at most the table's size. Between blocks nothing is kept but the table.
#[derive(Debug)]
pub(crate) struct Decoder {
    table: Table,
    /// What the peer may make of the table (4.2).
    table_bytes_max: usize,
}

/// Where a string of a literal is.
enum Text<'b> {
    /// In the block, or in the static table.
    Lent(&'b [u8]),
    /// In the table's buffer.
    Kept(Range<usize>),
}

impl Decoder {
    /// `table_bytes_max` is what was advertised as SETTINGS_HEADER_TABLE_SIZE. The table is no larger than 4096 bytes until the peer says so in
    /// a block. Less than 4096 is right only for a peer that has acknowledged it.
    ///
    /// # Panics
    ///
    /// `table_bytes_max` is 2^28 or more.
    pub(crate) fn new(table_bytes_max: usize) -> Self {
        assert!(table_bytes_max <= integer::VALUE_MAX, "a size that no update can say");
        Self { table: Table::new(table_bytes_max.min(TABLE_BYTES_INITIAL)), table_bytes_max }
    }

    /// Changes whenever the dynamic table does. Between two equal generations, a block that left them equal means the same again.
    pub(crate) fn generation(&self) -> u64 {
        self.table.generation()
    }

    /// What the dynamic table counts, in bytes (4.1).
    pub(in super::super) fn table_bytes(&self) -> usize {
        self.table.n_bytes()
    }

    /// Gives back memory that the entries do not need.
    pub(crate) fn shrink(&mut self) {
        self.table.shrink();
    }

    /// Reads a block without a change to the entries: puts into `ids` what its fields are, in their order. `None`: it cannot be read so, but must be
    /// [decoded](Self::decode), because it has literals of other names than [`VARYING`], or that name twice, or means nothing.
    ///
    /// Who knows a block of the same ids knows this one, but for the varying [value](Self::sketched_value), and says so by [`accept`](Self::accept), which does
    /// to the entries what `decode` would. Otherwise nothing has happened.
    pub(crate) fn sketch(&mut self, block: &[u8], ids: &mut Vec<FieldId>) -> Option<Sketch> {
        ids.clear();
        let table = &mut self.table;
        table.new_strings();
        let mut input = block;
        let mut sketch = Sketch::default();
        while let Some(&first) = input.first() {
            if first & 0x80 != 0 {
                let place = integer::decode(&mut input, 7).ok()?.checked_sub(1)?;
                if place < STATIC.len() {
                    ids.push(FieldId(place as u64 + 1));
                    continue;
                }
                // An entry that was made on the way has moved the others.
                let place = (place - STATIC.len()).checked_sub(usize::from(sketch.enters))?;
                if sketch.enters && !table.survives(place) {
                    return None;
                }
                let (kind, value) = table.kind(place)?;
                if kind != Kind::Varying {
                    ids.push(FieldId::of_dynamic(table.number(place)));
                    continue;
                }
                if sketch.value.replace(value).is_some() {
                    return None;
                }
            } else {
                // 6.2: a literal.
                sketch.enters = first & 0x40 != 0;
                let n_bits = match (first & 0x40, first & 0x20) {
                    (0, 0) => 4,
                    (0, _) => return None,
                    _ => 6,
                };
                match integer::decode(&mut input, n_bits).ok()? {
                    0 => string_into(&mut input, table.strings_mut()).ok()?,
                    index => {
                        let (name, kind) = table.name(index.checked_sub(STATIC.len() + 1)?)?;
                        if kind != Kind::Varying {
                            return None;
                        }
                        table.copy_to_strings(name);
                    }
                }
                if table.strings() != VARYING || sketch.value.is_some() {
                    return None;
                }
                let start = table.text().len();
                string_into(&mut input, table.strings_mut()).ok()?;
                let value = start..table.text().len();
                if Kind::Varying.of_next(VARYING, &table.text()[value.clone()]) != Kind::Varying {
                    return None;
                }
                sketch.value = Some(value);
                sketch.is_literal = true;
            }
            ids.push(FieldId::VARYING);
        }
        Some(sketch)
    }

    /// The value of the [`VARYING`] field of the block that was sketched last.
    pub(crate) fn sketched_value(&self, sketch: &Sketch) -> Option<&[u8]> {
        sketch.value.clone().map(|value| &self.table.text()[value])
    }

    /// Does to the entries what the block does that was sketched last.
    pub(crate) fn accept(&mut self, sketch: Sketch) {
        if sketch.enters {
            self.table.enter(VARYING.len(), Kind::Varying);
        }
        self.table.settle();
    }

    /// Shows `each` all fields of a whole block, in their order.
    ///
    /// # Errors
    ///
    /// The block means nothing. Fields before the fault have been shown.
    pub(crate) fn decode(&mut self, block: &[u8], mut each: impl FnMut(Decoded<'_>)) -> Result<(), DecodeError> {
        let result = self.decode_fields(block, &mut each);
        self.table.settle();
        result
    }

    fn decode_fields(&mut self, block: &[u8], each: &mut impl FnMut(Decoded<'_>)) -> Result<(), DecodeError> {
        let mut input = block;
        let mut may_resize = true;
        while let Some(&first) = input.first() {
            if first & 0x80 != 0 {
                // 6.1: a field that a table has.
                let index = integer::decode(&mut input, 7)?;
                let (name, value, kind) = self.entry(index)?;
                let id = if index <= STATIC.len() {
                    FieldId(index as u64)
                } else {
                    FieldId::of_dynamic(self.table.number(index - 1 - STATIC.len()))
                };
                each(Decoded { name, value, kind, id });
            } else if first & 0x40 != 0 {
                // 6.2.1: a literal, which enters the table.
                self.entering_literal(&mut input, each)?;
            } else if first & 0x20 != 0 {
                // 6.3.
                let size = integer::decode(&mut input, 5)?;
                if !may_resize || size > self.table_bytes_max {
                    return Err(DecodeError::SizeUpdate);
                }
                self.table.resize(size);
                continue;
            } else {
                // 6.2.2 and 6.2.3: a literal, which enters no table, or must never enter one.
                self.passing_literal(&mut input, each)?;
            }
            may_resize = false;
        }
        Ok(())
    }

    /// Both strings are put together behind the entries. Until then no entry is evicted, not even the one whose name is referred to (4.4).
    fn entering_literal(&mut self, input: &mut &[u8], each: &mut impl FnMut(Decoded<'_>)) -> Result<(), DecodeError> {
        let table = &mut self.table;
        table.new_strings();
        let mut kind = Kind::Malformed;
        let index = integer::decode(input, 6)?;
        if index == 0 {
            string_into(input, table.strings_mut())?;
        } else if let Some(entry) = STATIC.get(index - 1) {
            table.strings_mut().extend_from_slice(entry.0);
            kind = entry.2;
        } else {
            let (name, of_entry) = table.name(index - 1 - STATIC.len()).ok_or(DecodeError::Index)?;
            table.copy_to_strings(name);
            kind = of_entry;
        }
        let name_len = table.strings().len();
        string_into(input, table.strings_mut())?;
        let table_bytes_max = table.n_bytes_max();
        let (name, value) = table.strings().split_at(name_len);
        let kind = kind.of_next(name, value);
        let before = table.number(0);
        let (name, value) = table.enter(name_len, kind);
        // Too large a field is not entered.
        let fits = name.len() + value.len() + ENTRY_BYTES <= table_bytes_max;
        let id = if fits { FieldId::of_dynamic(before + 1) } else { FieldId::NONE };
        each(Decoded { name, value, kind, id });
        Ok(())
    }

    /// Nothing is copied but what must be decoded.
    fn passing_literal(&mut self, input: &mut &[u8], each: &mut impl FnMut(Decoded<'_>)) -> Result<(), DecodeError> {
        let table = &mut self.table;
        table.new_strings();
        let mut kind = Kind::Malformed;
        let index = integer::decode(input, 4)?;
        let name = if index == 0 {
            string(input, table)?
        } else if let Some(entry) = STATIC.get(index - 1) {
            kind = entry.2;
            Text::Lent(entry.0)
        } else {
            let (name, of_entry) = table.name(index - 1 - STATIC.len()).ok_or(DecodeError::Index)?;
            kind = of_entry;
            Text::Kept(name)
        };
        let value = string(input, table)?;
        let (name, value) = (name.within(table), value.within(table));
        each(Decoded { name, value, kind: kind.of_next(name, value), id: FieldId::NONE });
        Ok(())
    }

    /// 2.3.3: the static table, and the dynamic one behind it.
    #[inline]
    fn entry(&self, index: usize) -> Result<(&[u8], &[u8], Kind), DecodeError> {
        let place = index.checked_sub(1).ok_or(DecodeError::Index)?;
        match STATIC.get(place) {
            Some(entry) => Ok(*entry),
            None => self.table.get(place - STATIC.len()).ok_or(DecodeError::Index),
        }
    }
}

impl<'a> Text<'a> {
    fn within(self, table: &'a Table) -> &'a [u8] {
        match self {
            Self::Lent(octets) => octets,
            Self::Kept(range) => &table.text()[range],
        }
    }
}

/// 5.2: a string, decoded if it must be.
fn string<'b>(input: &mut &'b [u8], table: &mut Table) -> Result<Text<'b>, DecodeError> {
    let (octets, coded) = string_octets(input)?;
    if !coded {
        return Ok(Text::Lent(octets));
    }
    let start = table.text().len();
    huffman::decode(octets, table.strings_mut())?;
    Ok(Text::Kept(start..table.text().len()))
}

/// 5.2: a string, appended to `out`.
fn string_into(input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let (octets, coded) = string_octets(input)?;
    if coded {
        return huffman::decode(octets, out);
    }
    out.extend_from_slice(octets);
    Ok(())
}

/// A string as it was sent, and whether it is Huffman coded.
#[inline]
fn string_octets<'b>(input: &mut &'b [u8]) -> Result<(&'b [u8], bool), DecodeError> {
    let coded = input.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer::decode(input, 7)?;
    let (octets, rest) = input.split_at_checked(length).ok_or(DecodeError::Truncated)?;
    *input = rest;
    Ok((octets, coded))
}
