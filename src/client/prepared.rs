//! A call as bytes: made once, sent any number of times.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::uri::{Authority, PathAndQuery};

use crate::Error;
use crate::client::Target;
use crate::client::timeout::grpc_timeout;
use crate::http2::client::Request;

/// The prefix of a message: whether it is compressed, and its length in four bytes (gRPC, PROTOCOL-HTTP2.md).
pub(super) const PREFIX_BYTES: usize = 5;

/// The whole message of a body.
///
/// # Errors
///
/// What is wrong with a body that is not exactly one message.
pub(super) fn message(mut body: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    let Some((prefix, message)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        let what = if body.is_empty() { "without a message" } else { "with a message that is cut short" };
        return Err(what);
    };
    let [compressed, len @ ..] = *prefix;
    if compressed != 0 {
        return Err("with a message that is compressed, which was not offered");
    }
    match message.len().cmp(&(u32::from_be_bytes(len) as usize)) {
        std::cmp::Ordering::Less => Err("with a message that is cut short"),
        std::cmp::Ordering::Equal => {
            body.drain(..PREFIX_BYTES);
            Ok(body)
        }
        std::cmp::Ordering::Greater => Err("with more than one message"),
    }
}

/// A call, ready to be sent on any connection.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    scheme: &'static str,
    path: String,
    authority: String,
    body: Bytes,
    timeout: Duration,
    /// The body of the reply that is right; empty where none is known.
    expected: Bytes,
    /// Who looks at the messages of an answer that is a stream; `None` where an answer is one message.
    inspector: Option<Inspector>,
    wording: Wording,
}

/// Whose requests a call's are like on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wording {
    /// As gRPC's clients word them.
    Grpc,
    /// As h2load does for `-d FILE`: there is a content-length, no grpc-timeout, and path and length enter no table.
    H2load,
}

/// Looks at the messages of answers that are streams: at which place in its answer each stands, from 0 on, and what it says. An error says what is wrong with it.
#[derive(Clone)]
pub(crate) struct Inspector(Rc<Inspect>);

type Inspect = dyn Fn(u64, &[u8]) -> Result<(), String>;

impl Inspector {
    pub(crate) fn new(inspect: impl Fn(u64, &[u8]) -> Result<(), String> + 'static) -> Self {
        Self(Rc::new(inspect))
    }

    pub(super) fn inspect(&self, place: u64, message: &[u8]) -> Result<(), String> {
        (self.0)(place, message)
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inspector")
    }
}

impl Prepared {
    /// A call of the method at `path` with an encoded message. `timeout` is told to the server, and kept by the client too.
    ///
    /// # Errors
    ///
    /// The target's name cannot stand in `:authority`; the timeout leaves no time.
    pub(crate) fn new(target: &Target, path: &str, message: &[u8], timeout: Duration) -> Result<Self, Error> {
        if timeout.is_zero() {
            return Err(Error::usage("a timeout of 0 leaves a call no time; write it as in 10s"));
        }
        let bad = |error: &dyn std::fmt::Display| Error::usage(format!("bad address `{}`: {error}", target.text()));
        let authority = Authority::try_from(target.authority()).map_err(|error| bad(&error).with_source(error))?;
        let path = PathAndQuery::try_from(path).map_err(|error| bad(&error).with_source(error))?;
        let (path, authority, body) = (path.to_string(), authority.to_string(), framed(&[message]));
        Ok(Self {
            scheme: target.scheme(),
            path,
            authority,
            body,
            timeout,
            expected: Bytes::new(),
            inspector: None,
            wording: Wording::Grpc,
        })
    }

    /// A reply of these bytes is told from others while it arrives, and not kept.
    #[must_use]
    pub(crate) fn expecting(self, message: &[u8]) -> Self {
        Self { expected: framed(&[message]), ..self }
    }

    /// The method takes a stream: these messages, all of them sent ahead.
    #[must_use]
    pub(crate) fn sending(self, messages: &[Vec<u8>]) -> Self {
        Self { body: framed(messages), ..self }
    }

    /// An answer is a stream of any number of messages, each of which is looked at.
    #[must_use]
    pub(crate) fn inspecting(self, inspector: Inspector) -> Self {
        Self { inspector: Some(inspector), ..self }
    }

    /// The request in other words.
    #[must_use]
    pub(crate) fn worded(self, wording: Wording) -> Self {
        Self { wording, ..self }
    }

    /// How long the call may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The body of the reply that is right; empty where none is known.
    pub(super) fn expected(&self) -> &[u8] {
        &self.expected
    }

    /// Who looks at the messages of an answer that is a stream.
    pub(super) fn inspector(&self) -> Option<&Inspector> {
        self.inspector.as_ref()
    }

    /// The request, for one connection (gRPC, PROTOCOL-HTTP2.md, "Requests").
    pub(super) fn request(&self) -> Request {
        let (limit, written_out): (_, &[_]) = match self.wording {
            Wording::Grpc => (("grpc-timeout", grpc_timeout(self.timeout)), &[]),
            Wording::H2load => (("content-length", self.body.len().to_string()), &[":path", "content-length"]),
        };
        let fields = [
            (":method", "POST".into()),
            (":scheme", self.scheme.into()),
            (":path", self.path.clone()),
            (":authority", self.authority.clone()),
            ("te", "trailers".into()),
            limit,
            ("content-type", "application/grpc".into()),
            ("user-agent", concat!("grpc-rust-loopswap/", env!("CARGO_PKG_VERSION")).into()),
        ];
        Request::new(fields, written_out, self.body.clone())
    }
}

/// Messages, one behind the other.
fn framed(messages: &[impl AsRef<[u8]>]) -> Bytes {
    let mut framed = BytesMut::with_capacity(messages.iter().map(|message| PREFIX_BYTES + message.as_ref().len()).sum());
    for message in messages.iter().map(AsRef::as_ref) {
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).expect("prost bounds a message by 2 GiB"));
        framed.put_slice(message);
    }
    framed.freeze()
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::greeter::HelloRequest;

    #[test]
    fn frames_the_message() {
        let message = HelloRequest { name: "Joe".into(), sleep_millisecond: 10 };
        assert_eq!(&framed(&[message.encode_to_vec()])[..], b"\0\0\0\0\x07\x0a\x03Joe\x10\x0a");
        assert_eq!(&framed(&["ab", "", "c"])[..], b"\0\0\0\0\x02ab\0\0\0\0\0\0\0\0\0\x01c");
        assert!(framed(&[""; 0]).is_empty());
    }

    #[test]
    fn refuses_a_timeout_of_nothing() {
        let target = Target::resolve("127.0.0.1:9999").unwrap();
        assert!(Prepared::new(&target, "/a/b", b"", Duration::ZERO).is_err());
    }

    #[test]
    fn takes_exactly_one_message() {
        let message = |bytes: &[u8]| message(bytes.to_vec());
        assert_eq!(message(b"\0\0\0\0\x03abc").unwrap(), b"abc");
        assert_eq!(message(b"\0\0\0\0\0").unwrap(), b"");
        assert!(message(b"").unwrap_err().contains("without a message"));
        assert!(message(b"\0\0\0").unwrap_err().contains("cut short"));
        assert!(message(b"\0\0\0\0\x04abc").unwrap_err().contains("cut short"));
        assert!(message(b"\0\0\0\0\x02abc").unwrap_err().contains("more than one"));
        assert!(message(b"\x01\0\0\0\x03abc").unwrap_err().contains("compressed"));
    }
}
