//! A connection to a server, and the calls on it.

use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use loopswap_rt::{Connection as _, Runtime, timeout};
use tonic::Status;

use crate::Error;
use crate::client::answer::Answer;
use crate::client::hint::hint;
use crate::client::reset::from_reset;
use crate::client::status::late;
use crate::client::{Ended, Prepared, Target};
use crate::http2::ErrorCode;
use crate::http2::client::{Connection, Event, Request, StreamKey};
use crate::socket::Socket;

/// What may wait for a server that does not read. Calls stop at 64 KiB; the rest are answers to what the server sent, and resets. 4 MiB.
const UNSENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A send buffer that has grown beyond this is given up.
const SPARE_BYTES_MAX: usize = 256 * 1024;

/// How long TLS's goodbye may take to a server that does not read. 1 s.
const GOODBYE_TIME_MAX: Duration = Duration::from_secs(1);

/// A call to be made, or under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    /// From when its time counts.
    pub(crate) due: Instant,
    /// When it is given up.
    pub(crate) until: Instant,
    /// How often it has been taken to another connection.
    pub(crate) n_moves: u32,
}

/// A connection. It is not a task: who owns it polls it, says when calls begin, and flushes.
pub(crate) struct PreparedChannel<C> {
    connection: Socket<C>,
    http2: Connection,
    call: Rc<Prepared>,
    request: Request,
    /// The calls under way, in the slots of their streams.
    calls: Vec<Option<Call>>,
    n_calls: usize,
    /// An answer has begun on it.
    has_answered: bool,
    /// It speaks TLS.
    is_secure: bool,
    /// The first bytes that came, which tell other protocols.
    first: Vec<u8>,
    /// The send buffer that is not in use.
    spare: Vec<u8>,
    broken: Option<Status>,
}

#[derive(Debug)]
struct Call {
    ticket: Ticket,
    answer: Answer,
}

impl<C: loopswap_rt::Connection> PreparedChannel<C> {
    /// Connects. The server's SETTINGS are not waited for: the first calls go out with ours.
    ///
    /// # Errors
    ///
    /// Nobody answers there.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
    pub(crate) async fn open<R: Runtime<Connection = C>>(runtime: &R, target: &Target, call: Rc<Prepared>) -> Result<Self, Error> {
        let connection = target.connect(runtime).await?;
        Ok(Self {
            connection,
            http2: Connection::new(),
            request: call.request(),
            call,
            calls: Vec::new(),
            n_calls: 0,
            has_answered: false,
            is_secure: target.is_secure(),
            first: Vec::new(),
            spare: Vec::new(),
            broken: None,
        })
    }

    /// Before the first call: ready when the server's SETTINGS have come, by when it has accepted the connection, or when the connection is broken, which the
    /// first call will tell.
    pub(crate) fn poll_greeted(&mut self, cx: &mut Context<'_>, clock: &impl Fn() -> Instant) -> Poll<()> {
        let no_call = &mut |_, _, _| {};
        loop {
            self.flush(cx, clock(), no_call);
            if self.http2.is_open() || self.broken.is_some() {
                return Poll::Ready(());
            }
            if !self.poll(cx, clock, no_call) {
                return Poll::Pending;
            }
        }
    }

    /// Calls under way.
    pub(crate) fn n_calls(&self) -> usize {
        self.n_calls
    }

    /// Whether the server has answered anything.
    pub(crate) fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Why the connection is of no more use, if so; its calls have ended with this.
    pub(crate) fn broken(&self) -> Option<&Status> {
        self.broken.as_ref()
    }

    /// Whether no more calls can be made on it.
    pub(crate) fn is_closed_to_new(&self) -> bool {
        self.broken.is_some() || self.http2.is_closed_to_new()
    }

    /// Whether everything is sent that is to be sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.http2.n_output_bytes() == 0 && !self.connection.is_sending()
    }

    /// Whether a call can begin now: the server allows another stream, and reads what we send.
    #[inline]
    pub(crate) fn can_begin(&self) -> bool {
        self.broken.is_none() && self.http2.can_open()
    }

    /// Writes a call, to be sent with the next [`flush`](Self::flush).
    ///
    /// # Panics
    ///
    /// When [`can_begin`](Self::can_begin) says no.
    #[inline]
    pub(crate) fn begin(&mut self, ticket: Ticket) {
        let slot = self.http2.open(&mut self.request).slot();
        if slot >= self.calls.len() {
            self.calls.resize_with(slot + 1, || None);
        }
        self.calls[slot] = Some(Call { ticket, answer: Answer::to(&self.call) });
        self.n_calls += 1;
    }

    /// Receives once, and tells the calls that end by it, at the time when the bytes had come. Returns whether anything came: then there may be more.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        clock: &impl Fn() -> Instant,
        ended: &mut impl FnMut(Ticket, Ended, Instant),
    ) -> bool {
        if self.broken.is_some() {
            return false;
        }
        if let Err(error) = self.poll_sent(cx) {
            self.end_with(broke(&error), clock(), ended);
            return false;
        }
        let Self { connection, http2, call, calls, n_calls, has_answered, first, .. } = self;
        let received = connection.poll_receive(cx, |bytes| {
            if !http2.is_open() {
                first.extend_from_slice(&bytes[..bytes.len().min(5_usize.saturating_sub(first.len()))]);
            }
            let now = clock();
            Intake { http2, calls, n_calls, has_answered, call, now, ended: &mut *ended }.take(bytes);
            bytes.len()
        });
        let why = match received {
            Poll::Pending => return false,
            Poll::Ready(Ok(n)) if n > 0 => match self.http2.fault() {
                Some(fault) => broke(&format_args!("{fault}{}", self.hint())),
                None if self.http2.n_output_bytes() > UNSENT_BYTES_MAX => broke(&"the server does not read"),
                None => return true,
            },
            Poll::Ready(Ok(_)) => match self.http2.going_away() {
                Some(goaway) => broke(&format_args!("the server closed it after {goaway}")),
                None => broke(&format_args!("the server closed it{}", self.hint())),
            },
            Poll::Ready(Err(error)) => broke(&error),
        };
        // Our last word, as far as the socket takes it.
        self.flush(cx, clock(), ended);
        self.end_with(why, clock(), ended);
        true
    }

    /// Sends what was written, as far as the socket takes it. Where it takes nothing any more, the calls end; returns whether that is so now.
    pub(crate) fn flush(&mut self, cx: &mut Context<'_>, now: Instant, ended: &mut impl FnMut(Ticket, Ended, Instant)) -> bool {
        while self.broken.is_none() && !self.connection.is_sending() && self.http2.n_output_bytes() > 0 {
            let output = self.http2.take_output(std::mem::take(&mut self.spare));
            self.connection.start_send(output);
            if let Err(error) = self.poll_sent(cx) {
                self.end_with(broke(&error), now, ended);
                return true;
            }
        }
        false
    }

    /// Ends the calls whose time is over, and says when that is to be looked at again.
    pub(crate) fn expire(&mut self, now: Instant, ended: &mut impl FnMut(Ticket, Ended, Instant)) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let mut late_ones = Vec::new();
        for stream in self.http2.streams() {
            let until = self.calls[stream.slot()].as_ref().expect("a stream has a call").ticket.until;
            if until <= now {
                late_ones.push(stream);
            } else {
                next = Some(next.map_or(until, |other| other.min(until)));
            }
        }
        for stream in late_ones {
            self.http2.reset(stream, ErrorCode::CANCEL);
            self.n_calls -= 1;
            let call = self.calls[stream.slot()].take().expect("it was just looked at");
            ended(call.ticket, Ended::Failed(late(self.call.timeout())), now);
        }
        next
    }

    /// Closes it, behind TLS's goodbye where that is spoken (RFC 8446, 6.1). A server that does not take it is not waited for.
    pub(crate) async fn close(mut self) {
        if self.connection.has_last_word() && self.connection.shutdown(Shutdown::Write).is_ok() {
            let said = poll_fn(|cx| {
                while self.connection.is_sending() && ready!(self.connection.poll_send(cx)).0.is_ok() {}
                Poll::Ready(())
            });
            let _ = timeout(GOODBYE_TIME_MAX, said).await;
        }
    }

    /// Looks after the send under way.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.connection.is_sending()
            && let Poll::Ready((result, buffer)) = self.connection.poll_send(cx)
        {
            if buffer.capacity() <= SPARE_BYTES_MAX {
                self.spare = buffer;
            }
            return result;
        }
        Ok(())
    }

    /// The connection is of no more use.
    fn end_with(&mut self, why: Status, now: Instant, ended: &mut impl FnMut(Ticket, Ended, Instant)) {
        for call in self.calls.drain(..).flatten() {
            ended(call.ticket, Ended::Failed(why.clone()), now);
        }
        self.n_calls = 0;
        self.broken = Some(why);
    }

    /// What the server may be instead.
    fn hint(&self) -> &'static str {
        if self.http2.is_open() || self.is_secure { "" } else { hint(&self.first) }
    }
}

fn broke(why: &dyn std::fmt::Display) -> Status {
    Status::unavailable(format!("the connection broke: {why}"))
}

/// What takes in received bytes: the channel without its socket, which lends them.
struct Intake<'a, F> {
    http2: &'a mut Connection,
    calls: &'a mut Vec<Option<Call>>,
    n_calls: &'a mut usize,
    has_answered: &'a mut bool,
    call: &'a Prepared,
    now: Instant,
    ended: &'a mut F,
}

impl<F: FnMut(Ticket, Ended, Instant)> Intake<'_, F> {
    #[inline]
    fn take(mut self, mut input: &[u8]) {
        while let Some(event) = self.http2.receive(&mut input) {
            self.event(event);
        }
    }

    #[inline]
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Head { stream, head, end } => {
                *self.has_answered = true;
                if self.answer(stream).is_whole(&head, end) {
                    let call = self.take_call(stream);
                    (self.ended)(call.ticket, call.answer.trailers(&head, self.call), self.now);
                    return;
                }
                let judged = self.answer(stream).head(&head, end);
                self.goes_on(stream, judged, end);
            }
            Event::Data { stream, bytes, end } => {
                let call = self.call;
                let judged = self.answer(stream).data(bytes, call);
                let failed = judged.is_err();
                self.goes_on(stream, judged, end);
                if end && !failed {
                    let call = self.take_call(stream);
                    (self.ended)(call.ticket, call.answer.end(), self.now);
                }
            }
            Event::Trailers { stream, head } => {
                let call = self.take_call(stream);
                (self.ended)(call.ticket, call.answer.trailers(&head, self.call), self.now);
            }
            Event::Reset { stream, code } => {
                let status = from_reset(code);
                // 8.7: nothing was done.
                let refused = code == ErrorCode::REFUSED_STREAM;
                self.end(stream, if refused { Ended::Unprocessed(status) } else { Ended::Failed(status) });
            }
            Event::Refused { stream, why } => {
                self.end(stream, Ended::Failed(Status::internal(format!("the answer breaks the protocol: {why}"))));
            }
            Event::Unprocessed { stream } => {
                let why = self.http2.going_away().map_or_else(String::new, ToString::to_string);
                self.end(stream, Ended::Unprocessed(Status::unavailable(format!("the server takes no more calls: {why}"))));
            }
        }
    }

    /// Ends the call if its answer is wrong already; `end`: nothing more would come of it.
    #[inline]
    fn goes_on(&mut self, stream: StreamKey, judged: Result<(), Status>, end: bool) {
        if let Err(status) = judged {
            if !end {
                self.http2.reset(stream, ErrorCode::CANCEL);
            }
            self.end(stream, Ended::Failed(status));
        }
    }

    fn end(&mut self, stream: StreamKey, how: Ended) {
        let call = self.take_call(stream);
        (self.ended)(call.ticket, how, self.now);
    }

    #[inline]
    fn answer(&mut self, stream: StreamKey) -> &mut Answer {
        &mut self.calls[stream.slot()].as_mut().expect("a stream that is told of has a call").answer
    }

    #[inline]
    fn take_call(&mut self, stream: StreamKey) -> Call {
        *self.n_calls -= 1;
        self.calls[stream.slot()].take().expect("a stream that is told of has a call")
    }
}
