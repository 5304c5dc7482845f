//! How an answer, or its absence, becomes a gRPC status: the rules of the gRPC protocol, in one place.

use h2::Reason;
use http::{HeaderMap, StatusCode};
use tonic::{Code, Status};

/// The status that headers or trailers carry; `None` where they carry none. OK without looking at its message, which means nothing.
pub(super) fn carried(headers: &HeaderMap) -> Option<Result<(), Status>> {
    if headers.get(Status::GRPC_STATUS)?.as_bytes() == b"0" {
        return Some(Ok(()));
    }
    Status::from_header_map(headers).map(|status| if status.code() == Code::Ok { Ok(()) } else { Err(status) })
}

/// What an HTTP answer without grpc-status means (gRPC, http-grpc-status-mapping.md).
pub(super) fn from_http(status: StatusCode) -> Status {
    let code = match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    Status::new(code, format!("the server answered HTTP {status}, without grpc-status"))
}

/// What an error of the stream or of the connection means (gRPC, PROTOCOL-HTTP2.md, "Errors").
pub(super) fn from_h2(error: &h2::Error) -> Status {
    if !error.is_reset() {
        // What we found wrong ourselves is mostly another protocol.
        let hint = if error.is_library() { "; does the server speak HTTP/2, without TLS?" } else { "" };
        return Status::unavailable(format!("the connection broke: {error}{hint}"));
    }
    Status::new(error.reason().map_or(Code::Internal, from_reset), format!("the call was reset: {error}"))
}

fn from_reset(reason: Reason) -> Code {
    match reason {
        Reason::REFUSED_STREAM => Code::Unavailable,
        Reason::CANCEL => Code::Cancelled,
        Reason::ENHANCE_YOUR_CALM => Code::ResourceExhausted,
        Reason::INADEQUATE_SECURITY => Code::PermissionDenied,
        _ => Code::Internal,
    }
}

/// A code's name, as the gRPC documents spell it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn reads_the_status_and_decodes_its_message() {
        assert!(carried(&headers(&[])).is_none());
        assert!(carried(&headers(&[("grpc-status", "0"), ("grpc-message", "ignored")])).unwrap().is_ok());
        let status = carried(&headers(&[("grpc-status", "5"), ("grpc-message", "no%20such%20%C3%BC")])).unwrap().unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::NotFound, "no such \u{fc}"));
        let status = carried(&headers(&[("grpc-status", "banana")])).unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Unknown);
    }

    #[test]
    fn maps_http_statuses_as_the_document_says() {
        let codes = [400, 401, 403, 404, 429, 502, 503, 504, 500, 200].map(|n| from_http(StatusCode::from_u16(n).unwrap()).code());
        use Code::*;
        assert_eq!(
            codes,
            [
                Internal,
                Unauthenticated,
                PermissionDenied,
                Unimplemented,
                Unavailable,
                Unavailable,
                Unavailable,
                Unavailable,
                Unknown,
                Unknown
            ]
        );
    }

    #[test]
    fn maps_resets_as_the_document_says() {
        let codes = [Reason::NO_ERROR, Reason::REFUSED_STREAM, Reason::CANCEL, Reason::ENHANCE_YOUR_CALM].map(from_reset);
        assert_eq!(codes, [Code::Internal, Code::Unavailable, Code::Cancelled, Code::ResourceExhausted]);
    }
}
