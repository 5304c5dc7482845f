//! What a server answers: a response as its frames built it up, and the end of a connection.

use std::fmt;

use loopswap::greeter::HelloReply;
use prost::Message;

/// Codes of gRPC (grpc/doc/statuscodes.md).
pub(crate) mod status {
    pub(crate) const OK: u32 = 0;
    pub(crate) const INVALID_ARGUMENT: u32 = 3;
    pub(crate) const DEADLINE_EXCEEDED: u32 = 4;
    pub(crate) const RESOURCE_EXHAUSTED: u32 = 8;
    pub(crate) const FAILED_PRECONDITION: u32 = 9;
    pub(crate) const UNIMPLEMENTED: u32 = 12;
    pub(crate) const INTERNAL: u32 = 13;
}

/// A GOAWAY frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GoAway {
    pub(crate) last: u32,
    pub(crate) code: u32,
    pub(crate) debug: String,
}

/// A response, as far as it has come.
#[derive(Clone, Default)]
pub(crate) struct Response {
    /// Interim responses (RFC 9113, 8.1): their statuses.
    pub(crate) interim: Vec<u32>,
    /// Header blocks in their order: the head, then trailers.
    pub(crate) blocks: Vec<Vec<(String, String)>>,
    pub(crate) body: Vec<u8>,
    pub(crate) n_data_frames: usize,
    /// END_STREAM has come.
    pub(crate) ended: bool,
    /// The code of RST_STREAM.
    pub(crate) reset: Option<u32>,
}

impl Response {
    pub(super) fn head(&mut self, fields: Vec<(String, String)>, end: bool) {
        assert!(!self.is_over(), "a header block behind the end: {fields:?}");
        if let Some(status) = fields.iter().find_map(|(name, value)| (name == ":status" && value.starts_with('1')).then_some(value)) {
            assert!(self.blocks.is_empty() && !end && fields.len() == 1, "an interim response goes before the head: {fields:?}");
            return self.interim.push(status.parse().expect("a number"));
        }
        let has_status = fields.iter().any(|(name, _)| name == ":status");
        assert_eq!(has_status, self.blocks.is_empty(), "`:status` belongs to the first block and no other (RFC 9113, 8.3.2): {fields:?}");
        assert!(end || self.blocks.is_empty(), "trailers end the stream (RFC 9113, 8.1)");
        let lower = |name: &str| !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_uppercase());
        assert!(fields.iter().all(|(name, _)| lower(name)), "names are in lower case (RFC 9113, 8.2.1): {fields:?}");
        self.blocks.push(fields);
        self.ended = end;
    }

    pub(super) fn data(&mut self, bytes: &[u8], end: bool) {
        assert!(!self.is_over(), "DATA behind the end");
        assert_eq!(self.blocks.len(), 1, "DATA comes between head and trailers (RFC 9113, 8.1)");
        self.body.extend_from_slice(bytes);
        self.n_data_frames += 1;
        self.ended = end;
    }

    /// Nothing more will come.
    pub(crate) fn is_over(&self) -> bool {
        self.ended || self.reset.is_some()
    }

    /// The HTTP status.
    pub(crate) fn http(&self) -> u32 {
        let of_head = self.blocks.first().and_then(|head| head.iter().find(|(name, _)| name == ":status"));
        of_head.and_then(|(_, value)| value.parse().ok()).unwrap_or_else(|| panic!("no status in {self:?}"))
    }

    /// A field of the last block: the trailers, or the head where that is all there is.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.blocks.last()?.iter().find_map(|(known, value)| (known == name).then_some(&value[..]))
    }

    /// A field of the first block.
    pub(crate) fn head_field(&self, name: &str) -> Option<&str> {
        self.blocks.first()?.iter().find_map(|(known, value)| (known == name).then_some(&value[..]))
    }

    /// The messages of the body, each with its flag.
    pub(crate) fn messages(&self) -> Vec<(u8, &[u8])> {
        let mut rest = &self.body[..];
        let mut messages = Vec::new();
        while let Some((prefix, behind)) = rest.split_first_chunk::<5>() {
            let len = u32::from_be_bytes(prefix[1..].try_into().expect("four bytes")) as usize;
            let (message, behind) = behind.split_at_checked(len).unwrap_or_else(|| panic!("a message is cut off in {self:?}"));
            messages.push((prefix[0], message));
            rest = behind;
        }
        assert!(rest.is_empty(), "a prefix is cut off in {self:?}");
        messages
    }

    /// `grpc-status` of a response that ended in an orderly way.
    pub(crate) fn grpc(&self) -> Option<u32> {
        self.field("grpc-status").filter(|_| self.ended)?.parse().ok()
    }

    /// The greeting of a call that went well.
    pub(crate) fn greeting(&self) -> String {
        assert_eq!((self.http(), self.grpc(), self.blocks.len()), (200, Some(status::OK), 2), "{self:?}");
        let (prefix, message) = self.body.split_at_checked(5).unwrap_or_else(|| panic!("no message in {self:?}"));
        let len = u32::from_be_bytes(prefix[1..].try_into().expect("four bytes")) as usize;
        assert_eq!((prefix[0], len), (0, message.len()), "one message, not compressed: {self:?}");
        HelloReply::decode(message).expect("it is a reply").message
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interim, blocks, body, n_data_frames, ended, reset } = self;
        write!(f, "{interim:?}, {blocks:?}, {} bytes in {n_data_frames} DATA frames, ended: {ended}, reset: {reset:?}", body.len())
    }
}
