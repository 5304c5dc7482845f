//! gRPC-Web (PROTOCOL-WEB.md): what a browser's page can say and hear, put into gRPC's words and back, so that a call is the same as any other.
//!
//! A page cannot see trailers: they end the body, in a frame of their own. Nor can all of its ways of asking read bytes: then the body is base64, `text`. It calls over
//! HTTP/1.1 or HTTP/2, `either`. Its browser asks first whether pages of its origin may, `origins`.
//!
//! * A request whose content type is not of gRPC-Web is gRPC's own, and none over HTTP/1.1.
//! * Answers are text where `accept` names the text; where it names neither form, as requests are.

mod either;
mod origins;
mod text;

use std::cell::RefCell;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, TE};
use http::{HeaderMap, HeaderValue, StatusCode, Version, request};
use loopswap_rt::{Connection, Runtime, now};
use tonic::Status;

use super::calls::ID;
use super::exchange::Exchange;
use super::{Beside, Calls, speak_http2};
use crate::grpc::{PREFIX_BYTES, ResponseHead, Transport as _, without_connection_fields};
use crate::hyper_io::{HyperIo, Passing};
use crate::server::{About, Closed, PeerLog, PhaseWatch};

use either::Either;
pub(crate) use origins::Origins;
use origins::{Leave, authority};
use text::{Text, written};

/// What begins a frame of trailers, not compressed.
const TRAILERS_FLAG: u8 = 0x80;

const GRPC: &str = "application/grpc";
const GRPC_WEB: &str = "application/grpc-web";
const GRPC_WEB_TEXT: &str = "application/grpc-web-text";

/// Serves what the client speaks, where gRPC-Web is spoken; else HTTP/2.
pub(super) async fn serve<R: Runtime, C: Connection, O: FnMut(Passing<'_>) + Unpin>(
    beside: Beside,
    runtime: &R,
    phases: PhaseWatch,
    io: HyperIo<C, O>,
    calls: Calls,
) -> Closed {
    let (streams, limits) = (beside.streams.executor(), beside.house.limits.clone());
    if beside.house.origins.is_some() {
        let either = Either::new(io, calls, streams, beside.handshake.clone(), limits);
        beside.serve(runtime, phases, either).await
    } else {
        beside.serve(runtime, phases, speak_http2(&limits, io, calls, streams)).await
    }
}

/// How the two sides of one call are spoken.
pub(super) struct Web {
    /// Where the request is text.
    request: Option<RefCell<Text>>,
    answers_text: bool,
    /// Of a page, which must be let read the answer.
    leave: Option<Leave>,
}

/// An answer that no call makes.
pub(super) struct Direct {
    status: StatusCode,
    fields: HeaderMap,
    text: String,
}

impl Origins {
    /// Puts a request into gRPC's words, if it is one of gRPC-Web's.
    ///
    /// # Errors
    ///
    /// What it is answered at once.
    pub(super) fn admit(&self, parts: &mut request::Parts) -> Result<Option<Web>, Box<Direct>> {
        if let Some(answer) = self.preflight(parts) {
            return Err(answer);
        }
        let content_type = parts.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let Some((is_text, subtype)) = form(content_type) else {
            return match parts.version < Version::HTTP_2 && after(content_type, GRPC).is_some() {
                true => Err(Direct::of_version()),
                false => Ok(None),
            };
        };
        let leave = match parts.headers.get(ORIGIN) {
            None => None,
            Some(origin) => Some(self.leave(origin, authority(parts)).ok_or_else(|| Direct::of_origin(origin))?),
        };
        let answers_text = parts.headers.get(ACCEPT).and_then(|accept| form(accept.as_bytes())).map_or(is_text, |(is_text, _)| is_text);
        let content_type = HeaderValue::from_bytes(&[GRPC.as_bytes(), subtype].concat()).expect("a part of a value is one");
        let mut fields = without_connection_fields(std::mem::take(&mut parts.headers));
        fields.remove(CONTENT_LENGTH);
        fields.insert(CONTENT_TYPE, content_type);
        fields.insert(TE, HeaderValue::from_static("trailers"));
        parts.headers = fields;
        Ok(Some(Web { request: is_text.then(RefCell::default), answers_text, leave }))
    }
}

impl Web {
    /// Bytes of the request's body, as gRPC has them. `end`: they are the last.
    ///
    /// # Errors
    ///
    /// INTERNAL for a text that is no base64.
    pub(super) fn heard(&self, bytes: Bytes, end: bool) -> Result<Bytes, Status> {
        let Some(text) = &self.request else { return Ok(bytes) };
        let read = text.borrow_mut().read(&bytes, end);
        read.map(Bytes::from).map_err(|_| Status::internal(format!("the request's body is no base64, as {GRPC_WEB_TEXT} is")))
    }

    /// Makes an answer's head one of gRPC-Web's.
    pub(super) fn head(&self, fields: &mut HeaderMap) {
        if let Some(subtype) = fields.get(CONTENT_TYPE).and_then(|content_type| after(content_type.as_bytes(), GRPC)) {
            let form = if self.answers_text { GRPC_WEB_TEXT } else { GRPC_WEB };
            let content_type = HeaderValue::from_bytes(&[form.as_bytes(), subtype].concat()).expect("a part of a value is one");
            fields.insert(CONTENT_TYPE, content_type);
        }
        if let Some(leave) = &self.leave {
            leave.expose(fields);
        }
    }

    /// A part of an answer's body.
    pub(super) fn data(&self, bytes: Vec<u8>) -> Bytes {
        match self.answers_text {
            true => written(&bytes).into(),
            false => bytes.into(),
        }
    }

    /// The last of it: what are trailers elsewhere.
    pub(super) fn trailers(&self, fields: &HeaderMap) -> Bytes {
        let mut frame = vec![TRAILERS_FLAG; PREFIX_BYTES];
        for (name, value) in fields {
            frame.extend([name.as_str().as_bytes(), b":", value.as_bytes(), b"\r\n"].concat());
        }
        let len = u32::try_from(frame.len() - PREFIX_BYTES).expect("a header map is smaller");
        frame[1..PREFIX_BYTES].copy_from_slice(&len.to_be_bytes());
        self.data(frame)
    }
}

impl Direct {
    fn new(status: StatusCode, fields: HeaderMap, text: String) -> Box<Self> {
        Box::new(Self { status, fields, text })
    }

    fn told(status: StatusCode, text: String) -> Box<Self> {
        Self::new(status, HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/plain"))]), text)
    }

    /// For pages that may not call.
    fn of_origin(origin: &HeaderValue) -> Box<Self> {
        let text = format!(
            "pages of the origin {origin:?} may not call this server; those that may are listed where it is started (--grpc-web-origin, GrpcWeb::allow_origin)\n"
        );
        Self::told(StatusCode::FORBIDDEN, text)
    }

    /// For gRPC over HTTP/1.1, where trailers get lost.
    fn of_version() -> Box<Self> {
        let text = format!("{GRPC} is for HTTP/2 alone; over HTTP/1.1 there is {GRPC_WEB}\n");
        Self::told(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
    }

    /// Answers, and logs it where somebody may have to be listed.
    pub(super) fn answer(&self, exchange: &Exchange, log: &PeerLog) {
        if self.status == StatusCode::FORBIDDEN {
            log.say(About::Refused, now(), || tracing::info!("call refused: {}", self.text.trim_end()));
        }
        exchange.head(ID, ResponseHead::Fields(self.status, &self.fields), self.text.is_empty());
        if !self.text.is_empty() {
            exchange.data(ID, &mut |body| body.extend_from_slice(self.text.as_bytes()), true);
        }
    }
}

/// What a content type says that is one of gRPC-Web's: whether the body is text, and what comes behind: `+proto`, parameters.
fn form(content_type: &[u8]) -> Option<(bool, &[u8])> {
    let text = after(content_type, GRPC_WEB_TEXT).map(|subtype| (true, subtype));
    text.or_else(|| after(content_type, GRPC_WEB).map(|subtype| (false, subtype)))
}

/// What is behind this media type, if it is this one.
fn after<'a>(content_type: &'a [u8], media_type: &str) -> Option<&'a [u8]> {
    let (start, rest) = content_type.split_at_checked(media_type.len())?;
    (start.eq_ignore_ascii_case(media_type.as_bytes()) && matches!(rest.first(), None | Some(b'+' | b';'))).then_some(rest)
}
