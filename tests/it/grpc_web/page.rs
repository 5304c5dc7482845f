//! A page's browser, as far as a server sees it: HTTP/1.1 by hand, and the frames of gRPC-Web in it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use loopswap::greeter::{HelloReply, HelloRequest};
use prost::Message as _;

use crate::raw::prefixed;
use crate::support::connect;

/// A connection of HTTP/1.1.
pub(super) struct Page<S = TcpStream> {
    socket: S,
    /// What has come and was not looked at.
    come: Vec<u8>,
}

/// An answer's status line and fields.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    fields: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
}

/// What is in the body of a call that went as far as its handler.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) messages: Vec<String>,
    /// The frame of trailers, field by field.
    pub(super) trailers: Vec<(String, String)>,
}

/// The fields of a page's call.
pub(super) const BYTES: &[(&str, &str)] = &[("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1")];
pub(super) const TEXT: &[(&str, &str)] = &[("content-type", "application/grpc-web-text"), ("accept", "application/grpc-web-text")];

pub(super) const SAY_HELLO: &str = "/helloworld.Greeter/SayHello";
pub(super) const TICK: &str = "/test.Ticks/Tick";

/// A request of these services, framed.
pub(super) fn request(name: &str, number: i32) -> Vec<u8> {
    prefixed(0, &HelloRequest { name: name.into(), sleep_millisecond: number }.encode_to_vec())
}

impl Page {
    pub(super) fn open(addr: SocketAddr) -> Self {
        Self::over(connect(addr))
    }

    /// The socket, to be closed or waited for.
    pub(super) fn into_socket(self) -> TcpStream {
        assert!(self.come.is_empty(), "nobody asked for {:?}", String::from_utf8_lossy(&self.come));
        self.socket
    }
}

impl<S: Read + Write> Page<S> {
    pub(super) fn over(socket: S) -> Self {
        Self { socket, come: Vec::new() }
    }

    pub(super) fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("the server takes it");
    }

    /// Sends a request's head, with these fields besides.
    pub(super) fn send_head(&mut self, method: &str, path: &str, fields: &[(&str, &str)]) {
        self.send_bytes(head(method, path, fields).as_bytes());
    }

    /// Sends a POST whose body is whole, in one piece: a server that answers before the body has come may close behind its answer.
    pub(super) fn post(&mut self, path: &str, fields: &[(&str, &str)], body: &[u8]) {
        let len = body.len().to_string();
        let head = head("POST", path, &[fields, &[("content-length", &len)]].concat());
        self.send_bytes(&[head.as_bytes(), body].concat());
    }

    /// Makes a call, and waits for all of its answer.
    pub(super) fn call(&mut self, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        self.post(path, fields, body);
        self.answer()
    }

    /// A good call goes well.
    pub(super) fn greets(&mut self) {
        let told = self.call(SAY_HELLO, BYTES, &request("Joe", 0)).told();
        assert_eq!((told.messages, &told.trailers[..]), (vec!["Hello, Joe!".into()], &[("grpc-status".into(), "0".into())][..]));
    }

    pub(super) fn answer(&mut self) -> Answer {
        let head = self.head();
        let mut body = Vec::new();
        if head.get("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                body.extend(chunk);
            }
        } else {
            let len = head.get("content-length").map_or(0, |len| len.parse().expect("a length"));
            body = self.take(len);
        }
        Answer { head, body }
    }

    pub(super) fn head(&mut self) -> Head {
        let text = String::from_utf8(self.take_until(b"\r\n\r\n")).expect("ASCII");
        let mut lines = text.split("\r\n").filter(|line| !line.is_empty());
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()).expect("a status line");
        let field = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned())).expect("a field");
        Head { status, fields: lines.map(field).collect() }
    }

    /// The next part of an answer that comes in chunks; `None` for its end.
    pub(super) fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = String::from_utf8(self.take_until(b"\r\n")).expect("ASCII");
        let len = usize::from_str_radix(line.trim(), 16).expect("a chunk's length");
        let chunk = self.take(len);
        assert_eq!(self.take(2), b"\r\n", "no trailers of HTTP/1.1, which a page cannot see");
        (len > 0).then_some(chunk)
    }

    /// Whether the server closes, with nothing said before.
    pub(super) fn is_closed(&mut self) -> bool {
        assert!(self.come.is_empty(), "it has said {:?}", String::from_utf8_lossy(&self.come));
        match self.socket.read(&mut [0]) {
            Ok(n) => n == 0,
            Err(error) => matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof),
        }
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        while self.come.len() < n {
            self.receive();
        }
        self.come.drain(..n).collect()
    }

    fn take_until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.come.windows(end.len()).position(|window| window == end) {
                return self.come.drain(..at + end.len()).collect();
            }
            self.receive();
        }
    }

    fn receive(&mut self) {
        let mut bytes = [0; 4096];
        let n = loop {
            match self.socket.read(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.expect("the server answers"),
            }
        };
        assert!(n > 0, "it has closed after {:?}", String::from_utf8_lossy(&self.come));
        self.come.extend_from_slice(&bytes[..n]);
    }
}

fn head(method: &str, path: &str, fields: &[(&str, &str)]) -> String {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nhost: grpc.example.com\r\n{fields}\r\n")
}

impl Head {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What gRPC says of a call that has no body.
    pub(super) fn grpc_status(&self) -> Option<&str> {
        self.get("grpc-status")
    }
}

impl Answer {
    /// The frames of a good answer, of the form that its content type says.
    pub(super) fn told(&self) -> Told {
        assert_eq!(self.head.status, 200, "{self:?}");
        match self.head.get("content-type").expect("a content type") {
            "application/grpc-web" | "application/grpc-web+proto" => told(&self.body),
            "application/grpc-web-text" | "application/grpc-web-text+proto" => told(&from_text(&self.body)),
            other => panic!("{other}: {self:?}"),
        }
    }

    /// The status of a call that was refused: no frames.
    pub(super) fn refused(&self) -> &str {
        assert!(self.head.status == 200 && self.body.is_empty(), "{self:?}");
        self.head.grpc_status().expect("a status")
    }

    /// What people are told.
    pub(super) fn text(&self) -> &str {
        assert_eq!(self.head.get("content-type"), Some("text/plain"), "{self:?}");
        str::from_utf8(&self.body).expect("UTF-8")
    }
}

fn told(mut bytes: &[u8]) -> Told {
    let mut told = Told { messages: Vec::new(), trailers: Vec::new() };
    while let Some((&[flag, a, b, c, d], rest)) = bytes.split_first_chunk() {
        assert!(told.trailers.is_empty(), "trailers are the last");
        let (frame, rest) = rest.split_at(u32::from_be_bytes([a, b, c, d]) as usize);
        bytes = rest;
        match flag {
            0 => told.messages.push(HelloReply::decode(frame).expect("a HelloReply").message),
            0x80 => told.trailers = trailers(frame),
            other => panic!("flag {other}"),
        }
    }
    assert!(bytes.is_empty() && !told.trailers.is_empty(), "{told:?}, and then {bytes:?}");
    told
}

fn trailers(frame: &[u8]) -> Vec<(String, String)> {
    let block = str::from_utf8(frame).expect("ASCII");
    let lines = block.strip_suffix("\r\n").expect("each line has an end").split("\r\n");
    lines.map(|line| line.split_once(':').map(|(name, value)| (name.into(), value.into())).expect("a field")).collect()
}

/// Text by hand, so that none of the server's code reads what it wrote.
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes as text.
pub(super) fn text(bytes: &[u8]) -> Vec<u8> {
    let quad = |three: &[u8]| {
        let bits = three.iter().chain([0; 3].iter()).take(3).fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        let digit = |n: usize| if n <= three.len() { ALPHABET[bits >> (18 - 6 * n) & 63] } else { b'=' };
        [digit(0), digit(1), digit(2), digit(3)]
    };
    bytes.chunks(3).flat_map(quad).collect()
}

/// Texts, padded wherever one ends, as bytes.
pub(super) fn from_text(text: &[u8]) -> Vec<u8> {
    assert!(text.len().is_multiple_of(4), "{:?}", String::from_utf8_lossy(text));
    let three = |quad: &[u8]| {
        let n = quad.iter().filter(|digit| **digit != b'=').count();
        let value = |digit: &u8| ALPHABET.iter().position(|known| known == digit).unwrap_or(0);
        let bits = quad.iter().fold(0, |bits, digit| bits << 6 | value(digit));
        [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8].into_iter().take(n - 1)
    };
    text.chunks(4).flat_map(three).collect()
}
