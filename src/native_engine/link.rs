//! The HTTP/2 connection, as its calls see it: their [`Transport`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, StatusCode};

use crate::grpc::{CallId, Encoding, Encodings, Opening, Partials, Peer, ResponseHead, Trailers, Transport};
use crate::http2::{Connection, ErrorCode, Field, Fields, Indexing, StreamKey};

use crate::ready::Ready;
use crate::socket::Socket;

/// What a connection and its calls share.
pub(super) struct Link {
    pub(super) http2: RefCell<Connection>,
    ready: Arc<Ready>,
    /// Calls that wait for room, and how to wake them. Few ever do, so it is a pointer.
    #[allow(clippy::box_collection, reason = "small while there is none")]
    rooms: RefCell<Option<Box<Vec<Waiting>>>>,
    pub(super) partials: Partials,
    /// The ends of the connection, while it is busy.
    peer: Cell<Option<Rc<Peer>>>,
    /// The connection's task has its turn, and will send whatever is written.
    in_turn: Cell<bool>,
}

/// Whose call waits for room, and how to wake it.
type Waiting = (StreamKey, Waker);

/// What every good answer begins with: for each encoding of its messages and each set of those that are accepted, of which most answers say nothing.
static GRPC: [[[Field<'static>; 3]; Encodings::N_SETS]; Encoding::ALL.len()] = {
    let mut all = [[[common(b"content-type", b"application/grpc"); 3]; Encodings::N_SETS]; Encoding::ALL.len()];
    let mut encoding = 0;
    while encoding < all.len() {
        let mut set = 0;
        while set < Encodings::N_SETS {
            all[encoding][set][1] = common(b"grpc-accept-encoding", Encodings::numbered(set).name().as_bytes());
            all[encoding][set][2] = common(b"grpc-encoding", Encoding::ALL[encoding].name().as_bytes());
            set += 1;
        }
        encoding += 1;
    }
    all
};

/// What nearly every good answer ends with.
static OK: [Field<'_>; 1] = [common(b"grpc-status", b"0")];

const fn common(name: &'static [u8], value: &'static [u8]) -> Field<'static> {
    Field { name, value, indexing: Indexing::Common }
}

fn fields_of(opening: Opening) -> &'static [Field<'static>] {
    match (opening.accepted, opening.encoding) {
        (None, _) => &GRPC[0][0][..1],
        (Some(accepted), None) => &GRPC[0][accepted.number()][..2],
        (Some(accepted), Some(encoding)) => &GRPC[encoding as usize][accepted.number()],
    }
}

impl Link {
    pub(super) fn new(http2: Connection, ready: Arc<Ready>, partials: Partials) -> Self {
        Self { http2: RefCell::new(http2), ready, rooms: RefCell::default(), partials, peer: Cell::default(), in_turn: Cell::new(false) }
    }

    /// Gives back what only a busy connection needs.
    pub(super) fn shrink(&self) {
        self.http2.borrow_mut().shrink();
        let mut rooms = self.rooms.borrow_mut();
        if rooms.as_ref().is_some_and(|rooms| rooms.is_empty()) {
            *rooms = None;
        }
    }

    /// Calls may come: they will want to know the ends of this connection.
    pub(super) fn know_peer(&self, connection: &Socket<impl loopswap_rt::Connection>) {
        let known = self.peer.take();
        self.peer.set(known.or_else(|| Some(Rc::new(Peer::of(connection)))));
    }

    /// No calls are there, nor have been for a while.
    pub(super) fn forget_peer(&self) {
        self.peer.set(None);
    }

    /// Tells whether the connection's task has its turn.
    pub(super) fn set_in_turn(&self, in_turn: bool) {
        self.in_turn.set(in_turn);
        self.partials.set_in_turn(in_turn);
    }

    /// Wakes who waits for room on a stream.
    pub(super) fn wake_room(&self, stream: StreamKey) {
        let mut rooms = self.rooms.borrow_mut();
        let place = rooms.iter().flat_map(|rooms| rooms.iter()).position(|(waiting, _)| *waiting == stream);
        let woken = place.and_then(|place| Some(rooms.as_mut()?.swap_remove(place)));
        drop(rooms);
        if let Some((_, waker)) = woken {
            waker.wake();
        }
    }

    /// Nobody waits for room on a stream any more.
    pub(super) fn forget_room(&self, stream: StreamKey) {
        if let Some(rooms) = &mut *self.rooms.borrow_mut() {
            rooms.retain(|(waiting, _)| *waiting != stream);
        }
    }

    /// What is written outside the connection's turn, by a handler's own task, must not wait for the peer's next word.
    fn written(&self) {
        if !self.in_turn.get() {
            self.ready.notify();
        }
    }
}

impl Transport for Link {
    fn poll_room(&self, call: CallId, cx: &mut Context<'_>) -> Poll<()> {
        let stream = StreamKey::from_bits(call.0);
        if self.http2.borrow_mut().has_room(stream) {
            return Poll::Ready(());
        }
        let mut rooms = self.rooms.borrow_mut();
        let rooms = rooms.get_or_insert_default();
        match rooms.iter_mut().find(|(waiting, _)| *waiting == stream) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => rooms.push((stream, cx.waker().clone())),
        }
        Poll::Pending
    }

    fn go_ahead(&self, call: CallId) {
        self.http2.borrow_mut().send_continue(StreamKey::from_bits(call.0));
        self.written();
    }

    fn head(&self, call: CallId, head: ResponseHead<'_>, end: bool) {
        let stream = StreamKey::from_bits(call.0);
        let mut http2 = self.http2.borrow_mut();
        match head {
            ResponseHead::Grpc(opening) => http2.send_head(stream, StatusCode::OK.as_u16(), Fields::Static(fields_of(opening)), end),
            ResponseHead::Fields(StatusCode::OK, fields) if says_only(fields, &GRPC[0][0][0]) => {
                http2.send_head(stream, StatusCode::OK.as_u16(), Fields::Static(fields_of(Opening::default())), end)
            }
            ResponseHead::Fields(status, fields) => {
                http2.send_head(stream, status.as_u16(), Fields::Each(&|each| each_of(fields, each)), end)
            }
        }
        self.written();
    }

    fn data(&self, call: CallId, write: &mut dyn FnMut(&mut Vec<u8>), end: bool) {
        self.http2.borrow_mut().send_data(StreamKey::from_bits(call.0), write, end);
        self.written();
    }

    fn trailers(&self, call: CallId, trailers: Trailers<'_>) {
        let stream = StreamKey::from_bits(call.0);
        let mut http2 = self.http2.borrow_mut();
        match trailers {
            Trailers::Ok => http2.send_trailers(stream, Fields::Static(&OK)),
            Trailers::Fields(fields) if says_only(fields, &OK[0]) => http2.send_trailers(stream, Fields::Static(&OK)),
            Trailers::Fields(fields) => http2.send_trailers(stream, Fields::Each(&|each| each_of(fields, each))),
        }
        self.written();
    }

    fn reply(&self, call: CallId, opening: Opening, write: &mut dyn FnMut(&mut Vec<u8>)) {
        self.http2.borrow_mut().send_reply(StreamKey::from_bits(call.0), fields_of(opening), write, &OK);
        self.written();
    }

    fn reset(&self, call: CallId, code: ErrorCode) {
        self.http2.borrow_mut().reset(StreamKey::from_bits(call.0), code);
        self.written();
    }

    fn release(&self, call: CallId, n_bytes: usize) {
        self.http2.borrow_mut().release(StreamKey::from_bits(call.0), n_bytes);
        self.written();
    }

    fn partials(&self) -> &Partials {
        &self.partials
    }

    fn peer(&self) -> Option<Rc<Peer>> {
        let known = self.peer.take();
        self.peer.set(known.clone());
        known
    }
}

/// Whether this field is all: so it is in the good answers of services that make their fields by themselves.
fn says_only(fields: &HeaderMap, field: &Field<'_>) -> bool {
    let only = fields.iter().next().filter(|_| fields.len() == 1);
    only.is_some_and(|(name, value)| value.as_bytes() == field.value && name.as_str().as_bytes() == field.name && !value.is_sensitive())
}

/// The fields of an answer. What is about the connection has no place in HTTP/2 (RFC 9113, 8.2.2); a service that was written for another version
/// may still say it.
fn each_of(fields: &HeaderMap, each: &mut dyn FnMut(Field<'_>)) {
    const CONNECTION: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    for (name, value) in fields.iter().filter(|(name, _)| !CONNECTION.contains(&name.as_str())) {
        let (name, value_bytes) = (name.as_str().as_bytes(), value.as_bytes());
        let indexing = match (name, value_bytes) {
            _ if value.is_sensitive() => Indexing::Never,
            (b"content-type", b"application/grpc") | (b"grpc-status", b"0") => Indexing::Common,
            _ => Indexing::Plain,
        };
        each(Field { name, value: value_bytes, indexing });
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn good_answers_are_known_by_all_that_they_say() {
        let of = |fields: &[(&'static str, &'static str)]| {
            fields.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect::<HeaderMap>()
        };
        let good = of(&[("grpc-status", "0")]);
        assert!(says_only(&good, &OK[0]));
        for other in [
            &[][..],
            &[("grpc-status", "5")],
            &[("grpc-state", "0")],
            &[("grpc-status", "0"), ("grpc-message", "")],
            &[("grpc-status", "0"), ("grpc-status", "0")],
        ] {
            assert!(!says_only(&of(other), &OK[0]), "{other:?}");
        }
        let mut secret = good;
        secret.get_mut("grpc-status").expect("it was made so").set_sensitive(true);
        assert!(!says_only(&secret, &OK[0]), "it must not be indexed");
        assert!(says_only(&of(&[("content-type", "application/grpc")]), &GRPC[0][0][0]));
    }
}
