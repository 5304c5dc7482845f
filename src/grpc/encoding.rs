//! How messages may be compressed: PROTOCOL-HTTP2, "Message-Encoding" and "Message-Accept-Encoding"; compression.md. It owns the names, what a service
//! accepts and sends, and what a call's answer says of it. [`inflation`](super::inflation) and [`compress`](super::compress) do the work.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::codec::CompressionEncoding;

use crate::grpc::fields::GRPC;

/// How a compressed message is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950: the name is HTTP's (RFC 9110, 8.4.1.2).
    Deflate,
    /// RFC 8878.
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Encoding {
    pub(crate) const ALL: &'static [Self] = &[
        Self::Gzip,
        Self::Deflate,
        #[cfg(feature = "zstd")]
        Self::Zstd,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
        }
    }

    /// What `grpc-encoding` names, other than `identity`. `None` for what is not known.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|encoding| encoding.name().as_bytes() == name)
    }

    /// # Panics
    ///
    /// For what this build lacks: tonic may have been built with more than loopswap.
    fn of(encoding: CompressionEncoding) -> Self {
        match encoding {
            CompressionEncoding::Gzip => Self::Gzip,
            CompressionEncoding::Deflate => Self::Deflate,
            #[cfg(feature = "zstd")]
            CompressionEncoding::Zstd => Self::Zstd,
            other => panic!("loopswap was built without the feature `{other}`, which compression with {other} wants"),
        }
    }
}

impl From<Encoding> for CompressionEncoding {
    fn from(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Gzip => Self::Gzip,
            Encoding::Deflate => Self::Deflate,
            #[cfg(feature = "zstd")]
            Encoding::Zstd => Self::Zstd,
        }
    }
}

/// Some of the encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encodings(u8);

impl Encodings {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self((1 << Encoding::ALL.len()) - 1);
    /// How many sets there are.
    pub(crate) const N_SETS: usize = 1 << Encoding::ALL.len();

    /// The set of this number, below [`N_SETS`](Self::N_SETS).
    pub(crate) const fn numbered(number: usize) -> Self {
        assert!(number < Self::N_SETS);
        Self(number as u8)
    }

    /// The set's number, below [`N_SETS`](Self::N_SETS).
    pub(crate) fn number(self) -> usize {
        self.0.into()
    }

    pub(crate) fn has(self, encoding: Encoding) -> bool {
        self.0 & (1 << encoding as u8) != 0
    }

    fn add(&mut self, encoding: Encoding) {
        self.0 |= 1 << encoding as u8;
    }

    /// As `grpc-accept-encoding` says it.
    pub(crate) const fn name(self) -> &'static str {
        NAMES[self.0 as usize]
    }
}

/// The names of all sets, by number.
const NAMES: [&str; 8] = [
    "identity",
    "identity,gzip",
    "identity,deflate",
    "identity,gzip,deflate",
    "identity,zstd",
    "identity,gzip,zstd",
    "identity,deflate,zstd",
    "identity,gzip,deflate,zstd",
];

/// How a service's messages may be compressed: those of requests in any way that is known, those of responses not at all, unless it says otherwise.
///
/// Generated servers have it behind tonic's names, `accept_compressed` and `send_compressed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    accepted: Encodings,
    /// Whether the service has named what it accepts.
    is_named: bool,
    sent: Encodings,
}

impl Default for Compression {
    fn default() -> Self {
        Self { accepted: Encodings::ALL, is_named: false, sent: Encodings::NONE }
    }
}

impl Compression {
    /// Messages of requests may be compressed so. The first that is named is accepted alone, instead of all, each further one besides.
    /// A request in another encoding is UNIMPLEMENTED, and told what would do (compression.md).
    ///
    /// # Panics
    ///
    /// For zstd, where loopswap was built without its feature `zstd`.
    pub fn accept(&mut self, encoding: CompressionEncoding) {
        if !self.is_named {
            self.is_named = true;
            self.accepted = Encodings::NONE;
        }
        self.accepted.add(Encoding::of(encoding));
    }

    /// Messages of responses are compressed so for clients that accept it. Of several, the one that the client names first.
    ///
    /// # Panics
    ///
    /// As [`accept`](Self::accept).
    pub fn send(&mut self, encoding: CompressionEncoding) {
        self.sent.add(Encoding::of(encoding));
    }

    pub(crate) fn accepted(self) -> Encodings {
        self.accepted
    }

    /// What an answer begins with, for a client that says this as its `grpc-accept-encoding`.
    pub(crate) fn opening(self, client_accepts: Option<&[u8]>) -> Opening {
        let Some(client_accepts) = client_accepts else { return Opening::default() };
        let mut known = client_accepts.split(|byte| *byte == b',').filter_map(|name| Encoding::named(name.trim_ascii()));
        Opening { accepted: Some(self.accepted), encoding: known.find(|encoding| self.sent.has(*encoding)) }
    }
}

/// What the head of an answer says of compression: nothing, to clients that say nothing of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Opening {
    /// How the messages of the answer that are compressed are compressed.
    pub(crate) encoding: Option<Encoding>,
    /// What the service accepts. There is no `encoding` without it.
    pub(crate) accepted: Option<Encodings>,
}

impl Opening {
    /// All fields of a good answer's head that are gRPC's.
    pub(crate) fn into_fields(self) -> HeaderMap {
        let mut fields = HeaderMap::from_iter([(CONTENT_TYPE, GRPC)]);
        self.insert_into(&mut fields);
        fields
    }

    /// Adds the fields that are about compression.
    pub(super) fn insert_into(self, fields: &mut HeaderMap) {
        if let Some(encoding) = self.encoding {
            fields.insert(HeaderName::from_static("grpc-encoding"), HeaderValue::from_static(encoding.name()));
        }
        if let Some(accepted) = self.accepted {
            fields.insert(ACCEPT_ENCODING, HeaderValue::from_static(accepted.name()));
        }
    }
}

pub(super) const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_has_its_name() {
        for number in 0..Encodings::N_SETS {
            let set = Encodings::numbered(number);
            let of_set = Encoding::ALL.iter().filter(|encoding| set.has(**encoding)).map(|encoding| encoding.name());
            assert_eq!(set.name(), ["identity"].into_iter().chain(of_set).collect::<Vec<_>>().join(","));
        }
    }

    #[test]
    fn what_is_named_first_is_accepted_alone() {
        let mut compression = Compression::default();
        assert_eq!(compression.accepted(), Encodings::ALL);
        compression.accept(CompressionEncoding::Deflate);
        assert_eq!(compression.accepted().name(), "identity,deflate");
        compression.accept(CompressionEncoding::Gzip);
        assert_eq!(compression.accepted().name(), "identity,gzip,deflate");
    }

    #[test]
    fn the_client_chooses_of_what_the_service_sends() {
        let mut compression = Compression::default();
        let chosen = |compression: Compression, accepts: &str| compression.opening(Some(accepts.as_bytes())).encoding;
        assert_eq!(chosen(compression, "gzip"), None, "nothing is sent compressed that need not be");
        compression.send(CompressionEncoding::Gzip);
        assert_eq!(compression.opening(None), Opening::default());
        for (accepts, encoding) in [
            ("identity, deflate, gzip", Some(Encoding::Gzip)),
            ("gzip", Some(Encoding::Gzip)),
            ("", None),
            ("identity", None),
            ("deflate", None),
            ("GZIP,gzipped", None),
        ] {
            assert_eq!(chosen(compression, accepts), encoding, "{accepts:?}");
        }
        compression.send(CompressionEncoding::Deflate);
        assert_eq!(chosen(compression, "identity, deflate, gzip"), Some(Encoding::Deflate));
        assert_eq!(chosen(compression, "gzip, deflate"), Some(Encoding::Gzip));
    }
}
