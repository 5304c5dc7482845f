//! The same bytes for every request: just enough of HTTP/2 for a client that behaves. No sockets: every floor, on a loop or on none, answers by this.

/// A frame's header, without its length and stream.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

const PREFACE_BYTES: usize = 24;

/// What a server says first: no settings of its own, and a window for all that may come.
pub(crate) fn opening(output: &mut Vec<u8>) {
    frame(output, SETTINGS, 0, 0, &[]);
    frame(output, WINDOW_UPDATE, 0, 0, &(0x7fff_ffff_u32 - 65_535).to_be_bytes());
}

/// What of the input is not a whole frame yet.
#[derive(Default)]
pub(crate) struct Input {
    opened: bool,
    rest: Vec<u8>,
}

impl Input {
    /// Answers all frames that are whole. False: this is no client for a floor.
    pub(crate) fn take(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> bool {
        let whole;
        let mut bytes = if self.rest.is_empty() {
            bytes
        } else {
            self.rest.extend_from_slice(bytes);
            whole = std::mem::take(&mut self.rest);
            &whole[..]
        };
        if !self.opened {
            let Some(behind) = bytes.get(PREFACE_BYTES..) else {
                self.rest = bytes.to_vec();
                return true;
            };
            self.opened = true;
            bytes = behind;
        }
        while let Some((&[a, b, c, kind, flags, d, e, f, g], rest)) = bytes.split_first_chunk::<9>() {
            let Some((payload, rest)) = rest.split_at_checked(u32::from_be_bytes([0, a, b, c]) as usize) else { break };
            let stream = u32::from_be_bytes([d, e, f, g]);
            match kind {
                DATA | HEADERS if flags & 1 != 0 => canned(output, stream),
                SETTINGS if flags & 1 == 0 => frame(output, SETTINGS, 1, 0, &[]),
                PING if flags & 1 == 0 => frame(output, PING, 1, 0, payload),
                _ => {}
            }
            bytes = rest;
        }
        self.rest.extend_from_slice(bytes);
        true
    }
}

/// `Hello, Joe!`, with its head and trailers as literals that no table knows.
fn canned(output: &mut Vec<u8>, stream: u32) {
    frame(output, HEADERS, 4, stream, b"\x88\x0f\x10\x10application/grpc");
    frame(output, DATA, 0, stream, b"\0\0\0\0\x0d\n\x0bHello, Joe!");
    frame(output, HEADERS, 5, stream, b"\0\x0bgrpc-status\x010");
}

fn frame(output: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    output.extend_from_slice(&[a, b, c, kind, flags]);
    output.extend_from_slice(&stream.to_be_bytes());
    output.extend_from_slice(payload);
}
