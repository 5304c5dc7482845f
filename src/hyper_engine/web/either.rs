//! A connection whose client says which HTTP it speaks: HTTP/2 by its preface, HTTP/1.1 by anything else. Both come to the same port.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use loopswap_rt::{Connection, Sleep, sleep};

use super::super::streams::Spawned;
use super::super::timer::LoopTimer;
use super::super::{Calls, Http2, Serving, speak_http2};
use crate::http2::{Limits, Violation};
use crate::hyper_io::{HyperIo, Passing};
use crate::server::Handshake;

/// How long a connection of HTTP/1.1 waits for the next request's head, unless [`Limits::connection_idle_max`] says otherwise. It can neither be asked by PING whether
/// the client is there, nor told by GOAWAY to leave. Browsers open another when they need one; nginx waits for 75 s, Node.js for 5.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// How long a connection of HTTP/1.1 that is to leave is still listened to while it has no call. What its client has sent cannot be refused in a way that lets it
/// be sent again, as GOAWAY does in HTTP/2; it has had no reason to hold it back.
const LEAVE_AFTER: Duration = Duration::from_millis(100);

/// hyper's least, and what a receive brings.
const BUFFER_BYTES_MIN: usize = 64 * 1024;

/// One connection.
pub(super) struct Either<I> {
    state: State<I>,
    handshake: Rc<Handshake>,
    limits: Rc<Limits>,
    /// It is to leave then.
    leaving: Option<Sleep>,
}

enum State<I> {
    /// Until enough has come; then nothing is in it.
    Untold(Option<(I, Calls, Spawned)>),
    Http1(Pin<Box<Http1<I>>>),
    Http2(Pin<Box<Http2<I>>>),
}

type Http1<I> = http1::Connection<I, Calls>;

impl<I: Read + Write + Unpin> Serving for Http1<I> {
    fn leave(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }

    fn timed_out(&self) -> Violation {
        Violation::Idle
    }
}

impl<C: Connection, O: FnMut(Passing<'_>) + Unpin> Either<HyperIo<C, O>> {
    /// `handshake` sees what comes.
    pub(super) fn new(io: HyperIo<C, O>, calls: Calls, streams: Spawned, handshake: Rc<Handshake>, limits: Rc<Limits>) -> Self {
        Self { state: State::Untold(Some((io, calls, streams))), handshake, limits, leaving: None }
    }

    /// Waits until the client has said what it speaks. `None`: it has gone, or has said nothing and is to leave.
    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let State::Untold(parts) = &mut self.state else { return Poll::Ready(Some(())) };
        let is_http2 = loop {
            if let Some(is_http2) = self.handshake.is_http2() {
                break is_http2;
            }
            match parts.as_mut().expect("it is taken when it is told").0.poll_ahead(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return Poll::Ready(None),
                Poll::Pending if is_time(&mut self.leaving, cx) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        };
        let (io, calls, streams) = parts.take().expect("it is told once");
        self.state = match is_http2 {
            true => State::Http2(Box::pin(speak_http2(&self.limits, io, calls, streams))),
            false => State::Http1(Box::pin(speak_http1(&self.limits, io, calls))),
        };
        Poll::Ready(Some(()))
    }
}

fn speak_http1<I: Read + Write + Unpin>(limits: &Limits, io: I, calls: Calls) -> Http1<I> {
    let header_bytes_max = limits.header_list_bytes_max as usize;
    http1::Builder::new()
        .timer(LoopTimer::default())
        .header_read_timeout(limits.connection_idle_max.unwrap_or(IDLE_MAX))
        .max_header_size(header_bytes_max)
        .max_buf_size(header_bytes_max.max(limits.send_buffer_bytes_max).max(BUFFER_BYTES_MIN))
        .serve_connection(io, calls)
}

impl<C: Connection, O: FnMut(Passing<'_>) + Unpin> Serving for Either<HyperIo<C, O>> {
    fn leave(mut self: Pin<&mut Self>) {
        let Self { state, leaving, .. } = &mut *self;
        match state {
            State::Http2(connection) => connection.as_mut().leave(),
            State::Http1(_) | State::Untold(_) => *leaving = Some(sleep(LEAVE_AFTER)),
        }
    }

    fn timed_out(&self) -> Violation {
        match &self.state {
            State::Http1(connection) => connection.timed_out(),
            State::Http2(connection) => connection.timed_out(),
            State::Untold(_) => Violation::Handshake,
        }
    }
}

impl<C: Connection, O: FnMut(Passing<'_>) + Unpin> Future for Either<HyperIo<C, O>> {
    type Output = hyper::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.poll_told(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => return Poll::Ready(Ok(())),
            Poll::Ready(Some(())) => {}
        }
        let Self { state, leaving, .. } = &mut *self;
        match state {
            State::Untold(_) => unreachable!("it was told"),
            State::Http1(connection) => turn(connection.as_mut(), leaving, cx).map(|ended| match ended {
                // That is how a client of HTTP/1.1 cancels.
                Err(error) if error.is_incomplete_message() => Ok(()),
                ended => ended,
            }),
            State::Http2(connection) => turn(connection.as_mut(), leaving, cx),
        }
    }
}

fn turn<S: Serving>(mut connection: Pin<&mut S>, leaving: &mut Option<Sleep>, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
    let polled = connection.as_mut().poll(cx);
    if polled.is_pending() && is_time(leaving, cx) {
        connection.as_mut().leave();
        return connection.poll(cx);
    }
    polled
}

/// Whether it is to leave now, told once.
fn is_time(leaving: &mut Option<Sleep>, cx: &mut Context<'_>) -> bool {
    let is_time = leaving.as_mut().is_some_and(|sleep| Pin::new(sleep).poll(cx).is_ready());
    if is_time {
        *leaving = None;
    }
    is_time
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use loopswap_memory::{Memory, Peer, World, pair};

    use super::*;
    use crate::greeter::{GreeterServer, Hello};
    use crate::{Http2, Lone, Router};

    const MS: Duration = Duration::from_millis(1);

    /// A connection, and a client that speaks HTTP/1.1 on it.
    struct Client<'a> {
        world: &'a World,
        lone: Lone,
        peer: Peer,
        ended: Rc<RefCell<Option<Result<(), String>>>>,
    }

    impl<'a> Client<'a> {
        fn new(world: &'a World) -> Self {
            let (lone, (connection, peer)) = (Lone::web(Limits::default()), pair());
            let served = lone.serve(Memory, connection, Http2::Hyper, Router::from(GreeterServer::new(Hello)));
            let ended = Rc::new(RefCell::new(None));
            let tells = Rc::clone(&ended);
            world.spawn(async move {
                let how = served.await;
                *tells.borrow_mut() = Some(how);
            });
            world.turn();
            Self { world, lone, peer, ended }
        }

        /// Whether a call that begins now is served.
        fn is_served(&self) -> bool {
            let head = "POST /helloworld.Greeter/SayHello HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/grpc-web\r\ncontent-length: 5\r\n\r\n";
            self.peer.send(&[head.as_bytes(), &[0; 5]].concat());
            self.world.turn();
            self.peer.take().starts_with(b"HTTP/1.1 200 OK")
        }

        fn ended(&self) -> Option<Result<(), String>> {
            self.ended.borrow().clone()
        }
    }

    #[test]
    fn http1_has_a_minute_between_calls_where_no_idle_time_is_set() {
        let world = World::enter();
        let client = Client::new(&world);
        for _ in 0..3 {
            assert!(client.is_served());
            world.pass(Duration::from_secs(60) - MS);
        }
        assert_eq!(client.ended(), None, "each call has put it off");
        world.pass(MS);
        assert_eq!(client.ended(), Some(Err(format!("cut: {}", Violation::Idle))));
    }

    /// A request that was under way when the drain began, for 100 ms at most.
    #[test]
    fn a_client_of_http1_is_listened_to_for_a_while_when_it_is_to_leave() {
        for has_called in [false, true] {
            for (after, is_served) in [(Duration::ZERO, true), (Duration::from_millis(99), true), (Duration::from_millis(100), false)] {
                let world = World::enter();
                let client = Client::new(&world);
                assert!(!has_called || client.is_served());
                client.lone.drain();
                world.pass(after);
                assert_eq!(client.ended().is_none(), is_served, "{after:?} after the drain has begun");
                assert_eq!(client.is_served(), is_served, "{after:?} after the drain has begun");
                world.pass(Duration::from_millis(100) - after);
                assert_eq!(client.ended(), Some(Ok(())));
            }
        }
    }
}
