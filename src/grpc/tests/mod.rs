//! A call without an engine: heads of both engines, a transport that writes down what it is told, a service of each kind.
//!
//! * `requests`: what a head alone decides. `messages`: framing. `streams`: inbox, back-pressure, replies. `answers`: metadata and statuses.
//! * `ends`: cancellation, deadlines, panics. `bridge`: services of tonic, and plain ones.

mod answers;
mod bridge;
mod ends;
mod messages;
mod recorder;
mod requests;
mod service;
mod streams;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use prost::Message;

use crate::greeter::HelloRequest;
use crate::grpc::{Arrival, Call, CallId, Head, Partials, Transport, WorkerPartials};
use crate::http2::{Connection, Event, Limits};
use crate::service::Router;

pub(super) use recorder::Recorder;
use service::Puppet;

/// The fields of a request that is right.
const FIELDS: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

/// The same head, as each engine has it.
fn heads(method: &str, path: &str, fields: &[(&str, &str)]) -> [Head; 2] {
    [http_head(method, path, fields), native_head(method, path, fields)]
}

fn http_head(method: &str, path: &str, fields: &[(&str, &str)]) -> Head {
    let mut request = http::Request::builder().method(method).uri(path).version(http::Version::HTTP_2);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    Head::Http(Box::new(request.body(()).unwrap().into_parts().0), None)
}

fn native_head(method: &str, path: &str, fields: &[(&str, &str)]) -> Head {
    let mut block = Vec::new();
    for (name, value) in [(":method", method), (":scheme", "http"), (":path", path), (":authority", "localhost")].iter().chain(fields) {
        // RFC 7541, 6.2.2: literals, which do not enter the table.
        block.push(0);
        for text in [name, value] {
            let len = text.len();
            // 5.1; two bytes of continuation are enough for what is tested.
            match len {
                0..127 => block.push(len as u8),
                _ => block.extend([127, (len - 127) as u8 | 0x80, ((len - 127) >> 7) as u8]),
            }
            block.extend_from_slice(text.as_bytes());
        }
    }
    let mut input = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    input.extend_from_slice(&(block.len() as u32).to_be_bytes()[1..]);
    // HEADERS with END_HEADERS and END_STREAM, on stream 1.
    input.extend_from_slice(&[1, 5, 0, 0, 0, 1]);
    input.extend_from_slice(&block);
    let mut connection = Connection::new(Rc::new(Limits::default()), Instant::now());
    let mut input = &input[..];
    while let Some(event) = connection.receive(&mut input) {
        if let Event::Request { head, .. } = event {
            return Head::Native(head);
        }
    }
    panic!("the head of {method} {path} is refused by the engine");
}

/// A message on the wire.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend_from_slice(&(message.len() as u32).to_be_bytes());
    bytes.extend_from_slice(message);
    bytes
}

/// A request's message on the wire, with a name for the service to act upon.
fn named(name: &str) -> Vec<u8> {
    framed(&HelloRequest { name: name.into(), sleep_millisecond: 0 }.encode_to_vec())
}

/// A connection that keeps so many bytes of messages that are not whole.
fn partials_of(n_bytes_max: usize) -> Rc<Partials> {
    Rc::new(Partials::new(WorkerPartials::new(usize::MAX, n_bytes_max)))
}

/// A call, and what an engine has of it.
struct Exchange {
    call: Option<Call>,
    recorder: Rc<Recorder>,
    waker: Arc<Wakes>,
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Exchange {
    /// Opens a call with a head.
    fn open_with(router: &Router, head: Head, ends: bool) -> Self {
        Self::open_on(router, head, ends, partials_of(usize::MAX))
    }

    /// Opens a call on the connection whose messages that are not whole are counted here.
    fn open_on(router: &Router, head: Head, ends: bool, partials: Rc<Partials>) -> Self {
        let recorder = Rc::new(Recorder::new(partials));
        let transport = Rc::clone(&recorder) as Rc<dyn Transport>;
        let mut call = Call::open(router, Arrival::alone(head, ends), transport, CallId(7));
        if ends {
            call.iter_mut().for_each(Call::end);
        }
        Self { call, recorder, waker: Arc::default() }
    }

    /// Opens a call of a method of the [`Puppet`].
    fn open(method: &str) -> Self {
        Self::open_with(&Puppet::router(), native_head("POST", &format!("/test.Puppet/{method}"), &FIELDS), false)
    }

    /// The whole of a call whose request is these bytes.
    fn of(method: &str, body: &[u8]) -> Rc<Recorder> {
        let mut exchange = Self::open(method);
        exchange.data(body, true);
        exchange.finish()
    }

    fn call(&mut self) -> &mut Call {
        self.call.as_mut().expect("the call was not refused")
    }

    fn data(&mut self, bytes: &[u8], end: bool) {
        self.recorder.gave(bytes.len());
        self.call().data(bytes, end);
    }

    fn poll(&mut self) -> Poll<()> {
        let waker = Waker::from(Arc::clone(&self.waker));
        self.call().poll(&mut Context::from_waker(&waker))
    }

    fn n_wakes(&self) -> usize {
        self.waker.0.load(Ordering::Relaxed)
    }

    /// Polls while the call wakes itself, to its end.
    fn finish(mut self) -> Rc<Recorder> {
        loop {
            let before = self.n_wakes();
            if self.poll().is_ready() {
                break;
            }
            assert!(self.n_wakes() > before, "the call waits for something");
        }
        self.call = None;
        self.recorder.assert_complete();
        if Rc::strong_count(&self.recorder.partials) == 1 {
            assert_eq!(self.recorder.partials.n_bytes(), 0, "what is gone is not counted");
        }
        self.recorder
    }
}
