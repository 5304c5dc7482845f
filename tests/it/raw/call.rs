//! Calls of the Greeter in frames: the fields that a good client sends, to be bent, and messages.

use loopswap::greeter::HelloRequest;
use prost::Message;

use super::connection::Connection;
use super::frame::{Frame, data, headers};
use super::hpack::Block;
use super::response::Response;

/// A request's fields in their order.
#[derive(Clone)]
pub(crate) struct Fields(Vec<(Vec<u8>, Vec<u8>)>);

impl Fields {
    /// What a gRPC client says to call `SayHello`.
    pub(crate) fn hello() -> Self {
        let fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/helloworld.Greeter/SayHello"),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        ];
        Self(fields.map(|(name, value)| (name.into(), value.into())).into())
    }

    /// And this one, at the end.
    pub(crate) fn with(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.0.push((name.as_ref().into(), value.as_ref().into()));
        self
    }

    /// And this one, before all others.
    pub(crate) fn first(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.0.insert(0, (name.as_ref().into(), value.as_ref().into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| known != name.as_bytes());
        self
    }

    /// With this value instead, in the same place.
    pub(crate) fn set(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let field = self.0.iter_mut().find(|(known, _)| known == name.as_bytes()).expect("there is such a field");
        field.1 = value.as_ref().into();
        self
    }

    pub(crate) fn block(&self) -> Block {
        Block::of(self.0.iter().map(|(name, value)| (&name[..], &value[..])))
    }
}

/// A message behind its prefix (grpc/doc/PROTOCOL-HTTP2.md, Length-Prefixed-Message).
pub(crate) fn prefixed(flag: u8, message: &[u8]) -> Vec<u8> {
    announced(flag, u32::try_from(message.len()).expect("no message is so long"), message)
}

/// Some bytes behind a prefix that says what it likes.
pub(crate) fn announced(flag: u8, len: u32, bytes: &[u8]) -> Vec<u8> {
    [&[flag], &len.to_be_bytes()[..], bytes].concat()
}

/// A request of the Greeter, as a prefixed message.
pub(crate) fn hello(name: &str, sleep_millisecond: i32) -> Vec<u8> {
    prefixed(0, &HelloRequest { name: name.into(), sleep_millisecond }.encode_to_vec())
}

/// A call whose message is at most one frame: HEADERS and DATA.
pub(crate) fn call(stream: u32, name: &str, sleep_millisecond: i32) -> [Frame; 2] {
    [headers(stream, Fields::hello().block()), data(stream, hello(name, sleep_millisecond)).end()]
}

impl Connection {
    /// Opens a stream with these fields, and leaves it open.
    pub(crate) fn begin(&mut self, fields: &Fields) -> u32 {
        let stream = self.new_stream();
        self.send([headers(stream, fields.block())]);
        stream
    }

    /// A request with these fields and this body, of at most one frame.
    pub(crate) fn request(&mut self, fields: &Fields, body: &[u8]) -> u32 {
        let stream = self.begin(fields);
        self.send_when_there_is_room(data(stream, body).end());
        stream
    }

    /// A good call.
    pub(crate) fn hello(&mut self, name: &str, sleep_millisecond: i32) -> u32 {
        self.request(&Fields::hello(), &hello(name, sleep_millisecond))
    }

    /// A good call is answered: the connection lives.
    pub(crate) fn greets(&mut self) {
        let stream = self.hello("Joe", 0);
        self.is_greeted(stream, "Joe");
    }

    /// The call on this stream, with this name, goes well.
    pub(crate) fn is_greeted(&mut self, stream: u32, name: &str) {
        assert_eq!(self.response(stream).greeting(), format!("Hello, {name}!"));
    }

    /// Sends a body of any size in the frames that are made of its pieces, as the server's windows allow, and does not end the stream.
    pub(crate) fn upload<'a>(&mut self, stream: u32, pieces: impl IntoIterator<Item = &'a [u8]>, make: impl Fn(u32, &'a [u8]) -> Frame) {
        for piece in pieces {
            self.send_when_there_is_room(make(stream, piece));
        }
    }

    /// Padding takes its share of the windows.
    fn send_when_there_is_room(&mut self, data: Frame) {
        let bytes = data.payload.len() as u64;
        self.until("the windows have room", |connection| (connection.room(data.stream) >= bytes).then_some(()));
        self.send([data]);
    }

    /// The response on this stream, once it is over.
    pub(crate) fn response(&mut self, stream: u32) -> Response {
        let what = format!("stream {stream} is over");
        self.until(&what, |connection| Some(connection.so_far(stream)).filter(|response| response.is_over()).cloned())
    }
}
