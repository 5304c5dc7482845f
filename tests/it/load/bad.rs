//! Servers that are not in order: each run ends, with a line that says what was wrong.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::load;
use crate::raw::{Block, Frame, PREFACE, code, data, flag, goaway, headers, kind, prefixed, rst_stream, settings};
use crate::support::{PATIENCE, loopswap, output};

crate::on_every_loop!(
    what_is_not_http2_is_told,
    a_broken_connection_is_told,
    a_wrong_answer_is_told,
    a_wrong_stream_is_told,
    silence_ends_in_time,
    goaway_again_and_again,
    what_goaway_leaves_is_made_elsewhere,
    a_new_connection_after_a_broken_one,
    a_short_queue_does_not_overflow,
);

/// Nobody is called, and the line says what to change.
#[test]
fn what_cannot_be_asked_for_is_refused() {
    let proto = concat!(env!("CARGO_MANIFEST_DIR"), "/proto/helloworld.proto");
    let testing = concat!(env!("CARGO_MANIFEST_DIR"), "/proto/grpc/testing/test.proto");
    let streams = ["--proto", testing, "--import-path", concat!(env!("CARGO_MANIFEST_DIR"), "/proto"), "--call"];
    let [downward, upward, both] =
        ["StreamingOutputCall", "StreamingInputCall", "FullDuplexCall"].map(|name| format!("grpc.testing.TestService/{name}"));
    let streams = |call, args: &[&'static str]| [&streams[..], &[call], args].concat();
    let streaming = [
        streams(&downward, &["-d", "[{}]"]),
        streams(&downward, &["--stream-call-count", "3"]),
        streams(&upward, &["--replies", "3"]),
        streams(&upward, &["-d", r#"[{},{"payload":{"body":7}}]"#]),
        streams(&both, &["--payload", "3"]),
        streams(&both, &["--payload-field", "payload.body"]),
        streams(&both, &["--payload", "3", "--payload-field", "payload.type"]),
    ];
    let cases: [(&[&str], &str); 15] = [
        (&["-d", r#"{"name":7}"#], "bad --data: `name`: invalid type: integer `7`"),
        (&["--payload", "2", "-d", r#"{"name":"Joe"}"#], "--payload 2 is less than the 3 bytes that are there"),
        (&["--call", "a.B/C"], "bad --call a.B/C: without --proto it can be helloworld.Greeter/SayHello, "),
        (&["--proto", "/nowhere.proto", "--call", "a.B/C"], "bad --proto /nowhere.proto: "),
        (&["--proto", proto, "--call", "helloworld.Greeter/SayBye"], "helloworld.Greeter has no method `SayBye`; it has: SayHello"),
        (
            &["--proto", proto, "--call", "helloworld.Greeter/SayHello", "-d", r#"{"sleep_millisecond":"soon"}"#],
            "--data is no helloworld.HelloRequest: `sleep_millisecond`: ",
        ),
        (&streaming[0], "--data is no grpc.testing.StreamingOutputCallRequest: a list of messages is for methods that take a stream"),
        (&streaming[1], "--stream-call-count is for methods that stream; grpc.testing.TestService.StreamingOutputCall takes no stream"),
        (&streaming[2], "--replies is for methods that stream; grpc.testing.TestService.StreamingInputCall answers with one message"),
        (&streaming[3], "--data is no list of grpc.testing.StreamingInputCallRequest: `[1].payload.body`: "),
        (&streaming[4], "--payload with --proto pads the field that --payload-field names"),
        (&streaming[5], "--payload-field names what --payload pads"),
        (&streaming[6], "bad --payload-field payload.type: grpc.testing.StreamingOutputCallRequest has neither a string nor bytes there"),
        (&["--stream-call-count", "3"], "--proto <FILE>"),
        (&["--replies", "3"], "--proto <FILE>"),
    ];
    for (args, expected) in cases {
        let ended = output(loopswap().args(["load", "127.0.0.1:1"]).args(args));
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "wanted `{expected}` in: {}", ended.stderr);
    }
}

/// What a server does with the connection of a number, in turn.
trait Script: Fn(usize, &mut Conversation) + Send + 'static {}
impl<F: Fn(usize, &mut Conversation) + Send + 'static> Script for F {}

/// A server that follows a script on each connection.
struct Scripted {
    addr: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Scripted {
    fn start(script: impl Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let addr = listener.local_addr().unwrap();
        let over = Arc::<AtomicBool>::default();
        let told = Arc::clone(&over);
        let thread = thread::spawn(move || {
            for n in 0.. {
                let (socket, _) = listener.accept().expect("it listens");
                if told.load(Ordering::SeqCst) {
                    return;
                }
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                socket.set_nodelay(true).unwrap();
                script(n, &mut Conversation { socket, received: Vec::new(), has_preface: false });
            }
        });
        Self { addr, over, thread: Some(thread) }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
        self.thread.take().expect("it was started").join().expect("the script does not panic");
    }
}

/// One connection of a scripted server.
struct Conversation {
    socket: TcpStream,
    received: Vec<u8>,
    has_preface: bool,
}

impl Conversation {
    fn say(&mut self, bytes: &[u8]) {
        // A client that has heard enough may be gone.
        let _ = self.socket.write_all(bytes);
    }

    fn send(&mut self, frames: &[Frame]) {
        let mut out = Vec::new();
        frames.iter().for_each(|frame| frame.write(&mut out));
        self.say(&out);
    }

    /// The stream of the next whole request; `None` once the client is gone.
    fn next_call(&mut self) -> Option<u32> {
        loop {
            if !self.has_preface && self.received.starts_with(PREFACE) {
                self.received.drain(..PREFACE.len());
                self.has_preface = true;
            }
            if self.has_preface && self.received.len() >= 9 {
                let len = usize::from(self.received[0]) << 16 | usize::from(self.received[1]) << 8 | usize::from(self.received[2]);
                if self.received.len() >= 9 + len {
                    let frame: Vec<u8> = self.received.drain(..9 + len).collect();
                    if frame[3] == kind::DATA && frame[4] & flag::END_STREAM != 0 {
                        return Some(u32::from_be_bytes(frame[5..9].try_into().unwrap()));
                    }
                    continue;
                }
            }
            let mut buffer = [0; 4096];
            match self.socket.read(&mut buffer) {
                Ok(0) | Err(_) => return None,
                Ok(n) => self.received.extend_from_slice(&buffer[..n]),
            }
        }
    }

    /// Answers every call, until the client is gone.
    fn answer_all(&mut self, answer: impl Fn(u32) -> Vec<Frame>) {
        while let Some(stream) = self.next_call() {
            let frames = answer(stream);
            self.send(&frames);
        }
    }
}

fn head() -> Block {
    Block::new().indexed(8).literal("content-type", "application/grpc")
}

fn trailers(status: &str) -> Block {
    Block::new().literal("grpc-status", status)
}

/// A message with `message` in its first field.
fn reply(message: &str) -> Vec<u8> {
    prefixed(0, &[&[0x0a, message.len() as u8], message.as_bytes()].concat())
}

fn answer(stream: u32, message: &str) -> Vec<Frame> {
    vec![headers(stream, head().bytes()), data(stream, reply(message)), headers(stream, trailers("0").bytes()).end()]
}

/// Four calls at a time on one connection, so many in all, end with exit code 1 and with this alone.
fn fails(runtime: &str, server: &Scripted, n: u64, expected: &str) {
    let ran = load(runtime, server.addr, &["-c", "4", "-n", &n.to_string()]);
    assert_eq!((ran.code, &ran.report["count"], &ran.report["ok"]), (Some(1), &n.into(), &0.into()), "{}", ran.report);
    assert_eq!(ran.errors(), [expected]);
}

fn what_is_not_http2_is_told(runtime: &str) {
    let cases: [(&[u8], &str); 4] = [
        (
            b"SSH-2.0-OpenSSH_9.2p1\r\n",
            "PROTOCOL_ERROR: the server's first frame is not SETTINGS; does the server speak HTTP/2, without TLS?",
        ),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "PROTOCOL_ERROR: the server's first frame is not SETTINGS; the server speaks HTTP/1"),
        (b"\x15\x03\x01\0\x02\x02\x50", "the server closed it; the server speaks TLS"),
        (b"", "the server closed it; does the server speak HTTP/2, without TLS?"),
    ];
    for (garbage, why) in cases {
        let server = Scripted::start(move |_, talk: &mut Conversation| {
            for _ in 0..4 {
                talk.next_call();
            }
            talk.say(garbage);
        });
        // Eight calls, so that it comes back after the first four.
        fails(runtime, &server, 8, &format!("UNAVAILABLE: the connection broke: {why}"));
    }
}

fn a_broken_connection_is_told(runtime: &str) {
    let huge = Frame::new(kind::DATA, 0, 1, vec![0; 20_000]);
    let cases: Vec<(Frame, &str)> = vec![
        (huge, "FRAME_SIZE_ERROR: a frame is larger than SETTINGS_MAX_FRAME_SIZE"),
        (headers(1, Block::new().indexed(100).bytes()), "COMPRESSION_ERROR: HPACK: an index that no table has"),
        (headers(99, head().bytes()), "PROTOCOL_ERROR: a frame on a stream that was never opened"),
        (goaway(7, code::ENHANCE_YOUR_CALM, "too_many_pings"), "the server closed it after GOAWAY, ENHANCE_YOUR_CALM: too_many_pings"),
    ];
    for (frame, why) in cases {
        let server = Scripted::start(move |_, talk: &mut Conversation| {
            for _ in 0..4 {
                talk.next_call();
            }
            talk.send(&[settings(&[]), frame.clone()]);
        });
        fails(runtime, &server, 4, &format!("UNAVAILABLE: the connection broke: {why}"));
    }
}

fn a_wrong_answer_is_told(runtime: &str) {
    type Answer = fn(u32) -> Vec<Frame>;
    let cases: [(&str, Answer); 14] = [
        (r#"wrong reply: "Bye" where "Hello, Joe!" was expected"#, |id| answer(id, "Bye")),
        // It begins as the right one does.
        (r#"wrong reply: "Hello, Joe! " where "Hello, Joe!" was expected"#, |id| answer(id, "Hello, Joe! ")),
        ("INTERNAL: the server answered OK with a message that is cut short", |id| {
            vec![headers(id, head().bytes()), data(id, &reply("Hello, Joe!")[..10]), headers(id, trailers("0").bytes()).end()]
        }),
        ("INTERNAL: the server answered OK without a message", |id| {
            vec![headers(id, head().bytes()), headers(id, trailers("0").bytes()).end()]
        }),
        ("INTERNAL: the server answered OK with more than one message", |id| {
            let twice = [reply("Hello, Joe!"), reply("Hello, Joe!")].concat();
            vec![headers(id, head().bytes()), data(id, twice), headers(id, trailers("0").bytes()).end()]
        }),
        ("INTERNAL: the server answered OK with a message that is compressed, which was not offered", |id| {
            vec![headers(id, head().bytes()), data(id, prefixed(1, b"abc")), headers(id, trailers("0").bytes()).end()]
        }),
        ("UNKNOWN: the answer ended without grpc-status", |id| vec![headers(id, head().bytes()), data(id, reply("Hello, Joe!")).end()]),
        ("PERMISSION_DENIED: not you, \u{fc}", |id| {
            let trailers = trailers("7").literal("grpc-message", "not%20you, %C3%BC");
            vec![headers(id, head().bytes()), data(id, reply("Hello, Joe!")), headers(id, trailers.bytes()).end()]
        }),
        ("UNIMPLEMENTED: no such method", |id| {
            vec![headers(id, head().then(&trailers("12")).literal("grpc-message", "no such method").bytes()).end()]
        }),
        ("UNAVAILABLE: the server answered HTTP 503 Service Unavailable, without grpc-status", |id| {
            vec![headers(id, Block::new().literal(":status", "503").literal("content-type", "text/html").bytes()), data(id, "<html>").end()]
        }),
        ("UNKNOWN: the answer's content-type is not application/grpc; is it a gRPC server?", |id| {
            vec![headers(id, Block::new().indexed(8).literal("content-type", "text/html").bytes()), data(id, "<html>").end()]
        }),
        ("INTERNAL: the answer breaks the protocol: malformed header fields", |id| {
            vec![headers(id, head().literal("Upper", "case").bytes())]
        }),
        ("CANCELLED: the call was reset by the server: CANCEL", |id| vec![rst_stream(id, code::CANCEL)]),
        // Refused ones are made again, but not for ever.
        ("UNAVAILABLE: the call was reset by the server: REFUSED_STREAM", |id| vec![rst_stream(id, code::REFUSED_STREAM)]),
    ];
    for (expected, answer) in cases {
        let server = Scripted::start(move |_, talk: &mut Conversation| {
            talk.send(&[settings(&[])]);
            talk.answer_all(answer);
        });
        fails(runtime, &server, 8, expected);
    }
}

/// An answer that is a stream, and has a fault that no server of ours makes.
fn a_wrong_stream_is_told(runtime: &str) {
    type Answer = fn(u32) -> Vec<Frame>;
    let cases: [(&str, Answer); 6] = [
        ("INTERNAL: the server answered OK with a message that is cut short", |id| {
            vec![headers(id, head().bytes()), data(id, &prefixed(0, b"abc")[..6]), headers(id, trailers("0").bytes()).end()]
        }),
        ("INTERNAL: the server sent a message that is compressed, which was not offered", |id| {
            vec![headers(id, head().bytes()), data(id, prefixed(1, b"abc")), headers(id, trailers("0").bytes()).end()]
        }),
        ("RESOURCE_EXHAUSTED: a message of the reply is longer than 4194304 bytes", |id| {
            vec![headers(id, head().bytes()), data(id, [0, 0x7f, 0, 0, 0]), headers(id, trailers("0").bytes()).end()]
        }),
        ("UNKNOWN: the answer ended without grpc-status", |id| vec![headers(id, head().bytes()), data(id, prefixed(0, b"")).end()]),
        ("wrong reply: a payload of 0 bytes where 3 were expected", |id| {
            vec![headers(id, head().bytes()), data(id, prefixed(0, b"")), headers(id, trailers("0").bytes()).end()]
        }),
        // Trailers-Only: no message at all.
        ("wrong reply: a stream of 0 messages where 1 were expected", |id| vec![headers(id, head().then(&trailers("0")).bytes()).end()]),
    ];
    let proto = concat!(env!("CARGO_MANIFEST_DIR"), "/proto/grpc/testing/test.proto");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    let call = ["--proto", proto, "--import-path", folder, "--call", "grpc.testing.TestService/StreamingOutputCall"];
    let args = [&call[..], &["-d", r#"{"responseParameters":[{"size":3}]}"#, "-c", "4", "-n", "8"]].concat();
    for (expected, answer) in cases {
        let server = Scripted::start(move |_, talk: &mut Conversation| {
            talk.send(&[settings(&[])]);
            talk.answer_all(answer);
        });
        let ran = load(runtime, server.addr, &args);
        assert_eq!((ran.code, &ran.report["ok"], ran.errors()), (Some(1), &0.into(), vec![expected]), "{}", ran.report);
    }
}

fn silence_ends_in_time(runtime: &str) {
    for opening in [vec![], vec![settings(&[])]] {
        let server = Scripted::start(move |_, talk: &mut Conversation| {
            talk.send(&opening);
            talk.answer_all(|_| Vec::new());
        });
        let ran = load(runtime, server.addr, &["-c", "4", "-n", "8", "--timeout", "50ms"]);
        assert_eq!(ran.report["statuses"], serde_json::json!({ "DEADLINE_EXCEEDED": 8 }), "{}", ran.report);
        assert_eq!(ran.errors(), ["DEADLINE_EXCEEDED: no reply within 50ms"]);
    }
}

fn goaway_again_and_again(runtime: &str) {
    let server = Scripted::start(|_, talk: &mut Conversation| {
        talk.send(&[settings(&[]), goaway(0, code::NO_ERROR, "not today")]);
        talk.answer_all(|_| Vec::new());
    });
    fails(runtime, &server, 4, "UNAVAILABLE: the server takes no more calls: GOAWAY, NO_ERROR: not today");
}

fn what_goaway_leaves_is_made_elsewhere(runtime: &str) {
    let n_calls = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&n_calls);
    let server = Scripted::start(move |n, talk: &mut Conversation| {
        talk.send(&[settings(&[])]);
        if n == 0 {
            for _ in 0..4 {
                talk.next_call();
            }
            talk.send(&[goaway(3, code::NO_ERROR, "")]);
            // Those that were admitted are answered last, when the others are long away.
            talk.send(&[answer(3, "Hello, Joe!"), answer(1, "Hello, Joe!")].concat());
            return;
        }
        talk.answer_all(|stream| {
            counted.fetch_add(1, Ordering::SeqCst);
            answer(stream, "Hello, Joe!")
        });
    });
    load(runtime, server.addr, &["-c", "4", "-n", "10"]).is_right(10);
    assert_eq!(n_calls.load(Ordering::SeqCst), 8, "each call is answered once");
}

/// Calls that were under way fail, the others do not.
fn a_new_connection_after_a_broken_one(runtime: &str) {
    let server = Scripted::start(|n, talk: &mut Conversation| {
        talk.send(&[settings(&[])]);
        if n == 0 {
            let first = talk.next_call().expect("a call");
            for _ in 0..3 {
                talk.next_call();
            }
            talk.send(&answer(first, "Hello, Joe!"));
            // The one that follows, so that all that was sent is read, and FIN is what the client sees.
            talk.next_call();
            return;
        }
        talk.answer_all(|stream| answer(stream, "Hello, Joe!"));
    });
    let ran = load(runtime, server.addr, &["-c", "4", "-n", "20"]);
    assert_eq!(ran.report["statuses"], serde_json::json!({ "OK": 16, "UNAVAILABLE": 4 }), "{}", ran.report);
    assert_eq!(ran.errors(), ["UNAVAILABLE: the connection broke: the server closed it"]);
}

/// A SYN that finds no room in the listener's queue is dropped, and sent anew after a second.
fn a_short_queue_does_not_overflow(runtime: &str) {
    const QUEUE: i32 = 80;
    const N_CONNECTIONS: usize = 200;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, QUEUE).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut greeting = Vec::new();
    settings(&[]).write(&mut greeting);
    let accepting = thread::spawn(move || {
        let mut accepted: Vec<TcpStream> = Vec::new();
        let mut begun = None;
        while accepted.len() < N_CONNECTIONS {
            let (mut socket, _) = listener.accept().unwrap();
            begun.get_or_insert_with(Instant::now);
            socket.write_all(&greeting).unwrap();
            accepted.push(socket);
            // Slower than connections are opened.
            thread::sleep(Duration::from_micros(200));
        }
        begun.expect("there was one").elapsed()
    });
    let ended = load(runtime, addr, &["--connections", "200", "-c", "200", "-n", "200"]);
    assert_eq!(ended.code, Some(1), "the server has gone: {}", ended.report);
    let took = accepting.join().expect("it has accepted them all");
    assert!(took < Duration::from_secs(1), "it waited for a SYN that was sent anew: {took:?}");
}
