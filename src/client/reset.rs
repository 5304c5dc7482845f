//! What a reset of a call's stream means.

use tonic::{Code, Status};

use crate::http2::ErrorCode;

/// The status of a call whose stream the server has reset (gRPC, PROTOCOL-HTTP2.md, "Errors").
pub(super) fn from_reset(code: ErrorCode) -> Status {
    let of_grpc = match code {
        ErrorCode::REFUSED_STREAM => Code::Unavailable,
        ErrorCode::CANCEL => Code::Cancelled,
        ErrorCode::ENHANCE_YOUR_CALM => Code::ResourceExhausted,
        ErrorCode::INADEQUATE_SECURITY => Code::PermissionDenied,
        _ => Code::Internal,
    };
    Status::new(of_grpc, format!("the call was reset by the server: {code}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_resets_as_the_document_says() {
        let codes = [ErrorCode::NO_ERROR, ErrorCode::REFUSED_STREAM, ErrorCode::CANCEL, ErrorCode::ENHANCE_YOUR_CALM];
        assert_eq!(
            codes.map(|code| from_reset(code).code()),
            [Code::Internal, Code::Unavailable, Code::Cancelled, Code::ResourceExhausted]
        );
    }
}
