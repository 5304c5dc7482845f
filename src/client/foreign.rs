//! Answers that are not gRPC's, but some proxy's or web server's: what they mean to a call.

use http::StatusCode;
use tonic::Status;

use crate::grpc::code_of_http;
use crate::http2::client::AnswerHead;

/// What the head of such an answer ends its call with. `None`: it is gRPC's, or has a status of gRPC's.
pub(super) fn foreign(head: &AnswerHead) -> Option<Status> {
    if head.get(Status::GRPC_STATUS.as_str().as_bytes()).is_some() {
        return None;
    }
    if head.status() != 200 {
        return Some(from_http(head.status()));
    }
    let is_grpc = head.get(b"content-type").is_some_and(|value| value.starts_with(b"application/grpc"));
    (!is_grpc).then(|| Status::unknown("the answer's content-type is not application/grpc; is it a gRPC server?"))
}

/// What an HTTP answer without grpc-status means.
fn from_http(status: u16) -> Status {
    let name = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    Status::new(code_of_http(status), format!("the server answered HTTP {}, without grpc-status", format!("{status} {name}").trim_end()))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn tells_what_is_not_grpc() {
        let of = |fields: &[(&str, &str)]| foreign(&AnswerHead::of(fields)).map(|status| (status.code(), status.message().to_owned()));
        assert_eq!(of(&[(":status", "200"), ("content-type", "application/grpc+proto")]), None);
        assert_eq!(of(&[(":status", "503"), ("grpc-status", "7")]), None);
        let (code, message) = of(&[(":status", "503"), ("content-type", "application/grpc")]).unwrap();
        assert_eq!((code, &message[..]), (Code::Unavailable, "the server answered HTTP 503 Service Unavailable, without grpc-status"));
        for fields in [&[(":status", "200"), ("content-type", "text/html")][..], &[(":status", "200")]] {
            let (code, message) = of(fields).unwrap();
            assert!(code == Code::Unknown && message.contains("is it a gRPC server?"), "{message}");
        }
    }

    #[test]
    fn maps_http_statuses_as_the_document_says() {
        let codes = [400, 401, 403, 404, 429, 502, 503, 504, 500, 204].map(|n| from_http(n).code());
        use Code::*;
        let expected = [
            Internal,
            Unauthenticated,
            PermissionDenied,
            Unimplemented,
            Unavailable,
            Unavailable,
            Unavailable,
            Unavailable,
            Unknown,
            Unknown,
        ];
        assert_eq!(codes, expected);
    }
}
