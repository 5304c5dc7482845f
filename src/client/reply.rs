//! Reading the answer to a unary call: its status, and with OK exactly one message.

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::client::ResponseFuture;
use http::{HeaderMap, StatusCode, header};
use tonic::Status;

use crate::client::prepared::PREFIX_BYTES;
use crate::client::status;

/// The most bytes that a reply may have, prefix included: gRPC's default of 4 MiB.
const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The reply's message, still encoded.
///
/// # Errors
///
/// The status that the server gave, or that stands for what it did instead.
///
/// # Cancel safety
///
/// Dropping the future resets the call.
pub(super) async fn read(response: ResponseFuture) -> Result<Bytes, Status> {
    let (head, body) = response.await.map_err(|error| status::from_h2(&error))?.into_parts();
    match status::carried(&head.headers) {
        Some(Err(status)) => return Err(status),
        Some(Ok(())) => return Err(Status::internal("the server answered OK without a message")),
        None => {}
    }
    if head.status != StatusCode::OK {
        return Err(status::from_http(head.status));
    }
    if !is_grpc(&head.headers) {
        return Err(Status::unknown("the answer's content-type is not application/grpc; is it a gRPC server?"));
    }
    let (body, trailers) = drain(body).await?;
    match trailers.as_ref().and_then(status::carried) {
        Some(Ok(())) => one_message(body),
        Some(Err(status)) => Err(status),
        None => Err(Status::unknown("the answer ended without grpc-status")),
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// The whole body, and the trailers. What was read is given back to the peer's window at once.
async fn drain(mut body: RecvStream) -> Result<(Bytes, Option<HeaderMap>), Status> {
    let mut whole = Bytes::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.map_err(|error| status::from_h2(&error))?;
        // Fails for a stream that is gone, whose window nobody needs.
        let _ = body.flow_control().release_capacity(chunk.len());
        if whole.len() + chunk.len() > REPLY_BYTES_MAX {
            return Err(Status::resource_exhausted(format!("the reply is longer than {REPLY_BYTES_MAX} bytes")));
        }
        whole = joined(whole, chunk);
    }
    let trailers = body.trailers().await.map_err(|error| status::from_h2(&error))?;
    Ok((whole, trailers))
}

/// Without a copy for the first chunk, which mostly is the only one.
fn joined(whole: Bytes, chunk: Bytes) -> Bytes {
    if whole.is_empty() {
        return chunk;
    }
    let mut both = BytesMut::from(whole);
    both.extend_from_slice(&chunk);
    both.freeze()
}

/// The one message of a body.
fn one_message(body: Bytes) -> Result<Bytes, Status> {
    let Some((prefix, message)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        let what = if body.is_empty() { "without a message" } else { "with a message that is cut short" };
        return Err(Status::internal(format!("the server answered OK {what}")));
    };
    let [compressed, len @ ..] = *prefix;
    if compressed != 0 {
        return Err(Status::internal("the reply is compressed, which was not offered"));
    }
    match message.len().cmp(&(u32::from_be_bytes(len) as usize)) {
        std::cmp::Ordering::Less => Err(Status::internal("the server answered OK with a message that is cut short")),
        std::cmp::Ordering::Equal => Ok(body.slice(PREFIX_BYTES..)),
        std::cmp::Ordering::Greater => Err(Status::internal("the server answered OK with more than one message")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_exactly_one_message() {
        let message = |bytes: &'static [u8]| one_message(Bytes::from_static(bytes)).map_err(|status| status.message().to_owned());
        assert_eq!(message(b"\0\0\0\0\x03abc").unwrap(), "abc");
        assert_eq!(message(b"\0\0\0\0\0").unwrap(), "");
        assert!(message(b"").unwrap_err().contains("without a message"));
        assert!(message(b"\0\0\0").unwrap_err().contains("cut short"));
        assert!(message(b"\0\0\0\0\x04abc").unwrap_err().contains("cut short"));
        assert!(message(b"\0\0\0\0\x02abc").unwrap_err().contains("more than one"));
        assert!(message(b"\x01\0\0\0\x03abc").unwrap_err().contains("compressed"));
    }

    #[test]
    fn joins_chunks_in_order() {
        assert_eq!(joined(joined(Bytes::new(), Bytes::from_static(b"ab")), Bytes::from_static(b"cd")), "abcd");
    }
}
