//! The floor: what a loop's sockets alone cost. Every request is answered by the same bytes, without HPACK, handlers or flow control.
//!
//! It is no server: it knows just enough of HTTP/2 for a client that behaves. Its distance to a row is what HTTP/2, gRPC and the handler cost there.

use std::net::TcpListener;
use std::process::ExitCode;

use loopswap::rt::{BoundListener, Connection, Listener, Runtime, Worker};
use loopswap::{EventLoop, Loop, UseLoop};
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

/// A frame's header, without its length and stream.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

const PREFACE_BYTES: usize = 24;

/// The child: serves on this loop until SIGTERM.
pub(crate) fn serve(word: &str) -> ExitCode {
    let event_loop = match Loop::choose(word) {
        Ok(event_loop) => event_loop,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut signals = Signals::new([SIGTERM]).expect("SIGTERM can be handled");
    std::thread::spawn(move || {
        signals.forever().next();
        std::process::exit(0);
    });
    event_loop.with(Floor)
}

struct Floor;

impl UseLoop for Floor {
    type Output = ExitCode;

    fn with<R: Runtime>(self, runtime: R) -> ExitCode {
        let on = runtime.clone();
        let served = runtime.run(&Worker::new(0), move || async move {
            let socket = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
            println!("listening on {}", socket.local_addr().expect("bound"));
            let mut listener = on.listen(BoundListener::Tcp(socket)).expect("the loop takes a listener");
            while let Some(accepted) = listener.accept().await {
                if let Ok(connection) = accepted {
                    on.spawn(answer(connection));
                }
            }
        });
        match served {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("error: {why}");
                ExitCode::FAILURE
            }
        }
    }
}

async fn answer<C: Connection>(mut connection: C) {
    let mut output = Vec::new();
    frame(&mut output, SETTINGS, 0, 0, &[]);
    frame(&mut output, WINDOW_UPDATE, 0, 0, &(0x7fff_ffff_u32 - 65_535).to_be_bytes());
    let mut input = Input::default();
    loop {
        let received = connection.receive(|bytes| input.take(bytes, &mut output) && !bytes.is_empty()).await;
        if !matches!(received, Ok(true)) {
            return;
        }
        if !output.is_empty() {
            let (sent, buffer) = connection.send(output).await;
            if sent.is_err() {
                return;
            }
            output = buffer;
        }
    }
}

/// What of the input is not a whole frame yet.
#[derive(Default)]
struct Input {
    opened: bool,
    rest: Vec<u8>,
}

impl Input {
    /// Answers all frames that are whole. False: this is no client for a floor.
    fn take(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> bool {
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
