//! What a request's header block says, kept for as long as the call wants it.
//!
//! Clients send the same header block again and again, so a connection hands out one `Head` for all requests whose blocks are the same
//! bytes in the same state of the dynamic table. What an application concludes from a head it can leave there: see [`Head::memo`].

use std::any::Any;
use std::cell::OnceCell;
use std::fmt;

use super::hpack::{Decoded, Kind};
use super::limits::{Limits, Violation};

/// A request's pseudo-header fields and fields, validated (RFC 9113, 8.2 and 8.3).
pub struct Head {
    /// Values of the pseudo-header fields, then name and value of each field, one behind the other.
    text: Vec<u8>,
    method: Span,
    scheme: Span,
    authority: Option<Span>,
    path: Span,
    fields: Vec<FieldSpan>,
    content_length: Option<u64>,
    memo: OnceCell<Box<dyn Any>>,
}

#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    len: u32,
}

#[derive(Clone, Copy)]
struct FieldSpan {
    start: u32,
    name_len: u32,
    value_len: u32,
}

impl Head {
    /// `:method`.
    pub fn method(&self) -> &[u8] {
        self.slice(self.method)
    }

    /// `:scheme`; empty for CONNECT.
    pub fn scheme(&self) -> &[u8] {
        self.slice(self.scheme)
    }

    /// `:authority`, or `host` where that is missing.
    pub fn authority(&self) -> Option<&[u8]> {
        self.authority.map(|span| self.slice(span)).or_else(|| self.get(b"host"))
    }

    /// `:path`, as it was sent; empty for CONNECT.
    pub fn path(&self) -> &[u8] {
        self.slice(self.path)
    }

    /// The fields in their order, names in lower case.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| {
            let name = Span { start: field.start, len: field.name_len };
            let value = Span { start: field.start + field.name_len, len: field.value_len };
            (self.slice(name), self.slice(value))
        })
    }

    /// The value of the first field of this name, in lower case.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// `content-length`.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// What the application concluded from this head: made at the first call, the same for all requests that share it.
    ///
    /// # Panics
    ///
    /// When an earlier call made a memo of another type.
    pub fn memo<T: Any>(&self, make: impl FnOnce(&Self) -> T) -> &T {
        let memo = self.memo.get_or_init(|| Box::new(make(self)));
        memo.downcast_ref().expect("an application has one type of memo")
    }

    fn slice(&self, span: Span) -> &[u8] {
        &self.text[span.start as usize..][..span.len as usize]
    }
}

/// A head in the making: takes fields in their order and judges them.
#[derive(Default)]
pub(super) struct HeadBuilder {
    text: Vec<u8>,
    method: Option<Span>,
    scheme: Option<Span>,
    authority: Option<Span>,
    path: Option<Span>,
    host: Option<Span>,
    fields: Vec<FieldSpan>,
    content_length: Option<u64>,
    malformed: bool,
    list_bytes: usize,
    n_fields: u32,
    over: Option<Violation>,
}

impl HeadBuilder {
    /// Takes a field of a request.
    pub(super) fn request_field(&mut self, field: Decoded<'_>, limits: &Limits) {
        if !self.counts(field, limits) {
            return;
        }
        match field.kind {
            Kind::Method => self.pseudo(|head| &mut head.method, field.value),
            Kind::Scheme => self.pseudo(|head| &mut head.scheme, field.value),
            Kind::Authority => self.pseudo(|head| &mut head.authority, field.value),
            Kind::Path => self.pseudo(|head| &mut head.path, field.value),
            Kind::Malformed | Kind::ConnectionSpecific => self.malformed = true,
            Kind::Te if !field.value.eq_ignore_ascii_case(b"trailers") => self.malformed = true,
            Kind::ContentLength => {
                // The same length twice is allowed (RFC 9110, 8.6), but nobody needs it.
                let length = parse_length(field.value).filter(|_| self.content_length.is_none());
                self.malformed |= length.is_none();
                self.content_length = length;
                self.regular(field);
            }
            Kind::Host => {
                let value = self.regular(field);
                if self.host.replace(value).is_some() {
                    self.malformed = true;
                }
            }
            Kind::Te | Kind::Other => {
                self.regular(field);
            }
        }
    }

    /// Takes a field of trailers, in which pseudo-header fields have no place (8.1).
    pub(super) fn trailer_field(&mut self, field: Decoded<'_>, limits: &Limits) {
        if self.counts(field, limits) {
            self.malformed |= !matches!(field.kind, Kind::Te | Kind::ContentLength | Kind::Host | Kind::Other);
        }
    }

    /// The limit that was reached; the head is then not whole.
    pub(super) fn over(&self) -> Option<Violation> {
        self.over
    }

    /// Whether the fields so far break a rule.
    pub(super) fn is_malformed(&self) -> bool {
        self.malformed
    }

    /// The head, or `None` when it is malformed (8.1.1, 8.3.1).
    pub(super) fn finish(self) -> Option<Head> {
        let method = self.method?;
        let bytes = |span: Span| &self.text[span.start as usize..][..span.len as usize];
        let (scheme, path) = if bytes(method) == b"CONNECT" {
            // 8.5: an authority and nothing else.
            if self.scheme.is_some() || self.path.is_some() || self.authority.is_none() {
                return None;
            }
            (Span::default(), Span::default())
        } else {
            let (scheme, path) = (self.scheme?, self.path?);
            let is_path = bytes(path).first() == Some(&b'/') || (bytes(path) == b"*" && bytes(method) == b"OPTIONS");
            if !is_path || bytes(path).iter().any(|byte| !(0x21..=0x7e).contains(byte)) {
                return None;
            }
            (scheme, path)
        };
        if let (Some(authority), Some(host)) = (self.authority, self.host)
            && !bytes(authority).eq_ignore_ascii_case(bytes(host))
        {
            return None;
        }
        if self.malformed || !is_token(bytes(method)) {
            return None;
        }
        Some(Head {
            method,
            scheme,
            authority: self.authority,
            path,
            content_length: self.content_length,
            memo: OnceCell::new(),
            text: self.text,
            fields: self.fields,
        })
    }

    /// Whether the field is within the limits. Of a list that is not, nothing more is kept.
    fn counts(&mut self, field: Decoded<'_>, limits: &Limits) -> bool {
        self.n_fields += 1;
        // 6.5.2: 32 bytes are added for each field.
        self.list_bytes += field.name.len() + field.value.len() + 32;
        if self.n_fields > limits.header_fields_max {
            self.over = self.over.or(Some(Violation::HeaderFields));
        } else if self.list_bytes > limits.header_list_bytes_max as usize {
            self.over = self.over.or(Some(Violation::HeaderListBytes));
        }
        self.over.is_none()
    }

    fn pseudo(&mut self, place: impl Fn(&mut Self) -> &mut Option<Span>, value: &[u8]) {
        let span = self.keep(value);
        // Twice, or behind a field (8.3).
        self.malformed |= !self.fields.is_empty() || place(self).replace(span).is_some();
    }

    fn regular(&mut self, field: Decoded<'_>) -> Span {
        let name = self.keep(field.name);
        let value = self.keep(field.value);
        self.fields.push(FieldSpan { start: name.start, name_len: name.len, value_len: value.len });
        value
    }

    fn keep(&mut self, bytes: &[u8]) -> Span {
        let span = Span { start: self.text.len() as u32, len: bytes.len() as u32 };
        self.text.extend_from_slice(bytes);
        span
    }
}

/// `content-length`: digits alone (RFC 9110, 8.6).
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// RFC 9110, 5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        let names: Vec<_> = self.fields().map(|(name, _)| String::from_utf8_lossy(name)).collect();
        f.debug_struct("Head").field("path", &String::from_utf8_lossy(self.path())).field("fields", &names).finish_non_exhaustive()
    }
}
