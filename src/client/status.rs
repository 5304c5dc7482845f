//! How an answer, or its absence, becomes a gRPC status: the rules of the gRPC protocol, in one place.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::{Code, Status};

use crate::client::foreign::foreign;
use crate::http2::client::AnswerHead;

/// What a header block of an answer means; judged once for all answers that share it.
pub(super) struct Judged {
    /// As the head of an answer that goes on: an error ends its call.
    pub(super) as_head: Result<(), Status>,
    /// As trailers: the status; `None` where they carry none.
    pub(super) carried: Option<Result<(), Status>>,
}

impl Judged {
    pub(super) fn of(head: &AnswerHead) -> Self {
        let carried = carried(head);
        let as_head = match &carried {
            Some(Err(status)) => Err(status.clone()),
            Some(Ok(())) => Err(Status::internal("the server answered OK without a message")),
            None => foreign(head).map_or(Ok(()), Err),
        };
        Self { as_head, carried }
    }
}

/// The status that a header block carries; `None` where it carries none. OK without looking at its message, which means nothing.
fn carried(head: &AnswerHead) -> Option<Result<(), Status>> {
    if head.get(Status::GRPC_STATUS.as_str().as_bytes())? == b"0" {
        return Some(Ok(()));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in head.fields() {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    Status::from_header_map(&headers).map(|status| if status.code() == Code::Ok { Ok(()) } else { Err(status) })
}

/// What a call without a reply ends with.
pub(crate) fn late(timeout: Duration) -> Status {
    Status::deadline_exceeded(format!("no reply within {timeout:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(fields: &[(&str, &str)]) -> Judged {
        Judged::of(&AnswerHead::of(fields))
    }

    #[test]
    fn reads_the_status_and_decodes_its_message() {
        assert!(block(&[]).carried.is_none());
        assert!(block(&[("grpc-status", "0"), ("grpc-message", "ignored")]).carried.unwrap().is_ok());
        let status = block(&[("grpc-status", "5"), ("grpc-message", "no%20such%20%C3%BC")]).carried.unwrap().unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::NotFound, "no such \u{fc}"));
        let status = block(&[("grpc-status", "banana")]).carried.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Unknown);
    }

    #[test]
    fn judges_heads() {
        let head = |fields: &[(&str, &str)]| block(fields).as_head.map_err(|status| (status.code(), status.message().to_owned()));
        assert_eq!(head(&[(":status", "200"), ("content-type", "application/grpc+proto")]), Ok(()));
        assert_eq!(head(&[(":status", "503"), ("content-type", "text/html")]).unwrap_err().0, Code::Unavailable);
        assert!(head(&[(":status", "200"), ("grpc-status", "0")]).unwrap_err().1.contains("OK without a message"));
        assert_eq!(head(&[(":status", "503"), ("grpc-status", "7")]).unwrap_err().0, Code::PermissionDenied);
    }
}
