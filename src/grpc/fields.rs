//! Header blocks of statuses and metadata.

use http::header::{CONNECTION, CONTENT_TYPE, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::grpc::Opening;
use crate::grpc::encoding::ACCEPT_ENCODING;

/// What every answer has that speaks gRPC.
pub(super) const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Fields of one connection, which have no place in HTTP/2 (RFC 9113, 8.2.2).
const OF_A_CONNECTION: [HeaderName; 5] =
    [CONNECTION, TRANSFER_ENCODING, UPGRADE, HeaderName::from_static("keep-alive"), HeaderName::from_static("proxy-connection")];

/// Fields that gRPC itself writes (PROTOCOL-HTTP2, "Responses"): a handler's metadata cannot.
const OF_GRPC: [HeaderName; 6] = [
    CONTENT_TYPE,
    TE,
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-encoding"),
    ACCEPT_ENCODING,
];

/// The fields, without those that may not be sent over HTTP/2.
pub(crate) fn without_connection_fields(mut fields: HeaderMap) -> HeaderMap {
    // Hardly ever one: to look is cheaper than to hash five names.
    if fields.keys().any(|name| OF_A_CONNECTION.contains(name)) {
        for name in &OF_A_CONNECTION {
            fields.remove(name);
        }
    }
    fields
}

/// What the status of an answer means that does not speak gRPC and so has no grpc-status (gRPC, http-grpc-status-mapping.md).
pub(crate) fn code_of_http(status: u16) -> Code {
    match status {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// The head of an answer whose handler gave metadata.
pub(super) fn opening(metadata: MetadataMap, opening: Opening) -> HeaderMap {
    let mut fields = of_a_handler(metadata);
    fields.insert(CONTENT_TYPE, GRPC);
    opening.insert_into(&mut fields);
    fields
}

/// Adds metadata to the head of an answer.
pub(super) fn add_metadata(fields: &mut HeaderMap, metadata: MetadataMap) {
    if !metadata.is_empty() {
        fields.extend(of_a_handler(metadata));
    }
}

/// Metadata, without what is not a handler's to say.
fn of_a_handler(metadata: MetadataMap) -> HeaderMap {
    let mut fields = without_connection_fields(metadata.into_headers());
    for name in &OF_GRPC {
        fields.remove(name);
    }
    fields
}

/// The trailers that say this status.
pub(super) fn ending(status: &Status) -> HeaderMap {
    let mut fields = HeaderMap::new();
    if status.add_header(&mut fields).is_err() {
        fields.clear();
        // Everything in it is a number.
        let _ = Status::new(Code::Internal, "").add_header(&mut fields);
    }
    without_connection_fields(fields)
}

/// The head of an answer that is nothing but this status.
pub(super) fn trailers_only(status: &Status) -> HeaderMap {
    let mut fields = ending(status);
    fields.insert(CONTENT_TYPE, GRPC);
    fields
}
