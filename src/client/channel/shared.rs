//! What all handles of a channel share with its tasks: the calls that wait, the connection that takes them, and what is known of the last attempt.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use loopswap_rt::{now, spawn_local};
use tonic::Status;

use crate::client::channel::backoff::Backoff;
use crate::client::channel::connector;
use crate::client::channel::endpoint::{Endpoint, Keepalive};
use crate::client::channel::exchange::Exchange;
use crate::client::channel::link::Link;

/// Entries of calls that were given up while they waited, beyond as many as there are others: then they are cleared away.
const STALE_MAX: usize = 64;

/// A channel.
pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// Calls that wait, and some that have been given up meanwhile.
    waiting: VecDeque<Rc<Exchange>>,
    /// Those that wait.
    n_waiting: usize,
    /// The connection that takes calls.
    link: Option<Rc<Link>>,
    is_connecting: bool,
    /// The task that connects.
    connector: Option<Waker>,
    backoff: Backoff,
    /// By how much the server wants to be asked less often than the endpoint says.
    patience: u32,
    is_closing: bool,
    /// Tasks that connect, or drive a connection.
    n_tasks: usize,
    /// Who waits for a connection, or for the end.
    watchers: Vec<Waker>,
}

impl Shared {
    pub(super) fn new(endpoint: Endpoint) -> Rc<Self> {
        Rc::new(Self { endpoint, state: RefCell::new(State { patience: 1, ..State::default() }) })
    }

    // For callers.

    /// Takes a call, which waits until a connection takes it.
    ///
    /// # Errors
    ///
    /// UNAVAILABLE: the channel is closed, or the last attempt to connect has failed and the next may not be made yet. RESOURCE_EXHAUSTED: too many
    /// calls wait.
    pub(super) fn submit(self: &Rc<Self>, exchange: Rc<Exchange>) -> Result<(), Status> {
        let mut state = self.state.borrow_mut();
        if state.is_closing {
            return Err(Status::unavailable("the channel is closed"));
        }
        if state.n_waiting >= self.endpoint.waiting_max {
            let n = state.n_waiting;
            return Err(Status::resource_exhausted(format!("{n} calls wait for {} already", self.endpoint.uri())));
        }
        if state.link.is_none()
            && !state.is_connecting
            && !self.endpoint.waits_for_ready
            && let Some((why, _)) = state.backoff.refusal(now())
        {
            return Err(why.clone());
        }
        state.waiting.push_back(exchange);
        state.n_waiting += 1;
        let link = state.link.clone();
        drop(state);
        match link {
            Some(link) => link.notify(),
            None => self.connect(),
        }
        Ok(())
    }

    /// A call that waited was given up.
    pub(super) fn gave_up(&self) {
        let mut state = self.state.borrow_mut();
        state.n_waiting = state.n_waiting.saturating_sub(1);
        if state.waiting.len() > 2 * state.n_waiting + STALE_MAX {
            state.waiting.retain(|exchange| !exchange.is_over());
        }
        let connector = if state.is_abandoned() { state.connector.take() } else { None };
        drop(state);
        if let Some(connector) = connector {
            connector.wake();
        }
    }

    /// Connects unless that is done, or under way.
    pub(super) fn connect(self: &Rc<Self>) {
        let mut state = self.state.borrow_mut();
        if state.link.is_some() || state.is_connecting {
            return;
        }
        state.is_connecting = true;
        drop(state);
        spawn_local(connector::run(self.task()));
    }

    /// Whether there is a connection; an error when there is none, and none is on its way.
    pub(super) fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let mut state = self.state.borrow_mut();
        if state.link.is_some() {
            return Poll::Ready(Ok(()));
        }
        if !state.is_connecting {
            return Poll::Ready(Err(state.backoff.last().cloned().unwrap_or_else(|| Status::unavailable("the channel is closed"))));
        }
        state.watchers.push(cx.waker().clone());
        Poll::Pending
    }

    /// Takes no more calls, and closes the connection when those under way have ended.
    pub(super) fn close(&self) {
        let mut state = self.state.borrow_mut();
        state.is_closing = true;
        let (link, connector) = (state.link.clone(), state.connector.take());
        drop(state);
        if let Some(link) = link {
            link.notify();
        }
        if let Some(connector) = connector {
            connector.wake();
        }
    }

    /// Whether the last task has ended.
    pub(super) fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        if state.n_tasks == 0 {
            return Poll::Ready(());
        }
        state.watchers.push(cx.waker().clone());
        Poll::Pending
    }

    // For the task that connects.

    /// When the next attempt may be made, if that is not now.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.state.borrow().backoff.refusal(now()).map(|(_, at)| at)
    }

    /// Ready when the channel is being closed and no call waits for a connection.
    pub(super) fn poll_abandoned(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        if state.is_abandoned() {
            return Poll::Ready(());
        }
        state.connector = Some(cx.waker().clone());
        Poll::Pending
    }

    /// There is a connection.
    pub(super) fn connected(&self, link: &Rc<Link>) {
        let mut state = self.state.borrow_mut();
        state.is_connecting = false;
        state.connector = None;
        state.backoff.reset();
        state.link = Some(Rc::clone(link));
        state.wake_watchers();
    }

    /// An attempt has failed. The calls that wait for no other fail with it; returns whether one does.
    pub(super) fn failed(&self, why: Status) -> bool {
        let mut state = self.state.borrow_mut();
        state.backoff.failed(why.clone(), now());
        if self.endpoint.waits_for_ready && state.n_waiting > 0 {
            return true;
        }
        state.stop_connecting();
        let failed = state.take_waiting();
        drop(state);
        for exchange in failed {
            exchange.end(Err(why.clone()));
        }
        false
    }

    // For the task of a connection.

    /// The next call that waits.
    pub(super) fn next_waiting(&self) -> Option<Rc<Exchange>> {
        let mut state = self.state.borrow_mut();
        loop {
            let exchange = state.waiting.pop_front()?;
            if !exchange.is_over() {
                state.n_waiting -= 1;
                return Some(exchange);
            }
        }
    }

    /// Whether a call waits.
    pub(super) fn is_waited_for(&self) -> bool {
        self.state.borrow().n_waiting > 0
    }

    /// Calls that a server has not looked at go before those that wait.
    pub(super) fn wait_again(&self, exchanges: Vec<Rc<Exchange>>) {
        let mut state = self.state.borrow_mut();
        for exchange in exchanges.into_iter().rev().filter(|exchange| !exchange.is_over()) {
            exchange.wait_again();
            state.waiting.push_front(exchange);
            state.n_waiting += 1;
        }
    }

    /// The connection takes no more calls. `was_useless`: it has not taken one since it was opened; calls that wait for it then fail as if there had been
    /// none, because the next may be like it.
    pub(super) fn detach(self: &Rc<Self>, link: &Rc<Link>, was_useless: bool, why: &Status) {
        let mut state = self.state.borrow_mut();
        if !state.link.as_ref().is_some_and(|current| Rc::ptr_eq(current, link)) {
            return;
        }
        state.link = None;
        if state.n_waiting == 0 {
            return;
        }
        drop(state);
        if !was_useless || self.failed(why.clone()) {
            self.connect();
        }
    }

    /// The connection's task was dropped, which the loop's end alone does.
    pub(super) fn forget(&self, link: &Rc<Link>) {
        let mut state = self.state.borrow_mut();
        if !state.link.as_ref().is_some_and(|current| Rc::ptr_eq(current, link)) {
            return;
        }
        state.link = None;
        let lost = state.take_waiting();
        drop(state);
        for exchange in lost {
            exchange.end(Err(loop_ended()));
        }
    }

    /// Whether the connection may go when its calls have ended.
    pub(super) fn is_closing(&self) -> bool {
        let state = self.state.borrow();
        state.is_closing && state.n_waiting == 0
    }

    /// How the server is asked whether it is there.
    pub(super) fn keepalive(&self) -> Option<Keepalive> {
        let patience = self.state.borrow().patience;
        self.endpoint.keepalive.map(|keepalive| Keepalive { interval: keepalive.interval.saturating_mul(patience), ..keepalive })
    }

    /// The server was asked too often: twice as long between two questions from now on (gRFC A8).
    pub(super) fn ask_less(&self) {
        let mut state = self.state.borrow_mut();
        state.patience = state.patience.saturating_mul(2);
    }

    /// How long a call may take by the endpoint.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.endpoint.timeout
    }

    fn task(self: &Rc<Self>) -> OfTask {
        self.state.borrow_mut().n_tasks += 1;
        OfTask { shared: Rc::clone(self), connects: true }
    }
}

impl State {
    fn is_abandoned(&self) -> bool {
        self.is_closing && self.n_waiting == 0
    }

    fn take_waiting(&mut self) -> VecDeque<Rc<Exchange>> {
        self.n_waiting = 0;
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|exchange| !exchange.is_over());
        waiting
    }

    fn stop_connecting(&mut self) {
        self.is_connecting = false;
        self.connector = None;
        self.wake_watchers();
    }

    fn wake_watchers(&mut self) {
        self.watchers.drain(..).for_each(Waker::wake);
    }
}

/// A task's hold on its channel: it counts as one until this is dropped, be it by the loop's end.
pub(super) struct OfTask {
    pub(super) shared: Rc<Shared>,
    connects: bool,
}

impl OfTask {
    /// It connects no more.
    pub(super) fn has_connected(&mut self) {
        self.connects = false;
    }
}

impl Drop for OfTask {
    fn drop(&mut self) {
        let mut state = self.shared.state.borrow_mut();
        state.n_tasks -= 1;
        let mut lost = VecDeque::new();
        if self.connects && state.is_connecting {
            lost = state.take_waiting();
            state.stop_connecting();
        }
        state.wake_watchers();
        drop(state);
        for exchange in lost {
            exchange.end(Err(loop_ended()));
        }
    }
}

/// What calls end with that outlive their loop.
pub(super) fn loop_ended() -> Status {
    Status::unavailable("the loop of the channel has ended")
}
