//! Messages in a stream of bytes: PROTOCOL-HTTP2, "Length-Prefixed-Message".
//!
//! Each is preceded by one byte that says whether it is compressed, and by its length.

use prost::Message;
use tonic::Status;

use crate::grpc::compress::compress;
use crate::grpc::encoding::{Compression, Encoding};

/// The flag and the length before each message.
pub(crate) const PREFIX_BYTES: usize = 5;

/// How large the messages of a service may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageLimits {
    /// The largest message of a request, in bytes, without its prefix; a larger one is RESOURCE_EXHAUSTED as soon as its length is known, a
    /// compressed one as soon as it has grown beyond. 4 MiB, as in grpc-go and tonic.
    pub decode_bytes_max: usize,
    /// The largest message of a response, in bytes as it is sent, without its prefix; a larger one is RESOURCE_EXHAUSTED instead. As large as the
    /// protocol can say: 4 GiB - 1.
    pub encode_bytes_max: usize,
}

impl Default for MessageLimits {
    fn default() -> Self {
        Self { decode_bytes_max: 4 * 1024 * 1024, encode_bytes_max: u32::MAX as usize }
    }
}

/// What a service asks of the messages of its methods.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) limits: MessageLimits,
    pub(crate) compression: Compression,
}

/// What precedes a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    /// Of the message, in bytes.
    pub(super) len: usize,
    /// How the message is compressed.
    pub(super) encoding: Option<Encoding>,
}

impl Prefix {
    /// The prefix at the start of these bytes; `None` while it is not whole. `encoding` is asked for what the call names, when the message is compressed.
    ///
    /// # Errors
    ///
    /// INTERNAL for a compressed message of a call that names no compression, and for flags that mean nothing; RESOURCE_EXHAUSTED for a message that is
    /// larger than the limit (statuscodes.md).
    pub(super) fn parse(
        bytes: &[u8],
        decode_bytes_max: usize,
        encoding: impl FnOnce() -> Option<Encoding>,
    ) -> Result<Option<Self>, Status> {
        let Some((&[flag, a, b, c, d], _)) = bytes.split_first_chunk() else {
            // A flag alone tells as much.
            return bytes.first().map_or(Ok(None), |flag| judge_flag(*flag, encoding).map(|_| None));
        };
        let encoding = if flag == 0 { None } else { judge_flag(flag, encoding)? };
        let len = u32::from_be_bytes([a, b, c, d]) as usize;
        if len > decode_bytes_max {
            return Err(Status::resource_exhausted(format!("a message of {len} bytes is larger than the limit of {decode_bytes_max}")));
        }
        Ok(Some(Self { len, encoding }))
    }
}

fn judge_flag(flag: u8, encoding: impl FnOnce() -> Option<Encoding>) -> Result<Option<Encoding>, Status> {
    match flag {
        0 => Ok(None),
        1 => match encoding() {
            None => Err(Status::internal("a message is compressed, but the call has no grpc-encoding")),
            encoding => Ok(encoding),
        },
        flag => Err(Status::internal(format!("a message's prefix begins with {flag}, which is neither 0 nor 1"))),
    }
}

/// What the client is told when its last message is not whole.
pub(super) fn cut_off() -> Status {
    Status::internal("the request ended in the middle of a message")
}

/// What the client of a method is told that takes one message.
pub(super) fn no_message() -> Status {
    Status::unimplemented("the request has no message, but the method takes one")
}

/// What the client of such a method is told that sends more.
pub(super) fn several_messages() -> Status {
    Status::unimplemented("the request has several messages, but the method takes one")
}

/// The message in these bytes.
///
/// # Errors
///
/// INTERNAL when they are none.
pub(crate) fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| Status::internal(format!("the message cannot be decoded: {error}")))
}

/// The length of a message that is to be sent.
///
/// # Errors
///
/// RESOURCE_EXHAUSTED when it is larger than the limit, or than a prefix can say.
pub(super) fn encoded_len<M: Message>(message: &M, encode_bytes_max: usize) -> Result<u32, Status> {
    judge_len(message.encoded_len(), encode_bytes_max)
}

#[inline]
fn judge_len(len: usize, encode_bytes_max: usize) -> Result<u32, Status> {
    let max = encode_bytes_max.min(u32::MAX as usize);
    if len <= max { Ok(len as u32) } else { Err(too_large(len, max)) }
}

#[cold]
fn too_large(len: usize, max: usize) -> Status {
    Status::resource_exhausted(format!("the reply of {len} bytes is larger than the limit of {max}"))
}

/// A message with its prefix, compressed; as it is, if that makes it no smaller.
///
/// # Errors
///
/// As [`encoded_len`].
pub(super) fn compressed<M: Message>(message: &M, encoding: Encoding, encode_bytes_max: usize) -> Result<Vec<u8>, Status> {
    let plain = message.encode_to_vec();
    let compressed = compress(encoding, &plain);
    let (flag, bytes) = if compressed.len() < plain.len() { (1, compressed) } else { (0, plain) };
    let [a, b, c, d] = judge_len(bytes.len(), encode_bytes_max)?.to_be_bytes();
    Ok([&[flag, a, b, c, d], &bytes[..]].concat())
}

/// Appends a message of this length, with its prefix.
pub(super) fn encode<M: Message>(message: &M, len: u32, buffer: &mut Vec<u8>) {
    buffer.reserve(PREFIX_BYTES + len as usize);
    let [a, b, c, d] = len.to_be_bytes();
    buffer.extend_from_slice(&[0, a, b, c, d]);
    message.encode_raw(buffer);
}
