//! The task of a connection: one receive, all its frames, the callers' orders, new calls, what requests go on with, one send.

use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use loopswap_rt::{Connection as _, Sleep, now, sleep};
use tonic::Status;

use crate::client::channel::exchange::Exchange;
use crate::client::channel::intake::Intake;
use crate::client::channel::keepalive::{Asked, Keepalive};
use crate::client::channel::link::{Link, Order, STREAMS_MAX};
use crate::client::channel::refusal::Refusal;
use crate::client::channel::shared::{Shared, loop_ended};
use crate::grpc::contained;
use crate::http2::ErrorCode;
use crate::http2::client::{Connection, StreamKey};
use crate::socket::Socket;

/// Rounds of receiving and sending in one turn of the task; then the loop's other tasks have theirs.
const ROUNDS_MAX: usize = 4;

/// Pieces of one request that are sent in a row; then others have their turn.
const PIECES_MAX: usize = 16;

/// What may wait for a server that does not read. Calls stop at 64 KiB; the rest are answers to what the server sent, and resets. 4 MiB.
const UNSENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long our last word may take to a server that does not read. 1 s.
const LAST_WORD_TIME_MAX: Duration = Duration::from_secs(1);

/// A send buffer that has grown beyond this is given up.
const SPARE_BYTES_MAX: usize = 256 * 1024;

/// A connection, and the calls on it. Dropped, it ends them.
pub(super) struct Driver<C> {
    connection: Socket<C>,
    http2: Connection,
    shared: Rc<Shared>,
    link: Rc<Link>,
    /// In the slots of their streams.
    calls: Vec<Slot>,
    n_calls: usize,
    /// It has taken a call.
    was_useful: bool,
    /// It takes none any more, and others go elsewhere.
    is_detached: bool,
    /// The send buffer that is not in use.
    spare: Vec<u8>,
    keepalive: Keepalive,
    refusal: Refusal,
    /// It says goodbye, and ends when that is sent.
    is_parting: bool,
    /// It is over, all but for our last word: by then that must be sent.
    last_word: Option<Sleep>,
}

#[derive(Default)]
pub(super) struct Slot {
    pub(super) call: Option<Call>,
    /// Wakes whatever call is in the slot.
    waker: Option<Waker>,
}

pub(super) struct Call {
    pub(super) exchange: Rc<Exchange>,
    stream: StreamKey,
}

impl<C: loopswap_rt::Connection> Driver<C> {
    pub(super) fn new(connection: Socket<C>, http2: Connection, shared: Rc<Shared>, link: Rc<Link>) -> Self {
        Self {
            connection,
            http2,
            link,
            calls: Vec::new(),
            n_calls: 0,
            was_useful: false,
            is_detached: false,
            spare: Vec::new(),
            keepalive: Keepalive::new(shared.keepalive()),
            refusal: Refusal::default(),
            is_parting: false,
            last_word: None,
            shared,
        }
    }

    /// One round. Returns whether something may be left to do.
    ///
    /// # Errors
    ///
    /// Why the connection is over.
    fn round(&mut self, cx: &mut Context<'_>) -> Result<bool, Status> {
        let received = self.receive(cx)?;
        if received {
            self.keepalive.heard();
        }
        self.follow_orders();
        if self.http2.is_closed_to_new() {
            self.detach();
        } else if !self.refusal.poll_stands(cx) {
            self.begin_waiting();
        }
        self.upload();
        loop {
            match self.keepalive.poll(cx, self.n_calls > 0) {
                Asked::Nothing => break,
                Asked::IsItThere => self.http2.ask(),
                Asked::InVain(timeout) => {
                    return Err(broke(&format_args!("the server has not answered a keepalive ping within {timeout:?}")));
                }
            }
        }
        if self.n_calls == 0 && !self.is_parting && (self.http2.is_closed_to_new() || self.shared.is_closing()) {
            self.is_parting = true;
            self.http2.say_goodbye();
        }
        self.send(cx).map_err(|error| broke(&error))?;
        if self.is_parting && self.http2.n_output_bytes() == 0 && !self.connection.is_sending() {
            // FIN, and behind TLS's goodbye, which may have to wait for the socket.
            let _ = self.connection.shutdown(Shutdown::Write);
            let _ = self.send(cx);
            if !self.connection.is_sending() {
                return Err(Status::unavailable("the channel is closed"));
            }
        }
        Ok(received || self.has_room_for_more())
    }

    /// Whether what was sent has made room, which nobody else would tell: for calls that wait, and for requests that go on.
    fn has_room_for_more(&self) -> bool {
        let takes_calls = self.http2.can_open() && self.n_calls < STREAMS_MAX && !self.refusal.stands();
        self.http2.has_roomy() || (takes_calls && self.shared.is_waited_for())
    }

    /// Receives once. Returns whether anything came.
    fn receive(&mut self, cx: &mut Context<'_>) -> Result<bool, Status> {
        let mut moved = Vec::new();
        let Self { connection, http2, calls, n_calls, refusal, .. } = self;
        let received = connection.poll_receive(cx, |bytes| {
            let mut input = bytes;
            let mut intake = Intake { calls, n_calls, refusal, moved: &mut moved };
            while let Some(event) = http2.receive(&mut input) {
                if let Some(stream) = intake.event(event) {
                    http2.reset(stream, ErrorCode::CANCEL);
                }
            }
            bytes.len()
        });
        self.move_on(moved);
        match received {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(n)) if n > 0 => match self.http2.fault() {
                Some(fault) => Err(broke(&fault)),
                None if self.http2.n_output_bytes() > UNSENT_BYTES_MAX => Err(broke(&"the server does not read")),
                None => Ok(true),
            },
            Poll::Ready(Ok(_)) => match self.http2.going_away() {
                Some(goaway) => Err(broke(&format_args!("the server closed it after {goaway}"))),
                None => Err(broke(&"the server closed it")),
            },
            Poll::Ready(Err(error)) => Err(broke(&error)),
        }
    }

    /// Calls that the server has not looked at wait again, if they can be made again.
    fn move_on(&mut self, moved: Vec<(Rc<Exchange>, Status)>) {
        let mut again = Vec::new();
        for (exchange, why) in moved {
            match exchange.take_outgoing() {
                Some(mut outgoing) => {
                    if outgoing.rewind() {
                        exchange.put_outgoing(outgoing);
                        again.push(exchange);
                    } else {
                        drop(outgoing);
                        exchange.end(Err(why));
                    }
                }
                // It was given up.
                None => exchange.end(Err(why)),
            }
        }
        self.shared.wait_again(again);
    }

    fn follow_orders(&mut self) {
        for order in self.link.take_orders() {
            match order {
                Order::Release(stream, n_bytes) => self.http2.release(stream, n_bytes),
                Order::Cancel(stream) => {
                    self.http2.reset(stream, ErrorCode::CANCEL);
                    let slot = &mut self.calls[stream.slot()];
                    if slot.call.as_ref().is_some_and(|call| call.stream == stream) {
                        slot.call = None;
                        self.n_calls -= 1;
                    }
                }
            }
        }
    }

    /// The server takes no more calls on this connection: others go to the next.
    fn detach(&mut self) {
        if self.is_detached {
            return;
        }
        self.is_detached = true;
        let why = self.http2.going_away().map_or_else(String::new, |goaway| format!(": {goaway}"));
        if self.http2.going_away().is_some_and(|goaway| goaway.is_too_many_pings()) {
            self.shared.ask_less();
        }
        self.shared.detach(&self.link, !self.was_useful, &Status::unavailable(format!("the server takes no calls{why}")));
    }

    /// Begins as many of the waiting calls as the server takes.
    fn begin_waiting(&mut self) {
        while self.http2.can_open()
            && self.n_calls < STREAMS_MAX
            && let Some(exchange) = self.shared.next_waiting()
        {
            let Some(outgoing) = exchange.take_outgoing() else { continue };
            let left = exchange.deadline.map(|deadline| deadline.saturating_duration_since(now()));
            if left.is_some_and(|left| left.is_zero()) {
                drop(outgoing);
                exchange.end(Err(late()));
                continue;
            }
            let endpoint = &self.shared.endpoint;
            let stream = self.http2.begin(|see| outgoing.fields(endpoint, left, see), outgoing.has_no_body());
            exchange.begin(&self.link, stream);
            exchange.put_outgoing(outgoing);
            let slot = stream.slot();
            if slot >= self.calls.len() {
                self.calls.resize_with(slot + 1, Slot::default);
            }
            self.calls[slot].call = Some(Call { exchange, stream });
            self.n_calls += 1;
            self.was_useful = true;
            self.upload_slot(slot);
        }
    }

    /// Goes on with the requests that can: those whose sources have something new, and those that have got room.
    fn upload(&mut self) {
        let mut slots: Vec<usize> = Vec::new();
        self.link.ready.take(|slot| slots.push(slot));
        slots.extend(self.http2.take_roomy().into_iter().map(StreamKey::slot));
        for slot in slots {
            self.upload_slot(slot);
        }
    }

    fn upload_slot(&mut self, slot: usize) {
        let waker = {
            let Some(slot_of) = self.calls.get_mut(slot) else { return };
            slot_of.waker.get_or_insert_with(|| self.link.ready.waker(slot)).clone()
        };
        for _ in 0..PIECES_MAX {
            let Some(call) = &self.calls[slot].call else { return };
            if !self.http2.has_room(call.stream) {
                return;
            }
            let (exchange, stream) = (Rc::clone(&call.exchange), call.stream);
            let Some(mut outgoing) = exchange.take_outgoing() else { return };
            let polled = contained(|| outgoing.poll_piece(&mut Context::from_waker(&waker)));
            match polled {
                Some(Poll::Pending) => return exchange.put_outgoing(outgoing),
                Some(Poll::Ready(Ok(piece))) => {
                    exchange.put_outgoing(outgoing);
                    self.http2.send(stream, piece.bytes, piece.end);
                }
                Some(Poll::Ready(Err(status))) => return self.fail(slot, status),
                None => {
                    // What panicked may panic once more when it is dropped.
                    let _ = contained(|| drop(outgoing));
                    return self.fail(slot, Status::internal("the source of the request's messages panicked"));
                }
            }
        }
        waker.wake();
    }

    /// The request cannot go on.
    fn fail(&mut self, slot: usize, status: Status) {
        if let Some(call) = self.calls[slot].call.take() {
            self.n_calls -= 1;
            self.http2.reset(call.stream, ErrorCode::CANCEL);
            call.exchange.end(Err(status));
        }
    }

    /// Sends what was written, as far as the socket takes it.
    fn send(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            if self.connection.is_sending() {
                match self.connection.poll_send(cx) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready((result, buffer)) => {
                        if buffer.capacity() <= SPARE_BYTES_MAX {
                            self.spare = buffer;
                        }
                        result?;
                    }
                }
            }
            if self.http2.n_output_bytes() == 0 {
                return Ok(());
            }
            let output = self.http2.take_output(std::mem::take(&mut self.spare));
            self.connection.start_send(output);
        }
    }

    /// Ready when the server has been told what it broke, and goodbye; or does not take it.
    fn poll_last_word(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_told(cx).is_ready() {
            return Poll::Ready(());
        }
        Pin::new(self.last_word.get_or_insert_with(|| sleep(LAST_WORD_TIME_MAX))).poll(cx)
    }

    /// What the server broke; and behind it, or behind the server's own, the goodbye of TLS (RFC 8446, 6.1).
    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_told =
            self.http2.fault().is_none() || self.send(cx).is_err() || (self.http2.n_output_bytes() == 0 && !self.connection.is_sending());
        if !is_told {
            return Poll::Pending;
        }
        if self.connection.has_last_word() && self.connection.shutdown(Shutdown::Write).is_ok() {
            while self.connection.is_sending() && ready!(self.connection.poll_send(cx)).0.is_ok() {}
        }
        Poll::Ready(())
    }

    fn end_with(&mut self, why: &Status) {
        self.shared.detach(&self.link, !self.was_useful, why);
        for call in self.calls.drain(..).filter_map(|slot| slot.call) {
            call.exchange.end(Err(why.clone()));
        }
        self.n_calls = 0;
    }
}

impl<C: loopswap_rt::Connection> Future for Driver<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.last_word.is_some() {
            return self.poll_last_word(cx);
        }
        self.link.ready.listen(cx.waker());
        for _ in 0..ROUNDS_MAX {
            match self.round(cx) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(why) => {
                    tracing::debug!(uri = self.shared.endpoint.uri(), "{}", why.message());
                    self.end_with(&why);
                    return self.poll_last_word(cx);
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<C> Drop for Driver<C> {
    fn drop(&mut self) {
        self.shared.forget(&self.link);
        for call in self.calls.drain(..).filter_map(|slot| slot.call) {
            call.exchange.end(Err(loop_ended()));
        }
    }
}

/// What a call ends with whose time is over.
pub(super) fn late() -> Status {
    Status::deadline_exceeded("the call's deadline has passed")
}

fn broke(why: &dyn std::fmt::Display) -> Status {
    Status::unavailable(format!("the connection broke: {why}"))
}
