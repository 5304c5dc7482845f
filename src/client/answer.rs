//! Reading the answer to a unary call: its status, and with OK exactly one message.

use tonic::Status;

use crate::client::prepared::message;
use crate::client::status::Judged;
use crate::http2::client::AnswerHead;

/// The most bytes that a reply may have, prefix included: gRPC's default of 4 MiB.
const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With OK, and the reply that was expected.
    AsExpected,
    /// With OK, and another message, encoded.
    Message(Vec<u8>),
    /// With another status, the server's or ours.
    Failed(Status),
    /// The server has not looked at it, for this reason: it may be made again.
    Unprocessed(Status),
}

/// What has come of an answer.
///
/// The reply that is right is not kept: what arrives is compared with it, and its first bytes are written down only when others follow that differ.
#[derive(Debug, Default)]
pub(super) struct Answer {
    n_as_expected: usize,
    /// A body that differs.
    other: Option<Vec<u8>>,
}

impl Answer {
    /// Takes the head. An error ends the call.
    #[inline]
    pub(super) fn head(&mut self, head: &AnswerHead, end: bool) -> Result<(), Status> {
        let judged = head.memo(Judged::of);
        if let Err(status) = &judged.as_head {
            return Err(status.clone());
        }
        if end { Err(no_status()) } else { Ok(()) }
    }

    /// Takes a part of the body. An error ends the call.
    #[inline]
    pub(super) fn data(&mut self, bytes: &[u8], expected: &[u8]) -> Result<(), Status> {
        if self.other.is_none() && expected[self.n_as_expected..].starts_with(bytes) {
            self.n_as_expected += bytes.len();
            return Ok(());
        }
        let other = self.other.get_or_insert_with(|| expected[..self.n_as_expected].to_vec());
        if other.len() + bytes.len() > REPLY_BYTES_MAX {
            return Err(Status::resource_exhausted(format!("the reply is longer than {REPLY_BYTES_MAX} bytes")));
        }
        other.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes the trailers, which end the call.
    #[inline]
    pub(super) fn trailers(self, trailers: &AnswerHead, expected: &[u8]) -> Ended {
        match &trailers.memo(Judged::of).carried {
            Some(Ok(())) if self.other.is_none() && !expected.is_empty() && self.n_as_expected == expected.len() => Ended::AsExpected,
            Some(Ok(())) => {
                let body = self.other.unwrap_or_else(|| expected[..self.n_as_expected].to_vec());
                message(body).map_or_else(|what| Ended::Failed(ok_but(what)), Ended::Message)
            }
            Some(Err(status)) => Ended::Failed(status.clone()),
            None => Ended::Failed(no_status()),
        }
    }

    /// The body has ended, and there are no trailers.
    pub(super) fn end(self) -> Ended {
        Ended::Failed(no_status())
    }
}

fn no_status() -> Status {
    Status::unknown("the answer ended without grpc-status")
}

fn ok_but(what: &str) -> Status {
    Status::internal(format!("the server answered OK {what}"))
}
