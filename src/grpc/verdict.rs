//! What is concluded from a request's head alone: where it goes and until when, or why it is refused.
//!
//! The rules are those of PROTOCOL-HTTP2, "Requests". Where it leaves a choice:
//!
//! * A method other than POST is HTTP 405, a content type that is not gRPC's HTTP 415, both without gRPC's fields: who sent such a request would
//!   not understand them.
//! * `te: trailers` must be there. It shows that no proxy is in the way that would lose the trailers; gRPC C-core, Go, Java and tonic all send
//!   it. Without it: HTTP 400, with INTERNAL for those who read it. So a load generator without the field sees that it measures refusals.
//! * Of the content's subtypes local services take `proto`, the default, alone, and a method whose codec is another is HTTP 415. Tonic's
//!   services may have other codecs, and take all.
//! * `grpc-encoding` other than `identity` and those that the service accepts is UNIMPLEMENTED, with those in `grpc-accept-encoding`. Tonic's services
//!   judge it themselves.
//! * What a service accepts is told to clients that tell what they accept, in every answer that has messages.
//! * A timeout that cannot be read is INTERNAL, as in grpc-go; one of 0 is DEADLINE_EXCEEDED at once.
//! * A `-bin` field that is no base64 is INTERNAL.
//! * `expect: 100-continue` is answered with 100 where the request is admitted, else with the refusal (RFC 9110, 10.1.1); on hyper, which cannot say
//!   100, with nothing. Other expectations are ignored, as the RFC allows.
//! * A path is compared byte by byte; one that names no method is UNIMPLEMENTED.

use std::time::Duration;

use http::StatusCode;
use http::header::{ALLOW, HeaderMap, HeaderValue};
use tonic::Status;

use crate::grpc::answer::Answer;
use crate::grpc::encoding::ACCEPT_ENCODING;
use crate::grpc::{Encoding, Encodings, Head, Opening, Route, Terms, fields, timeout};
use crate::service::Router;

/// A judged head.
pub(super) type Verdict = Result<Admitted, Refusal>;

/// A request that goes somewhere.
pub(super) struct Admitted {
    pub(super) route: Route,
    /// What the answer begins with.
    pub(super) opening: Opening,
    /// Unless the request has [its own](Head::own_timeout).
    pub(super) timeout: Option<Duration>,
    /// The client sends no body before it is told to, or has waited for a while.
    pub(super) expects_continue: bool,
}

/// An answer that is a head and nothing else.
pub(super) struct Refusal {
    status: StatusCode,
    fields: HeaderMap,
}

impl Refusal {
    fn http(status: StatusCode) -> Self {
        Self { status, fields: HeaderMap::new() }
    }

    pub(super) fn grpc(status: &Status) -> Self {
        Self { status: StatusCode::OK, fields: fields::trailers_only(status) }
    }

    pub(super) fn answer(&self, answer: &Answer) {
        answer.plain_head(self.status, &self.fields, true);
    }
}

/// Judges a request.
pub(super) fn judge(router: &Router, head: &Head) -> Verdict {
    let route = router.route(head.path());
    let expects_continue = head.get("expect").is_some_and(|expected| expected.eq_ignore_ascii_case(b"100-continue"));
    if let Some(Route::Plain(_)) = route {
        return Ok(Admitted { route: route.expect("it matched").clone(), opening: Opening::default(), timeout: None, expects_continue });
    }
    if head.method() != b"POST" {
        let mut refusal = Refusal::http(StatusCode::METHOD_NOT_ALLOWED);
        refusal.fields.insert(ALLOW, HeaderValue::from_static("POST"));
        return Err(refusal);
    }
    let Some(subtype) = head.get("content-type").and_then(subtype) else {
        return Err(Refusal::http(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    };
    if !head.get("te").is_some_and(|te| te.eq_ignore_ascii_case(b"trailers")) {
        let mut refusal = Refusal::grpc(&Status::internal("the request lacks `te: trailers`; perhaps a proxy does not speak gRPC"));
        refusal.status = StatusCode::BAD_REQUEST;
        return Err(refusal);
    }
    if let Some(name) = malformed_binary(head) {
        return Err(Refusal::grpc(&Status::internal(format!("{name} is no base64"))));
    }
    let route = route.cloned().ok_or_else(|| Refusal::grpc(&unknown_method(head.path())))?;
    let mut opening = Opening::default();
    if let Some(Terms { compression, .. }) = route.terms() {
        if !subtype.eq_ignore_ascii_case(b"proto") {
            return Err(Refusal::http(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        if let Some(name) = head.get("grpc-encoding").filter(|name| *name != b"identity") {
            let accepted = compression.accepted();
            if !Encoding::named(name).is_some_and(|encoding| accepted.has(encoding)) {
                return Err(unaccepted(name, accepted));
            }
        }
        opening = compression.opening(head.get("grpc-accept-encoding"));
    }
    let timeout = match head.own_timeout() {
        // Read behind the verdict, which it is no part of.
        Some(_) => None,
        None => head.get("grpc-timeout").map(read_timeout).transpose()?,
    };
    Ok(Admitted { route, opening, timeout, expects_continue })
}

/// How long a call may take.
pub(super) fn read_timeout(value: &[u8]) -> Result<Duration, Refusal> {
    match timeout::parse(value) {
        Some(Duration::ZERO) => Err(Refusal::grpc(&deadline_exceeded())),
        Some(timeout) => Ok(timeout),
        None => Err(Refusal::grpc(&Status::internal("malformed grpc-timeout"))),
    }
}

/// What a call is told whose time is over.
pub(super) fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("the deadline has passed")
}

fn unknown_method(path: &[u8]) -> Status {
    let path = String::from_utf8_lossy(path);
    if path.starts_with('/') && path[1..].contains('/') {
        Status::unimplemented(format!("no method {path}"))
    } else {
        Status::unimplemented(format!("malformed method {path:?}"))
    }
}

fn unaccepted(name: &[u8], accepted: Encodings) -> Refusal {
    let name = String::from_utf8_lossy(name);
    let text = format!("grpc-encoding {name:?} is not accepted, but any of {}", accepted.name());
    let mut refusal = Refusal::grpc(&Status::unimplemented(text));
    refusal.fields.insert(ACCEPT_ENCODING, HeaderValue::from_static(accepted.name()));
    refusal
}

/// What a gRPC content type says of the codec: `application/grpc+proto` → `proto`, which is also what `application/grpc` means. `None` for other
/// types.
fn subtype(content_type: &[u8]) -> Option<&[u8]> {
    const GRPC: &[u8] = b"application/grpc";
    let (start, rest) = content_type.split_at_checked(GRPC.len())?;
    if !start.eq_ignore_ascii_case(GRPC) {
        return None;
    }
    match rest.split_first() {
        None | Some((b';', _)) => Some(b"proto"),
        Some((b'+', rest)) => Some(rest.split(|byte| *byte == b';').next().unwrap_or(rest).trim_ascii_end()),
        Some(_) => None,
    }
}

/// The first `-bin` field that has a value which is no base64, with or without padding.
fn malformed_binary(head: &Head) -> Option<String> {
    let mut found = None;
    head.for_each_field(|name, values| {
        if found.is_none() && name.ends_with(b"-bin") && !values.split(|byte| *byte == b',').all(|value| is_base64(value.trim_ascii())) {
            found = Some(String::from_utf8_lossy(name).into_owned());
        }
    });
    found
}

fn is_base64(value: &[u8]) -> bool {
    let n_padding = value.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = &value[..value.len() - n_padding];
    let fits = match n_padding {
        0 => digits.len() % 4 != 1,
        n => n <= 2 && value.len().is_multiple_of(4),
    };
    fits && digits.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}
