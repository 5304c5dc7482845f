//! What a request's header block says, whichever engine decoded it.

use std::cell::OnceCell;
use std::rc::Rc;

use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, request};
use tonic::metadata::MetadataMap;

use crate::grpc::Peer;
use crate::grpc::encoding::Encoding;
use crate::grpc::verdict::Verdict;
use crate::http2;

/// A request's head.
pub(crate) enum Head {
    /// Of our engine; shared by the requests whose header blocks are the same.
    Native(http2::Head),
    /// Of hyper.
    Http(Box<request::Parts>, Option<Rc<Peer>>),
}

impl Head {
    pub(crate) fn method(&self) -> &[u8] {
        match self {
            Self::Native(head) => head.method(),
            Self::Http(parts, _) => parts.method.as_str().as_bytes(),
        }
    }

    /// The path as it was sent, with its query.
    pub(crate) fn path(&self) -> &[u8] {
        match self {
            Self::Native(head) => head.path(),
            Self::Http(parts, _) => parts.uri.path_and_query().map_or(b"", |path| path.as_str().as_bytes()),
        }
    }

    /// The value of the first field of this name, in lower case.
    pub(crate) fn get(&self, name: &'static str) -> Option<&[u8]> {
        match self {
            Self::Native(head) => head.get(name.as_bytes()),
            Self::Http(parts, _) => parts.headers.get(name).map(HeaderValue::as_bytes),
        }
    }

    /// How its compressed messages are compressed.
    pub(crate) fn encoding(&self) -> Option<Encoding> {
        self.get("grpc-encoding").and_then(Encoding::named)
    }

    /// All fields, those of one name in their order.
    pub(crate) fn for_each_field(&self, mut see: impl FnMut(&[u8], &[u8])) {
        match self {
            Self::Native(head) => head.fields().for_each(|(name, value)| see(name, value)),
            Self::Http(parts, _) => parts.headers.iter().for_each(|(name, value)| see(name.as_str().as_bytes(), value.as_bytes())),
        }
    }

    /// All fields as metadata. Values of `-bin` fields that were joined by commas are apart again (PROTOCOL-HTTP2, "Custom-Metadata").
    pub(crate) fn to_metadata(&self) -> MetadataMap {
        let mut fields = HeaderMap::new();
        self.for_each_field(|name, value| {
            if name.ends_with(b"-bin") {
                value.split(|byte| *byte == b',').for_each(|value| append(&mut fields, name, value.trim_ascii()));
            } else {
                append(&mut fields, name, value);
            }
        });
        MetadataMap::from_headers(fields)
    }

    /// The request's own `grpc-timeout`, of which [`with_verdict`](Self::with_verdict) says nothing.
    pub(super) fn own_timeout(&self) -> Option<&[u8]> {
        match self {
            Self::Native(head) => head.varying(),
            Self::Http(..) => None,
        }
    }

    /// What `judge` says of it, asked once, as `peer` is, for all requests that share the head. `see` also gets what an observer remembers of them.
    pub(super) fn with_verdict<T>(
        &self,
        judge: impl FnOnce(&Self) -> Verdict,
        peer: impl FnOnce() -> Option<Rc<Peer>>,
        see: impl FnOnce(&Verdict, &OnceCell<u32>) -> T,
    ) -> T {
        let own;
        let (verdict, place) = match self {
            Self::Native(head) => {
                let make = |_: &http2::Head| Memo { verdict: judge(self), peer: peer(), place: OnceCell::new(), parts: OnceCell::new() };
                let memo = head.memo(make);
                (&memo.verdict, &memo.place)
            }
            Self::Http(..) => {
                own = (judge(self), OnceCell::new());
                (&own.0, &own.1)
            }
        };
        see(verdict, place)
    }

    /// The ends of its connection. It was judged before.
    pub(crate) fn peer(&self) -> Option<Rc<Peer>> {
        match self {
            Self::Http(_, peer) => peer.clone(),
            Self::Native(head) => head.memo::<Memo>(|_| unreachable!("a head is judged before anything else")).peer.clone(),
        }
    }

    /// The head as services of tonic want it, with what `tell` says of its connection: asked once for all requests that share the head. `None` for a path
    /// that is no part of a URI. It was judged before.
    pub(crate) fn into_parts(self, tell: impl FnOnce(&mut Extensions, Option<&Peer>)) -> Option<request::Parts> {
        match self {
            Self::Http(mut parts, peer) => {
                tell(&mut parts.extensions, peer.as_deref());
                Some(*parts)
            }
            Self::Native(head) => {
                let memo = head.memo::<Memo>(|_| unreachable!("a head is judged before anything else"));
                let make = || {
                    let mut parts = native_parts(&head)?;
                    tell(&mut parts.extensions, memo.peer.as_deref());
                    Some(parts)
                };
                let mut parts = memo.parts.get_or_init(make).as_ref()?.clone();
                if let Some(Ok(timeout)) = head.varying().map(HeaderValue::from_bytes) {
                    parts.headers.insert(HeaderName::from_static("grpc-timeout"), timeout);
                }
                Some(parts)
            }
        }
    }
}

/// What is known of a head of our engine, and of all requests that share it.
struct Memo {
    verdict: Verdict,
    /// They share a connection, too.
    peer: Option<Rc<Peer>>,
    /// Where they are counted, once that is known for good.
    place: OnceCell<u32>,
    /// Made when a service of tonic wants it.
    parts: OnceCell<Option<request::Parts>>,
}

fn native_parts(head: &http2::Head) -> Option<request::Parts> {
    let mut fields = HeaderMap::new();
    for (name, value) in head.common_fields() {
        append(&mut fields, name, value);
    }
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(PathAndQuery::try_from(head.path()).ok()?);
    // A URI has both or neither.
    if let (Some(Ok(authority)), Ok(scheme)) = (head.authority().map(Authority::try_from), Scheme::try_from(head.scheme())) {
        uri.authority = Some(authority);
        uri.scheme = Some(scheme);
    }
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = Method::from_bytes(head.method()).ok()?;
    parts.uri = Uri::from_parts(uri).ok()?;
    parts.version = http::Version::HTTP_2;
    parts.headers = fields;
    Some(parts)
}

/// A field of a validated header block fits a map; one that did not would be left out.
fn append(fields: &mut HeaderMap, name: &[u8], value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        fields.append(name, value);
    }
}
