//! One call, from its head to the end of its answer.

use std::mem;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use loopswap_rt::deadline_after;
use tonic::Status;

use crate::grpc::admission::Permit;
use crate::grpc::answer::{Answer, Stage};
use crate::grpc::deadline::Within;
use crate::grpc::encoding::Encoding;
use crate::grpc::framing::{PREFIX_BYTES, Prefix, cut_off, no_message, several_messages};
use crate::grpc::inflation::Inflation;
use crate::grpc::verdict::{deadline_exceeded, judge, read_timeout};
use crate::grpc::{Admission, CallId, Head, Inbox, Origin, PANICKED, Route, TakesMany, TakesOne, Transport, Work, contained};
use crate::http2::ErrorCode;
use crate::observe::{Entered, Observer, Watched};
use crate::service::Router;

/// A call under way.
///
/// An engine opens it with the request's head, feeds it the body, polls it after that and when it was woken, and drops it when the poll is
/// ready. Dropped earlier, because the client cancelled or the connection is gone, it drops its handler at once and answers nothing.
///
/// No panic of a handler, of its stream or of anything that it holds leaves a call.
pub(crate) struct Call {
    answer: Answer,
    deadline: Option<Instant>,
    state: State,
    /// Its place among the worker's calls, where those are counted.
    permit: Option<Permit>,
}

/// A request whose head has come, and who else has to do with it.
pub(crate) struct Arrival<'a> {
    pub(crate) head: Head,
    /// It has no body.
    pub(crate) ends: bool,
    pub(crate) now: Instant,
    /// Asked, where the worker has one, with the number of the connection's calls under way.
    pub(crate) admission: Option<(&'a Rc<Admission>, usize)>,
    pub(crate) observer: Option<&'a Rc<Observer>>,
}

impl Arrival<'_> {
    /// It has come now, and concerns nobody else.
    #[cfg(test)]
    pub(super) fn alone(head: Head, ends: bool) -> Self {
        Self { head, ends, now: Instant::now(), admission: None, observer: None }
    }
}

enum State {
    /// The request's one message is not whole yet.
    Gathering { method: Rc<dyn TakesOne>, head: Head, gathered: Vec<u8> },
    /// It is, but compressed.
    Inflating { method: Rc<dyn TakesOne>, head: Head, inflation: Box<Inflation> },
    /// The handler runs; what arrives goes to its inbox, if it has one.
    Running { work: Work, inbox: Option<Rc<Inbox>>, plain: bool },
    /// The answer is complete.
    Over,
}

impl State {
    /// Begins a method that takes its request as it comes.
    fn begin(method: &dyn TakesMany, head: Head, deadline: Option<Instant>, plain: bool, answer: &mut Answer) -> Self {
        let inbox = Rc::new(answer.inbox());
        let origin = Origin::new(head, deadline, None);
        match inside(deadline, answer.enter(), || method.start(Rc::clone(&inbox), origin, answer)) {
            Some(work) => Self::Running { work, inbox: Some(inbox), plain },
            None => {
                answer.status(&Status::internal(PANICKED));
                Self::Over
            }
        }
    }
}

/// Answers a request whose header list is larger than the engine's limit, so that it has no head: RESOURCE_EXHAUSTED (statuscodes.md), by trailers
/// alone.
pub(crate) fn refuse_headers(transport: Rc<dyn Transport>, id: CallId, observer: Option<&Rc<Observer>>, now: Instant) {
    let answer = Answer::new(transport, id, observer.map(|observer| Watched::new(observer, now)));
    if let Some(watched) = answer.watched() {
        watched.name_none(answer.peer().as_deref());
    }
    answer.status(&Status::resource_exhausted("the header list is larger than the server's limit"));
}

impl Call {
    /// Routes and judges a request. `None`: it was refused, and that was answered already. One without a body [ends](Self::end) next.
    pub(crate) fn open(router: &Router, arrival: Arrival<'_>, transport: Rc<dyn Transport>, id: CallId) -> Option<Self> {
        let Arrival { head, ends, now, admission, observer } = arrival;
        let mut answer = Answer::new(transport, id, observer.map(|observer| Watched::new(observer, now)));
        // The router is the connection's, as the heads are: what it once said of a head stays true.
        let admitted = head.with_verdict(
            |head| judge(router, head),
            || answer.peer(),
            |verdict, known| {
                if let Some(watched) = answer.watched() {
                    watched.name(&head, known);
                }
                match verdict {
                    Ok(admitted) => Some((admitted.route.clone(), admitted.opening, admitted.timeout, admitted.expects_continue)),
                    Err(refusal) => {
                        refusal.answer(&answer);
                        None
                    }
                }
            },
        );
        let (route, opening, mut timeout, expects_continue) = admitted?;
        answer.open_with(opening);
        if let Some(own) = head.own_timeout()
            && !matches!(route, Route::Plain(_))
        {
            match read_timeout(own) {
                Ok(own) => timeout = Some(own),
                Err(refusal) => {
                    refusal.answer(&answer);
                    return None;
                }
            }
        }
        let permit = match admission {
            Some((admission, n_calls)) if !matches!(route, Route::Plain(_)) => match admission.admit(&head, n_calls) {
                Ok(permit) => permit,
                Err(refusal) => {
                    refusal.answer(&answer);
                    return None;
                }
            },
            _ => None,
        };
        if expects_continue && !ends {
            answer.go_ahead();
        }
        let deadline = timeout.map(|timeout| deadline_after(now, timeout));
        let state = match route {
            Route::TakesOne(method) => State::Gathering { method, head, gathered: Vec::new() },
            Route::TakesMany(method) | Route::Tonic(method) => State::begin(&*method, head, deadline, false, &mut answer),
            Route::Plain(method) => State::begin(&*method, head, deadline, true, &mut answer),
        };
        Some(Self { answer, deadline, state, permit })
    }

    /// A part of the request's body, cut anywhere. `end`: the request ends with it.
    pub(crate) fn data(&mut self, bytes: &[u8], end: bool) {
        if let Some(watched) = self.answer.watched() {
            watched.received(bytes);
        }
        match &mut self.state {
            State::Gathering { gathered, .. } => {
                self.answer.release(bytes.len());
                let in_parts;
                let message = if gathered.is_empty() && end {
                    bytes
                } else {
                    let Some(gathered) = self.gather(bytes, end) else { return };
                    in_parts = gathered;
                    &in_parts
                };
                self.take(message);
            }
            State::Running { inbox: Some(inbox), .. } => inbox.put(bytes, end),
            State::Running { inbox: None, .. } | State::Inflating { .. } | State::Over => self.answer.release(bytes.len()),
        }
    }

    /// The request ends without a body, or by trailers, which say nothing (PROTOCOL-HTTP2, "Requests").
    pub(crate) fn end(&mut self) {
        self.data(&[], true);
    }

    /// Runs the handler. Ready: the answer is complete.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let State::Inflating { inflation, .. } = &mut self.state {
            let inflated = ready!(inflation.poll(cx));
            self.take_inflated(inflated);
        }
        match &mut self.state {
            State::Gathering { .. } | State::Inflating { .. } => Poll::Pending,
            State::Over => Poll::Ready(()),
            State::Running { .. } if self.permit.as_mut().is_some_and(|permit| !permit.may_run()) => {
                self.shed();
                Poll::Ready(())
            }
            State::Running { work, .. } => {
                let answer = &self.answer;
                match inside(self.deadline, answer.enter(), || work.as_mut().poll(cx, answer)) {
                    Some(Poll::Pending) => return Poll::Pending,
                    Some(Poll::Ready(())) => self.close(),
                    None => self.panicked(),
                }
                Poll::Ready(())
            }
        }
    }

    /// When [`expire`](Self::expire) is to be called, unless the call is over by then.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The deadline has passed: the handler is dropped, and the client told. It has probably given up by itself.
    pub(crate) fn expire(&mut self) {
        self.fail(&deadline_exceeded());
    }

    /// Ends the call with this status: its handler is dropped.
    pub(crate) fn fail(&mut self, status: &Status) {
        self.close();
        self.answer.status(status);
    }

    /// The request's one message, prefix included, which need be neither right nor whole.
    #[inline]
    fn take(&mut self, bytes: &[u8]) {
        let State::Gathering { method, head, .. } = mem::replace(&mut self.state, State::Over) else {
            unreachable!("a message is taken where one is gathered");
        };
        let decode_bytes_max = method.terms().limits.decode_bytes_max;
        match one_message(bytes, decode_bytes_max, &head) {
            Ok((message, None)) => self.dispatch(&*method, head, message, None),
            Ok((message, Some(encoding))) => match self.answer.inflation(encoding, message, decode_bytes_max) {
                Ok(inflation) => self.state = State::Inflating { method, head, inflation: Box::new(inflation) },
                Err(status) => self.answer.status(&status),
            },
            Err(status) => self.answer.status(&status),
        }
    }

    /// The message is inflated, or never will be.
    fn take_inflated(&mut self, inflated: Result<Vec<u8>, Status>) {
        let State::Inflating { method, head, inflation } = mem::replace(&mut self.state, State::Over) else {
            unreachable!("a message is inflated where one is being inflated");
        };
        match inflated {
            Ok(message) => self.dispatch(&*method, head, &message, Some(inflation.encoding())),
            Err(status) => self.answer.status(&status),
        }
    }

    /// Runs the handler with its message, which was compressed so. Each of its two callers has a copy, so that what it makes is made where it stays.
    #[inline(always)]
    fn dispatch(&mut self, method: &dyn TakesOne, head: Head, message: &[u8], encoding: Option<Encoding>) {
        debug_assert!(matches!(self.state, State::Over), "its request was taken out");
        let origin = Origin::new(head, self.deadline, encoding);
        let answer = &mut self.answer;
        match inside(self.deadline, answer.enter(), || method.start(message, origin, answer)) {
            // It had neither its request nor its work meanwhile, so nothing is there to be dropped; and nobody need look.
            Some(Ok(work)) => mem::forget(mem::replace(&mut self.state, State::Running { work, inbox: None, plain: false })),
            Some(Err(status)) => self.answer.status(&status),
            None => self.panicked(),
        }
    }

    /// Collects a message that does not come in one piece, and returns it when it has ended. It is refused as soon as it can be, and never kept beyond its
    /// limit.
    fn gather(&mut self, bytes: &[u8], end: bool) -> Option<Vec<u8>> {
        let State::Gathering { method, head, gathered } = &mut self.state else {
            unreachable!("called while gathering");
        };
        let kept = if end {
            self.answer.partials().give_back(gathered.len());
            Ok(())
        } else {
            self.answer.partials().keep(bytes.len())
        };
        if let Err(status) = kept {
            self.close();
            self.answer.status(&status);
            return None;
        }
        // As much as came, and no more: what was announced may never come.
        gathered.extend_from_slice(bytes);
        if end {
            return Some(mem::take(gathered));
        }
        let refused = match Prefix::parse(gathered, method.terms().limits.decode_bytes_max, || head.encoding()) {
            Ok(Some(prefix)) if gathered.len() > PREFIX_BYTES + prefix.len => Some(several_messages()),
            Ok(_) => None,
            Err(status) => Some(status),
        };
        if let Some(status) = refused {
            self.close();
            self.answer.status(&status);
        }
        None
    }

    /// The worker has fallen behind, and the handler has not begun.
    fn shed(&mut self) {
        self.close();
        if let Some(permit) = &self.permit {
            permit.refusal().answer(&self.answer);
        }
    }

    /// What a handler's panic answers.
    fn panicked(&mut self) {
        let plain = matches!(self.state, State::Running { plain: true, .. });
        self.close();
        if !plain {
            self.answer.status(&Status::internal(PANICKED));
        } else if self.answer.stage() == Stage::Awaited {
            self.answer.plain_head(http::StatusCode::INTERNAL_SERVER_ERROR, &http::HeaderMap::new(), true);
        } else {
            self.answer.reset(ErrorCode::INTERNAL_ERROR);
        }
    }

    /// Drops all that the call was doing.
    fn close(&mut self) {
        match mem::replace(&mut self.state, State::Over) {
            State::Running { work, inbox, .. } => {
                // Destructors of a handler may panic; the answer is none the worse for it.
                let _ = inside(self.deadline, self.answer.enter(), || drop(work));
                if let Some(inbox) = inbox {
                    inbox.close();
                }
            }
            State::Gathering { gathered, .. } => {
                if !gathered.is_empty() {
                    self.answer.partials().give_back(gathered.len());
                }
            }
            State::Inflating { .. } | State::Over => {}
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !matches!(self.state, State::Over) {
            self.close();
        }
        // The answer may be in the hands of a task of the handler's, which outlives it.
        if let Some(watched) = self.answer.watched() {
            watched.end();
        }
    }
}

/// The value of a handler's code, run as a part of its call: it finds the call's deadline and span, and its panic, `None`, stays here. It adds less to its few
/// callers than a call of it would cost.
#[inline(always)]
fn inside<T>(deadline: Option<Instant>, span: Option<Entered>, work: impl FnOnce() -> T) -> Option<T> {
    let within = Within::enter(deadline);
    let value = contained(work);
    drop(within);
    // To look here, rather than where spans are dropped, is what a call without one pays.
    if let Some(span) = span {
        drop(span);
    }
    value
}

/// The bytes of the one message that a request consists of, and how they are compressed.
///
/// # Errors
///
/// UNIMPLEMENTED for none and for several (statuscodes.md: a cardinality violation); INTERNAL for a broken one; RESOURCE_EXHAUSTED for one over the
/// limit.
fn one_message<'a>(bytes: &'a [u8], decode_bytes_max: usize, head: &Head) -> Result<(&'a [u8], Option<Encoding>), Status> {
    if bytes.is_empty() {
        return Err(no_message());
    }
    let prefix = Prefix::parse(bytes, decode_bytes_max, || head.encoding())?.ok_or_else(cut_off)?;
    let message = &bytes[PREFIX_BYTES..];
    match message.len().cmp(&prefix.len) {
        std::cmp::Ordering::Less => Err(cut_off()),
        std::cmp::Ordering::Equal => Ok((message, prefix.encoding)),
        std::cmp::Ordering::Greater => Err(several_messages()),
    }
}
