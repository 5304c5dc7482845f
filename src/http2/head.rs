//! What a request's header block says, kept for as long as the call wants it.
//!
//! Clients send the same fields again and again, so the requests of a connection share what is the same, as `connection::heads` finds out. What an
//! application concludes from it, it can leave there: see [`Head::memo`].

use std::any::Any;
use std::cell::OnceCell;
use std::fmt;
use std::num::NonZeroU8;
use std::rc::Rc;

use super::hpack::{Decoded, FieldId, Kind, VARYING};
use super::limits::{Limits, Violation};

/// A request's pseudo-header fields and fields, validated (RFC 9113, 8.2 and 8.3). Cheap to clone.
///
/// The value of `grpc-timeout`, which clients change from call to call, is each request's own; the rest is shared by the requests that sent the same.
#[derive(Clone)]
pub struct Head {
    common: Rc<Common>,
    varying: Option<Varying>,
}

/// What requests share.
struct Common {
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

/// The value of [`VARYING`], if it is short. A longer one is no varying value: no deadline needs it.
#[derive(Clone, Copy)]
struct Varying {
    len: NonZeroU8,
    bytes: [u8; Self::BYTES_MAX],
}

impl Varying {
    /// `grpc-timeout` has up to 8 digits and a unit (PROTOCOL-HTTP2).
    const BYTES_MAX: usize = 11;

    fn new(value: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::BYTES_MAX];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        Some(Self { len: NonZeroU8::new(value.len() as u8)?, bytes })
    }
}

impl Head {
    /// `:method`.
    pub fn method(&self) -> &[u8] {
        self.common.slice(self.common.method)
    }

    /// `:scheme`; empty for CONNECT.
    pub fn scheme(&self) -> &[u8] {
        self.common.slice(self.common.scheme)
    }

    /// `:authority`, or `host` where that is missing.
    pub fn authority(&self) -> Option<&[u8]> {
        self.common.authority.map(|span| self.common.slice(span)).or_else(|| self.get(b"host"))
    }

    /// `:path`, as it was sent; empty for CONNECT.
    pub fn path(&self) -> &[u8] {
        self.common.slice(self.common.path)
    }

    /// The fields, names in lower case: first [the request's own](Self::varying), if it has one, then the others in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.varying().map(|value| (VARYING, value)).into_iter().chain(self.common_fields())
    }

    /// The fields that are shared, in their order, names in lower case.
    pub fn common_fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let common = &self.common;
        common.fields.iter().map(|field| {
            let name = Span { start: field.start, len: field.name_len };
            let value = Span { start: field.start + field.name_len, len: field.value_len };
            (common.slice(name), common.slice(value))
        })
    }

    /// The value of `grpc-timeout`, of at most 11 bytes. One that is longer, or empty, is among the fields that are shared, as is every one but the first.
    pub fn varying(&self) -> Option<&[u8]> {
        self.varying.as_ref().map(|varying| &varying.bytes[..usize::from(varying.len.get())])
    }

    /// The same with another varying value; `None` if it is too long or empty.
    pub(super) fn with_varying(&self, value: &[u8]) -> Option<Self> {
        Some(Self { common: Rc::clone(&self.common), varying: Some(Varying::new(value)?) })
    }

    /// The value of the first field of this name, in lower case.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// `content-length`.
    pub fn content_length(&self) -> Option<u64> {
        self.common.content_length
    }

    /// What the application concluded from what is shared: made at the first call, the same for all requests that share it. Whether there is a
    /// [varying](Self::varying) value is the same for all of them, but what it is not.
    ///
    /// # Panics
    ///
    /// When an earlier call made a memo of another type.
    pub fn memo<T: Any>(&self, make: impl FnOnce(&Self) -> T) -> &T {
        let memo = self.common.memo.get_or_init(|| Box::new(make(self)));
        memo.downcast_ref().expect("an application has one type of memo")
    }
}

impl Common {
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
    /// What the fields are, in their order.
    ids: Vec<FieldId>,
    varying: Option<Varying>,
    content_length: Option<u64>,
    malformed: bool,
    list_bytes: usize,
    n_fields: u32,
    over: Option<Violation>,
}

impl HeadBuilder {
    /// Fields of gRPC's clients: 7 or 8, of 200 bytes or so in all.
    const FIELDS_USUAL: usize = 8;
    const TEXT_BYTES_USUAL: usize = 256;

    /// With room for what most requests have.
    pub(super) fn for_request() -> Self {
        Self {
            text: Vec::with_capacity(Self::TEXT_BYTES_USUAL),
            fields: Vec::with_capacity(Self::FIELDS_USUAL),
            ids: Vec::with_capacity(Self::FIELDS_USUAL + 4),
            ..Self::default()
        }
    }

    /// Takes a field of a request.
    pub(super) fn request_field(&mut self, field: Decoded<'_>, limits: &Limits) {
        if !self.counts(field, limits) {
            return;
        }
        if field.kind == Kind::Varying && !self.ids.contains(&FieldId::VARYING) {
            self.ids.push(FieldId::VARYING);
            self.varying = Varying::new(field.value);
            if self.varying.is_none() {
                self.regular(field);
            }
            return;
        }
        self.ids.push(field.id);
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
            Kind::Te | Kind::Varying | Kind::Other => {
                self.regular(field);
            }
        }
    }

    /// Takes a field of trailers, in which pseudo-header fields have no place (8.1).
    pub(super) fn trailer_field(&mut self, field: Decoded<'_>, limits: &Limits) {
        if self.counts(field, limits) {
            self.malformed |= !matches!(field.kind, Kind::Te | Kind::ContentLength | Kind::Host | Kind::Varying | Kind::Other);
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

    /// What the fields are, if that tells a block of the same fields, whatever the varying value; and the head, or `None` when it is malformed (8.1.1,
    /// 8.3.1).
    pub(super) fn finish(mut self, limits: &Limits) -> (Option<Vec<FieldId>>, Option<Head>) {
        let ids = std::mem::take(&mut self.ids);
        let has_ids = !ids.contains(&FieldId::NONE);
        // The longest varying value would still be within the limit; and this one is short.
        let fits = self.list_bytes + Varying::BYTES_MAX <= limits.header_list_bytes_max as usize;
        let is_short = self.varying.is_some() || !ids.contains(&FieldId::VARYING);
        ((has_ids && fits && is_short).then_some(ids), self.head())
    }

    fn head(self) -> Option<Head> {
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
        let common = Common {
            method,
            scheme,
            authority: self.authority,
            path,
            content_length: self.content_length,
            memo: OnceCell::new(),
            text: self.text,
            fields: self.fields,
        };
        Some(Head { common: Rc::new(common), varying: self.varying })
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
        self.malformed |= !self.fields.is_empty() || self.varying.is_some() || place(self).replace(span).is_some();
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
