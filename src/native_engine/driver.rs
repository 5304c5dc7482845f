//! One connection, driven: what arrives goes to the HTTP/2 engine, its events to the calls, and what all of them answer goes out together.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use loopswap_rt::{Connection as _, Runtime};

use crate::grpc::{Arrival, Call, CallId, Head, Partials, Transport, refuse_headers};
use crate::http2::{Connection, ErrorCode, Event, StreamKey, Violation};
use crate::server::{Care, Closed, Due, House, Phase, PhaseWatch};
use crate::service::Router;
use crate::socket::Socket;

use super::buffers;
use super::calls::Calls;
use super::link::Link;
use crate::ready::Ready;

/// Rounds of receiving, running and sending in one turn of the task; then the loop's other tasks have theirs.
const ROUNDS_MAX: usize = 4;

/// No more is read while this much waits for a peer that does not read: DATA stops at 64 KiB, the rest are answers to what the peer sent.
const UNSENT_BYTES_MAX: usize = 128 * 1024;

/// After our last byte, how long and how much of the peer's is still taken. A socket that is closed with unread bytes sends RST, which can overtake
/// what the peer has not read yet.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// A connection that has been idle for this time, or up to twice as long, gives back what only a busy one needs. Soon, so that of connections that come one
/// after the other the next ones use it; to take it again costs some microseconds.
const SHRINK_AFTER: Duration = Duration::from_millis(100);

pub(super) struct Driver<R: Runtime> {
    runtime: R,
    connection: Socket<R::Connection>,
    phases: PhaseWatch,
    link: Rc<Link>,
    calls: Calls,
    ready: Arc<Ready>,
    router: Router,
    house: Rc<House>,
    now: Instant,
    care: Care,
    /// When something may be due of keepalive, idleness or age. The worker's alarm wakes the task for it.
    care_at: Option<Instant>,
    /// Boxed, because an idle connection has none.
    timer: Option<Box<Timer<R>>>,
    /// When the send under way must be over.
    send_deadline: Option<Instant>,
    /// When to see whether the connection is idle.
    shrink_at: Option<Instant>,
    /// Something was received, or a call has run, since `shrink_at` was set.
    was_active: bool,
    /// Set once the peer has been told all that it will be told, or has said its last.
    lingering: Option<Box<Lingering>>,
}

struct Timer<R: Runtime> {
    at: Instant,
    sleep: Pin<Box<R::Sleep>>,
    /// Whom the loop will wake.
    waker: Waker,
}

struct Lingering {
    until: Instant,
    n_bytes_left: usize,
    /// The peer has said its last, and that is how the connection ends. TLS's last word is on its way.
    answered: Option<Closed>,
}

impl Lingering {
    fn from(now: Instant, answered: Option<Closed>) -> Box<Self> {
        Box::new(Self { until: now + LINGER_TIMEOUT, n_bytes_left: LINGER_BYTES_MAX, answered })
    }
}

/// The connection is of no more use.
struct Ended(Closed);

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self(Closed::Broken(error.to_string()))
    }
}

/// A turn of the connection's task. Ready: the connection has ended.
impl<R: Runtime> Future for Driver<R> {
    type Output = Closed;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Closed> {
        self.ready.listen(cx.waker());
        self.link.set_in_turn(true);
        let turn = self.turn(cx);
        self.link.set_in_turn(false);
        match turn {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(closed)) | Err(Ended(closed)) => {
                // Whatever has become of the answer to the peer's last word.
                let closed = self.lingering.take().and_then(|lingering| lingering.answered).unwrap_or(closed);
                let closed = if self.link.http2.borrow().is_open() { closed } else { closed.unopened() };
                closed.log(self.connection.peer_addr(), &self.house.log, self.now);
                Poll::Ready(closed)
            }
        }
    }
}

impl<R: Runtime> Unpin for Driver<R> {}

impl<R: Runtime> Driver<R> {
    pub(super) fn new(runtime: R, connection: Socket<R::Connection>, router: Router, house: Rc<House>, phases: PhaseWatch) -> Self {
        let now = runtime.now();
        let ready = Ready::new(house.limits.concurrent_streams_max as usize);
        let partials = Partials::new(Rc::clone(&house.partials));
        let link = Rc::new(Link::new(Connection::new(Rc::clone(&house.limits), now), Arc::clone(&ready), partials));
        Self {
            runtime,
            connection,
            phases,
            link,
            calls: Calls::default(),
            ready,
            router,
            care: Care::new(&house.limits, now),
            house,
            now,
            // The first turn finds out.
            care_at: Some(now),
            timer: None,
            send_deadline: None,
            shrink_at: None,
            was_active: false,
            lingering: None,
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Result<Poll<Closed>, Ended> {
        self.set_now();
        match self.phases.poll(cx) {
            Phase::Serving | Phase::Leaving => {}
            Phase::Draining => self.link.http2.borrow_mut().drain("the server is going away"),
            Phase::Stopping => return Ok(Poll::Ready(Closed::Stopped)),
        }
        if self.connection.is_refused() {
            return Ok(self.poll_refused(cx));
        }
        if self.care_at.is_some_and(|at| at <= self.now) {
            self.take_care()?;
        }
        for _ in 0..ROUNDS_MAX {
            self.poll_timer(cx)?;
            self.poll_sent(cx)?;
            let received = self.poll_received(cx)?;
            let ran = self.calls.poll(&self.ready);
            self.take_events();
            self.flush(cx)?;
            self.count_violations();
            if let Some(closed) = self.poll_end(cx)? {
                return Ok(Poll::Ready(closed));
            }
            self.was_active |= received || ran;
            if !received && !ran {
                self.watch_idleness();
                // What is due earlier than before. What has become due meanwhile may have something to say.
                if !self.poll_timer(cx)? {
                    if self.is_idle() {
                        self.link.forget_peer();
                    }
                    return Ok(Poll::Pending);
                }
            }
        }
        cx.waker().wake_by_ref();
        Ok(Poll::Pending)
    }

    /// Waits until a client that TLS has refused was told so. Nothing of HTTP/2 is due meanwhile, and no handler goes on.
    fn poll_refused(&mut self, cx: &mut Context<'_>) -> Poll<Closed> {
        self.calls.cancel_all();
        self.connection.poll_receive(cx, |_| ()).map(|received| match received {
            Err(error) if self.lingering.is_none() => Closed::Broken(error.to_string()),
            _ => self.closed(),
        })
    }

    fn set_now(&mut self) {
        self.now = self.runtime.now();
        self.link.http2.borrow_mut().set_now(self.now);
    }

    /// Does what is due of keepalive, idleness and age, and has the task woken for what is next.
    fn take_care(&mut self) -> Result<(), Ended> {
        let limits = &self.house.limits;
        let mut http2 = self.link.http2.borrow_mut();
        let due = self.care.due(limits, self.now, http2.idle_since());
        match due {
            Some(Due::Drain(limit)) => http2.drain(limit.name()),
            Some(Due::Cut(limit)) => http2.cut(limit),
            None => {}
        }
        http2.keep_alive();
        let is_over = http2.closing().is_some();
        let next = [self.care.next(limits, self.now, http2.idle_since()), http2.poll_keepalive()].into_iter().flatten().min();
        self.care_at = next.filter(|_| !is_over);
        drop(http2);
        self.phases.set_alarm(self.care_at);
        if let Some(Due::Drain(limit)) = due {
            self.count(limit);
        }
        if is_over && self.connection.is_sending() {
            // It takes nothing, and is not waited for.
            self.count_violations();
            return Err(Ended(self.closed()));
        }
        Ok(())
    }

    /// Receives once. Returns whether anything came.
    fn poll_received(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        if self.lingering.as_ref().is_some_and(|lingering| lingering.answered.is_some()) {
            return self.await_last_word();
        }
        if self.link.http2.borrow().n_output_bytes() > UNSENT_BYTES_MAX {
            // The end of the send under way brings the task back here.
            return Ok(false);
        }
        let Self { connection, link, calls, router, house, now, lingering, .. } = self;
        link.know_peer(connection);
        let intake = Intake { link, calls, router, house, now: *now };
        let received = connection.poll_receive(cx, |bytes| {
            if let Some(lingering) = lingering {
                lingering.n_bytes_left = lingering.n_bytes_left.saturating_sub(bytes.len());
            } else {
                intake.take(bytes);
            }
            bytes.len()
        });
        match received {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => self.answer_end(cx),
            Poll::Ready(Ok(n_bytes)) => {
                if let Some(observer) = &self.house.observer {
                    observer.received(n_bytes);
                }
                Ok(true)
            }
            Poll::Ready(Err(error)) if self.lingering.is_none() => Err(error.into()),
            Poll::Ready(Err(_)) => Err(Ended(self.closed())),
        }
    }

    /// The peer has said its last, and is told nothing more; but TLS says goodbye (RFC 8446, 6.1).
    fn answer_end(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        let closed = self.closed();
        if !self.connection.has_last_word() {
            return Err(Ended(closed));
        }
        self.calls.cancel_all();
        // Refused when the peer has closed it altogether.
        let _ = self.connection.shutdown(Shutdown::Write);
        self.lingering = Some(Lingering::from(self.now, Some(closed)));
        self.poll_sent(cx)?;
        self.await_last_word()
    }

    /// Ends the connection when what was under way to a peer that has said its last has left.
    fn await_last_word(&mut self) -> Result<bool, Ended> {
        if self.connection.is_sending() { Ok(false) } else { Err(Ended(self.closed())) }
    }

    /// Events that no received frame has caused.
    fn take_events(&mut self) {
        loop {
            let event = self.link.http2.borrow_mut().poll_event();
            let Some(event) = event else { return };
            let Self { link, calls, router, house, now, .. } = self;
            Intake { link, calls, router, house, now: *now }.event(event);
        }
    }

    /// Looks after the send under way.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        if self.connection.is_sending()
            && let Poll::Ready((result, buffer)) = self.connection.poll_send(cx)
        {
            self.send_deadline = None;
            buffers::give(buffer);
            result?;
        }
        Ok(())
    }

    /// Sends what was written, as far as the socket takes it.
    fn flush(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        while !self.connection.is_sending() {
            let mut http2 = self.link.http2.borrow_mut();
            if http2.n_output_bytes() == 0 {
                return Ok(());
            }
            let output = http2.take_output(Vec::new());
            drop(http2);
            if let Some(observer) = &self.house.observer {
                observer.sent(output.len());
            }
            self.connection.start_send(output);
            self.send_deadline = Some(self.now + self.house.limits.stall_timeout);
            self.poll_sent(cx)?;
        }
        Ok(())
    }

    /// Ends the connection when all is said.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Result<Option<Closed>, Ended> {
        let is_done = {
            let http2 = self.link.http2.borrow();
            http2.is_done() && http2.n_output_bytes() == 0
        };
        if !is_done || self.connection.is_sending() {
            return Ok(None);
        }
        match &self.lingering {
            None => {
                self.calls.cancel_all();
                self.connection.shutdown(Shutdown::Write)?;
                // TLS says goodbye first.
                self.poll_sent(cx)?;
                self.lingering = Some(Lingering::from(self.now, None));
                Ok(None)
            }
            Some(lingering) if lingering.until <= self.now || lingering.n_bytes_left == 0 => Ok(Some(self.closed())),
            Some(_) => Ok(None),
        }
    }

    /// How a connection that ends now has ended.
    fn closed(&self) -> Closed {
        let http2 = self.link.http2.borrow();
        match http2.closing() {
            None if self.calls.is_empty() && http2.is_open() => Closed::Orderly,
            None => Closed::Broken("the peer closed it".into()),
            Some(closing) if closing.violation == Some(Violation::Handshake) => Closed::NoHandshake,
            Some(closing) if closing.code == ErrorCode::NO_ERROR => closing.violation.map_or(Closed::Orderly, Closed::Cut),
            Some(closing) => Closed::Broken(closing.to_string()),
        }
    }

    fn count_violations(&mut self) {
        let refused = self.link.partials.take_refused();
        for violation in self.link.http2.borrow_mut().take_violations().into_iter().chain(refused) {
            self.count(violation);
        }
    }

    fn count(&self, violation: Violation) {
        self.house.counters.count(violation);
        tracing::debug!(peer = %self.connection.peer_addr(), "limit reached: {violation}");
    }

    /// What calls have taken is given back when nothing has come for a while. Looked at once in that time, so that a busy connection pays nothing for it.
    fn watch_idleness(&mut self) {
        if self.was_active && self.shrink_at.is_none() && self.calls.is_empty() {
            self.was_active = false;
            self.shrink_at = Some(self.now + SHRINK_AFTER);
        }
    }

    /// Nothing has come for so long that everything was given back.
    fn is_idle(&self) -> bool {
        !self.was_active && self.shrink_at.is_none() && self.calls.is_empty()
    }

    /// Keeps one timer of the loop armed, for whatever is due first. One that is armed for too early a time is left: when it fires, nothing is due.
    /// Returns whether it has fired.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        let mut fired = false;
        loop {
            let http2 = self.link.http2.borrow().poll_timeout();
            let linger = self.lingering.as_ref().map(|lingering| lingering.until);
            let due = [http2, self.calls.deadline(), self.send_deadline, self.shrink_at, linger].into_iter().flatten().min();
            let Some(due) = due else {
                self.timer = None;
                return Ok(fired);
            };
            let timer = match &mut self.timer {
                Some(timer) if timer.at <= due => timer,
                timer => {
                    let sleep = Box::pin(self.runtime.sleep_until(due));
                    timer.insert(Box::new(Timer { at: due, sleep, waker: Waker::noop().clone() }))
                }
            };
            if self.now < timer.at && timer.waker.will_wake(cx.waker()) {
                return Ok(fired);
            }
            timer.waker.clone_from(cx.waker());
            if timer.sleep.as_mut().poll(cx).is_pending() {
                return Ok(fired);
            }
            self.timer = None;
            self.set_now();
            self.on_timeout()?;
            fired = true;
        }
    }

    fn on_timeout(&mut self) -> Result<(), Ended> {
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= self.now);
        if is_due(self.send_deadline) {
            self.house.counters.count(Violation::Stalled);
            return Err(Ended(Closed::Broken("the peer does not read".into())));
        }
        if is_due(self.lingering.as_ref().map(|lingering| lingering.until)) {
            return Err(Ended(self.closed()));
        }
        if is_due(self.shrink_at) {
            self.shrink_at = None;
            if self.was_active {
                self.watch_idleness();
            } else if self.calls.is_empty() {
                self.calls.shrink();
                self.link.shrink();
            }
        }
        self.calls.expire(self.now);
        self.link.http2.borrow_mut().on_timeout();
        self.take_events();
        Ok(())
    }
}

/// What takes in received bytes: the driver without its socket, which lends them.
struct Intake<'a> {
    link: &'a Rc<Link>,
    calls: &'a mut Calls,
    router: &'a Router,
    house: &'a House,
    now: Instant,
}

impl Intake<'_> {
    /// Takes bytes in. Handlers run later, when the loop's buffer is free again.
    fn take(mut self, bytes: &[u8]) {
        {
            let mut http2 = self.link.http2.borrow_mut();
            http2.heard();
            if http2.n_output_bytes() == 0 {
                drop(http2.take_output(buffers::take()));
            }
        }
        let mut input = bytes;
        loop {
            let event = self.link.http2.borrow_mut().receive(&mut input);
            match event {
                Some(event) => self.event(event),
                None => return,
            }
        }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Request { stream, head, end } => {
                let id = CallId(stream.to_bits());
                let admission = self.house.admission.as_ref().map(|admission| (admission, self.calls.len()));
                let head = Head::Native(head);
                let arrival = Arrival { head, ends: end, now: self.now, admission, observer: self.house.observer.as_ref() };
                let transport = self.transport();
                let call = self.calls.open(stream, || Call::open(self.router, arrival, transport, id));
                if end {
                    call.into_iter().for_each(Call::end);
                }
            }
            Event::Data { stream, bytes, end } => match self.calls.freshen(stream) {
                Some(call) => call.data(bytes, end),
                // Its answer was complete before.
                None => self.link.http2.borrow_mut().release(stream, bytes.len()),
            },
            Event::End { stream } => {
                if let Some(call) = self.calls.freshen(stream) {
                    call.end();
                }
            }
            Event::TooLarge { stream, .. } => {
                refuse_headers(self.transport(), CallId(stream.to_bits()), self.house.observer.as_ref(), self.now)
            }
            Event::Reset { stream, .. } => self.cancel(stream),
            Event::Room { stream } => self.link.wake_room(stream),
        }
    }

    fn transport(&self) -> Rc<dyn Transport> {
        Rc::clone(self.link) as Rc<dyn Transport>
    }

    fn cancel(&mut self, stream: StreamKey) {
        self.calls.cancel(stream);
        self.link.forget_room(stream);
    }
}
