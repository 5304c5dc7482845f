//! What a header block of an answer says: its head, or its trailers.
//!
//! A server sends the same two blocks in all good answers, so a connection hands out one [`AnswerHead`] for all blocks that are the same bytes in the same
//! state of the dynamic table. What the client concludes from it can be left there: see [`AnswerHead::memo`].

use std::any::Any;
use std::cell::OnceCell;
use std::fmt;

use super::super::hpack::{Decoded, Kind};
use super::HEADER_LIST_BYTES_MAX;

/// The status and the fields of a header block, validated (RFC 9113, 8.2 and 8.3.2).
pub(crate) struct AnswerHead {
    /// `:status`; 0 in trailers.
    status: u16,
    /// Name and value of each field, one behind the other.
    text: Vec<u8>,
    fields: Vec<FieldSpan>,
    content_length: Option<u64>,
    memo: OnceCell<Box<dyn Any>>,
}

#[derive(Clone, Copy)]
struct FieldSpan {
    start: u32,
    name_len: u32,
    value_len: u32,
}

impl AnswerHead {
    /// `:status`; 0 in trailers.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// The fields in their order, names in lower case.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| {
            let both = &self.text[field.start as usize..][..(field.name_len + field.value_len) as usize];
            both.split_at(field.name_len as usize)
        })
    }

    /// The value of the first field of this name, in lower case.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// How long the body will be, where `content-length` says so of one.
    pub(super) fn content_length(&self) -> Option<u64> {
        // 8.1.1: what 204 and 304 say is another answer's length.
        self.content_length.filter(|_| !matches!(self.status, 204 | 304))
    }

    /// An answer before the answer (RFC 9110, 15.2).
    pub(super) fn is_informational(&self) -> bool {
        matches!(self.status, 100..200)
    }

    /// What the client concluded from this block: made at the first call, the same for all answers that share it.
    ///
    /// # Panics
    ///
    /// When an earlier call made a memo of another type.
    pub(crate) fn memo<T: Any>(&self, make: impl FnOnce(&Self) -> T) -> &T {
        let memo = self.memo.get_or_init(|| Box::new(make(self)));
        memo.downcast_ref().expect("a client has one type of memo")
    }
}

/// A block in the making: takes fields in their order and judges them.
#[derive(Default)]
pub(super) struct AnswerHeadBuilder {
    status: Option<u16>,
    text: Vec<u8>,
    fields: Vec<FieldSpan>,
    content_length: Option<u64>,
    malformed: bool,
    list_bytes: usize,
}

/// A block that is no answer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHead {
    Malformed,
    TooLarge,
}

impl AnswerHeadBuilder {
    pub(super) fn field(&mut self, field: Decoded<'_>) {
        // 6.5.2: 32 bytes are added for each field.
        self.list_bytes += field.name.len() + field.value.len() + 32;
        if self.is_too_large() {
            return;
        }
        // The tables' kinds are those of a request's fields.
        if field.name == b":status" {
            let status = parse_status(field.value).filter(|_| self.fields.is_empty() && self.status.is_none());
            self.malformed |= status.is_none();
            self.status = status;
            return;
        }
        let mut value = field.value;
        match field.kind {
            Kind::Method | Kind::Scheme | Kind::Authority | Kind::Path | Kind::ConnectionSpecific => self.malformed = true,
            Kind::Malformed => {
                value = value.trim_ascii();
                self.malformed |= !is_name(field.name) || !value.iter().all(|octet| *octet >= b' ' && *octet != 0x7f);
            }
            Kind::ContentLength => {
                let length = parse_length(value).filter(|length| self.content_length.is_none_or(|other| other == *length));
                self.malformed |= length.is_none();
                self.content_length = length;
            }
            Kind::Host | Kind::Te | Kind::Varying | Kind::Other => {}
        }
        let start = self.text.len() as u32;
        self.text.extend_from_slice(field.name);
        self.text.extend_from_slice(value);
        self.fields.push(FieldSpan { start, name_len: field.name.len() as u32, value_len: value.len() as u32 });
    }

    fn is_too_large(&self) -> bool {
        self.list_bytes > HEADER_LIST_BYTES_MAX as usize
    }

    /// The block; as trailers it has no `:status` (8.1), as a head it has one (8.3.2), and not the one that HTTP/2 has no use for (8.6).
    pub(super) fn finish(self, is_trailers: bool) -> Result<AnswerHead, BadHead> {
        if self.is_too_large() {
            return Err(BadHead::TooLarge);
        }
        if self.malformed || self.status.is_some() == is_trailers || self.status == Some(101) {
            return Err(BadHead::Malformed);
        }
        Ok(AnswerHead {
            status: self.status.unwrap_or_default(),
            text: self.text,
            fields: self.fields,
            content_length: self.content_length,
            memo: OnceCell::new(),
        })
    }
}

/// Lower case, and no pseudo-header field. Of a field that is malformed for its value: gRPC leaves the spaces at the end of a `grpc-message` as they are.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|octet| octet.is_ascii_graphic() && !octet.is_ascii_uppercase() && *octet != b':')
}

fn parse_status(value: &[u8]) -> Option<u16> {
    match value {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
        }
        _ => None,
    }
}

/// `content-length`: digits alone (RFC 9110, 8.6).
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

impl fmt::Debug for AnswerHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |octets| String::from_utf8_lossy(octets).into_owned();
        let fields: Vec<_> = self.fields().map(|(name, value)| (text(name), text(value))).collect();
        f.debug_struct("AnswerHead").field("status", &self.status).field("fields", &fields).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl AnswerHead {
    /// A block of these fields, for tests of those who read it.
    pub(crate) fn of(fields: &[(&str, &str)]) -> Self {
        use super::super::hpack::FieldId;
        let mut builder = AnswerHeadBuilder::default();
        for (name, value) in fields {
            builder.field(Decoded { name: name.as_bytes(), value: value.as_bytes(), kind: Kind::Other, id: FieldId::NONE });
        }
        builder.finish(fields.first().is_none_or(|(name, _)| *name != ":status")).expect("it is well-formed")
    }
}
