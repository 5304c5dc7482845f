//! A connection that is opened anew when it breaks, and the calls of a session that go over it.
//!
//! A link is one task: a turn receives once, counts the calls that have ended, begins those that are due, and sends all of them together. A call costs no
//! task, no timer and no allocation.
//!
//! # Which clock
//!
//! A call ends when the receive that brought its last byte came back: the clock is read once for each receive, before its bytes are looked at, so that the time in
//! which this program reads other answers of the same batch is not the server's. A call begins when its batch is about to be written: the clock is read again for that. With a
//! rate it began when it was due, whatever held it up.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use loopswap_rt::{Runtime, deadline_after};
use tonic::Status;

use crate::Error;
use crate::client::{Ended, Prepared, PreparedChannel, Target, Ticket, late};
use crate::load::session::Session;

/// How long to wait between attempts to reconnect; after the last the link is given up. 3 s in all: a server that is restarted is back by then.
const RECONNECT_PAUSES_MS: [u64; 6] = [50, 100, 200, 400, 800, 1600];

/// How long a server may take to accept a connection before the next ones are opened all the same.
const ACCEPTED_WITHIN: Duration = Duration::from_millis(200);

/// How often one call moves on to a new connection, because the one before took no calls.
const MOVES_MAX: u32 = 3;

/// Rounds of receiving and sending in one turn of the task; then the loop's other tasks have theirs.
const ROUNDS_MAX: usize = 4;

/// Calls whose time is over are looked for at most this often.
const EXPIRE_EVERY: Duration = Duration::from_millis(1);

/// A connection, and its successors.
pub(super) struct Link<R: Runtime> {
    runtime: R,
    target: Target,
    call: Rc<Prepared>,
    current: Current<R>,
    /// Connections that take no more calls and have some yet, or something to say.
    parting: Vec<PreparedChannel<R::Connection>>,
    /// Attempts in a row that came to nothing: nobody answered, or no call was.
    n_failures: usize,
    waiting: Waiting,
    now: Instant,
    timer: Option<Timer<R>>,
    /// When to look for calls whose time is over.
    expire_at: Option<Instant>,
}

/// The connection that takes the calls.
enum Current<R: Runtime> {
    Open(Box<PreparedChannel<R::Connection>>),
    Connecting(Opening<R::Connection>),
    Pausing { until: Instant },
    GivenUp(Status),
}

/// An attempt to connect.
type Opening<C> = Pin<Box<dyn Future<Output = Result<PreparedChannel<C>, Error>>>>;

/// Calls that are not under way.
#[derive(Default)]
struct Waiting {
    /// Those whose time runs, in their order.
    due: VecDeque<Ticket>,
    /// The next one's time, when that is still to come.
    next: Option<Instant>,
}

struct Timer<R: Runtime> {
    at: Instant,
    sleep: Pin<Box<R::Sleep>>,
    /// Whom the loop will wake.
    waker: Waker,
}

impl<R: Runtime> Link<R> {
    /// Connects.
    ///
    /// # Errors
    ///
    /// Nobody answers; there is one attempt.
    pub(super) async fn open(runtime: R, target: Target, call: Rc<Prepared>) -> Result<Self, Error> {
        let channel = PreparedChannel::open(&runtime, &target, Rc::clone(&call)).await?;
        Ok(Self {
            now: runtime.now(),
            runtime,
            target,
            call,
            current: Current::Open(Box::new(channel)),
            parting: Vec::new(),
            n_failures: 0,
            waiting: Waiting::default(),
            timer: None,
            expire_at: None,
        })
    }

    /// Waits until the server has accepted the connection, which it has when it speaks; one that never does is left to its calls.
    pub(super) async fn accepted(&mut self) {
        let Self { runtime, current: Current::Open(channel), .. } = self else { return };
        let clock = || runtime.now();
        let _is_late = loopswap_rt::timeout(ACCEPTED_WITHIN, poll_fn(|cx| channel.poll_greeted(cx, &clock))).await;
    }

    /// A turn of the link's task, which has `share` calls in flight as long as there are any. Ready when the session has no more for it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, session: &Session, share: usize) -> Poll<()> {
        self.now = self.runtime.now();
        for _ in 0..ROUNDS_MAX {
            self.poll_timer(cx, session);
            let mut progressed = self.poll_channels(cx, session);
            let has_more = self.take_tickets(session, share);
            self.fail_waiting(session);
            self.begin(session);
            progressed |= self.flush(cx, session);
            session.publish();
            let is_given_up = matches!(self.current, Current::GivenUp(_));
            if (!has_more || is_given_up) && self.n_calls() == 0 && self.waiting.due.is_empty() {
                return Poll::Ready(());
            }
            if !progressed && !self.poll_timer(cx, session) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Calls under way.
    fn n_calls(&self) -> usize {
        let current = if let Current::Open(channel) = &self.current { channel.n_calls() } else { 0 };
        current + self.parting.iter().map(PreparedChannel::n_calls).sum::<usize>()
    }

    /// Receives on all connections, and opens a new one where it must be. Returns whether anything has happened: then more may.
    fn poll_channels(&mut self, cx: &mut Context<'_>, session: &Session) -> bool {
        let Self { runtime, current, parting, waiting, .. } = self;
        let clock = || runtime.now();
        let mut ended = |ticket, how, now| waiting.ended(session, ticket, how, now);
        let mut progressed = false;
        for channel in parting.iter_mut() {
            progressed |= channel.poll(cx, &clock, &mut ended);
        }
        parting.retain(|channel| channel.broken().is_none() && (channel.n_calls() > 0 || !channel.is_flushed()));
        if let Current::Open(channel) = current {
            progressed |= channel.poll(cx, &clock, &mut ended);
        }
        progressed |= self.poll_current(cx, session);
        if progressed {
            self.now = self.runtime.now();
        }
        progressed
    }

    /// Looks after the connection that takes the calls. Returns whether it has become another.
    fn poll_current(&mut self, cx: &mut Context<'_>, session: &Session) -> bool {
        match &mut self.current {
            Current::Open(channel) if channel.is_closed_to_new() => {
                let status = channel.broken().cloned();
                let has_answered = channel.has_answered();
                let why = status.clone().unwrap_or_else(|| Status::unavailable("the server takes no calls"));
                self.n_failures = if has_answered { 0 } else { self.n_failures };
                let next = if has_answered { self.connect() } else { self.try_again_later(why, session) };
                if let Current::Open(channel) = std::mem::replace(&mut self.current, next)
                    && status.is_none()
                {
                    self.parting.push(*channel);
                }
                true
            }
            Current::Open(_) | Current::GivenUp(_) => false,
            Current::Connecting(connecting) => {
                let Poll::Ready(connected) = connecting.as_mut().poll(cx) else { return false };
                self.current = match connected {
                    Ok(channel) => Current::Open(Box::new(channel)),
                    Err(error) => self.try_again_later(Status::unavailable(error.to_string()), session),
                };
                true
            }
            Current::Pausing { until } if *until <= self.now => {
                self.current = self.connect();
                true
            }
            Current::Pausing { .. } => false,
        }
    }

    fn connect(&self) -> Current<R> {
        let (runtime, target, call) = (self.runtime.clone(), self.target.clone(), Rc::clone(&self.call));
        Current::Connecting(Box::pin(async move { PreparedChannel::open(&runtime, &target, call).await }))
    }

    /// After an attempt that came to nothing.
    fn try_again_later(&mut self, why: Status, session: &Session) -> Current<R> {
        let Some(pause_ms) = RECONNECT_PAUSES_MS.get(self.n_failures) else {
            session.give_up(why.clone());
            return Current::GivenUp(why);
        };
        self.n_failures += 1;
        Current::Pausing { until: self.now + Duration::from_millis(*pause_ms) }
    }

    /// Takes calls that are due, up to its share in flight. Returns whether there are more to come.
    fn take_tickets(&mut self, session: &Session, share: usize) -> bool {
        let timeout = self.call.timeout();
        let mut n_missing = share.saturating_sub(self.n_calls() + self.waiting.due.len());
        while n_missing > 0 {
            let Some(due) = self.waiting.next.take().or_else(|| session.next(self.now)) else { return false };
            if session.is_stopping() {
                return false;
            }
            if due > self.now {
                self.waiting.next = Some(due);
                return true;
            }
            session.begun();
            self.waiting.due.push_back(Ticket { due, until: deadline_after(self.now, timeout), n_moves: 0 });
            self.expire_at.get_or_insert_with(|| deadline_after(self.now, timeout));
            n_missing -= 1;
        }
        true
    }

    /// Begins calls that wait, as many as the connection takes.
    fn begin(&mut self, session: &Session) {
        if session.is_stopping() {
            return;
        }
        if let Current::Open(channel) = &mut self.current {
            while channel.can_begin()
                && let Some(ticket) = self.waiting.due.pop_front()
            {
                channel.begin(ticket);
            }
        }
    }

    /// Sends what was written on all connections. Returns whether one of them broke by it.
    fn flush(&mut self, cx: &mut Context<'_>, session: &Session) -> bool {
        let Self { current, parting, waiting, now, .. } = self;
        let mut ended = |ticket, how, now| waiting.ended(session, ticket, how, now);
        let mut broke = false;
        if let Current::Open(channel) = current {
            broke |= channel.flush(cx, *now, &mut ended);
        }
        for channel in parting {
            broke |= channel.flush(cx, *now, &mut ended);
        }
        broke
    }

    /// Ends the calls that wait, if there will be no connection for them.
    fn fail_waiting(&mut self, session: &Session) {
        if let Current::GivenUp(why) = &self.current {
            if let Some(due) = self.waiting.next.take() {
                session.begun();
                session.ended(Ended::Failed(why.clone()), due.min(self.now), self.now);
            }
            for ticket in self.waiting.due.drain(..) {
                session.ended(Ended::Failed(why.clone()), ticket.due, self.now);
            }
        }
    }

    /// Keeps one timer of the loop armed, for whatever is due first. One that is armed for too early a time is left: when it fires, nothing is due.
    /// Returns whether it has fired.
    fn poll_timer(&mut self, cx: &mut Context<'_>, session: &Session) -> bool {
        let mut fired = false;
        loop {
            let pause = if let Current::Pausing { until } = self.current { Some(until) } else { None };
            // What is due already waits for one of the calls in flight to end.
            let next = self.waiting.next.filter(|next| *next > self.now);
            let Some(due) = [next, self.expire_at, pause].into_iter().flatten().min() else {
                self.timer = None;
                return fired;
            };
            let timer = match &mut self.timer {
                Some(timer) if timer.at <= due => timer,
                timer => timer.insert(Timer { at: due, sleep: Box::pin(self.runtime.sleep_until(due)), waker: Waker::noop().clone() }),
            };
            if self.now < timer.at && timer.waker.will_wake(cx.waker()) {
                return fired;
            }
            timer.waker.clone_from(cx.waker());
            if timer.sleep.as_mut().poll(cx).is_pending() {
                return fired;
            }
            self.timer = None;
            self.now = self.runtime.now();
            self.expire(session);
            fired = true;
            if next.is_some_and(|next| next <= self.now) || pause.is_some_and(|until| until <= self.now) {
                // Its turn is the caller's next round.
                return true;
            }
        }
    }

    /// Ends the calls whose time is over, if it is time to look.
    fn expire(&mut self, session: &Session) {
        if self.expire_at.is_none_or(|at| at > self.now) {
            return;
        }
        let (now, timeout) = (self.now, self.call.timeout());
        let mut next: Option<Instant> = None;
        let mut earliest = |until: Option<Instant>| next = [next, until].into_iter().flatten().min();
        self.waiting.due.retain(|ticket| {
            let is_late = ticket.until <= now;
            if is_late {
                session.ended(Ended::Failed(late(timeout)), ticket.due, now);
            } else {
                earliest(Some(ticket.until));
            }
            !is_late
        });
        let Self { current, parting, waiting, .. } = self;
        let mut ended = |ticket, how, now| waiting.ended(session, ticket, how, now);
        if let Current::Open(channel) = current {
            earliest(channel.expire(now, &mut ended));
        }
        for channel in parting {
            earliest(channel.expire(now, &mut ended));
        }
        self.expire_at = next.map(|next| next.max(now + EXPIRE_EVERY));
    }
}

impl Waiting {
    /// A call has ended on a connection: it is counted, or makes another attempt.
    #[inline]
    fn ended(&mut self, session: &Session, ticket: Ticket, how: Ended, now: Instant) {
        match how {
            Ended::Unprocessed(_) if ticket.n_moves < MOVES_MAX => self.due.push_front(Ticket { n_moves: ticket.n_moves + 1, ..ticket }),
            Ended::Unprocessed(status) => session.ended(Ended::Failed(status), ticket.due, now),
            how => session.ended(how, ticket.due, now),
        }
    }
}
