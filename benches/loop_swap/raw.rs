//! One call in raw frames, on a blocking socket: a client that costs neither a process nor a loop, for when the server is measured beside its calls.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long a server may take for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// Frame types and flags (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// POST, http, and literals without indexing (RFC 7541, section 6.2.2): path, authority, content-type, te.
const HEAD: &[u8] = b"\x83\x86\x04\x1c/helloworld.Greeter/SayHello\x01\x09localhost\x0f\x10\x10application/grpc\0\x02te\x08trailers";
/// `HelloRequest { name: "Joe" }`, framed, and the text of its reply.
const REQUEST: &[u8] = b"\0\0\0\0\x05\x0a\x03Joe";
const REPLY: &[u8] = b"Hello, Joe!";

/// Connects, says hello, and checks the reply. The connection stays open for as long as it is held.
pub(crate) fn call(addr: &str) -> Result<TcpStream, String> {
    let called = || {
        let mut socket = TcpStream::connect(addr)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut output = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        frame(&mut output, SETTINGS, 0, 0, &[]);
        frame(&mut output, HEADERS, END_HEADERS, 1, HEAD);
        frame(&mut output, DATA, END_STREAM, 1, REQUEST);
        socket.write_all(&output)?;
        read_reply(&mut socket).map(|()| socket)
    };
    called().map_err(|error: io::Error| format!("one call to {addr}: {error}"))
}

fn read_reply(socket: &mut TcpStream) -> io::Result<()> {
    let mut greeted = false;
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        socket.read_exact(&mut payload)?;
        if kind == SETTINGS && flags & ACK == 0 {
            let mut ack = Vec::new();
            frame(&mut ack, SETTINGS, ACK, 0, &[]);
            socket.write_all(&ack)?;
        }
        if kind == RST_STREAM || kind == GOAWAY {
            return Err(io::Error::other("the server refused the call"));
        }
        if u32::from_be_bytes(stream) == 1 {
            greeted |= kind == DATA && payload.ends_with(REPLY);
            if flags & END_STREAM != 0 {
                return if greeted { Ok(()) } else { Err(io::Error::other("the reply is not the greeting")) };
            }
        }
    }
}

fn frame(output: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    output.extend_from_slice(&[a, b, c, kind, flags]);
    output.extend_from_slice(&stream.to_be_bytes());
    output.extend_from_slice(payload);
}
