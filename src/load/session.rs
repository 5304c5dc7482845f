//! One series of calls: the tickets, and the tasks that use them up.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use loopswap_rt::{Runtime, deadline_after, timeout};
use tokio::sync::{Notify, watch};
use tonic::Status;

use crate::client::Prepared;
use crate::load::link::{Called, Caller, Link};
use crate::load::tally::{Outcome, Tally};
use crate::load::workload::Judge;
use crate::load::{Amount, Early, Plan, Progress, Report};

/// How long calls under way may take to end after the run was told to stop; then they are left uncounted.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Makes the calls of a plan over these links, and reports.
///
/// # Cancel safety
///
/// Dropping the future leaves the calls to their tasks, which end with the loop.
pub(super) async fn run<R: Runtime>(
    runtime: &R,
    links: &[Rc<Link<R>>],
    plan: &Plan,
    call: &Rc<Prepared>,
    judge: &Rc<Judge>,
    progress: Arc<Progress>,
    stop: &mut watch::Receiver<bool>,
) -> Report {
    let session = Rc::new(Session::new(runtime.now(), plan, Rc::clone(call), Rc::clone(judge), progress));
    for n in 0..plan.concurrency {
        let (on, session, link) = (runtime.clone(), TaskOf::new(&session), Rc::clone(&links[n % links.len()]));
        runtime.spawn(async move {
            let caller = link.caller().await;
            session.0.call_in_turn(&on, caller).await;
        });
    }
    let interrupted = !unless_stopped(stop, session.idle()).await;
    if interrupted {
        session.stopping.set(true);
        // Those that take longer are reported as abandoned.
        let _ = timeout(STOP_TIMEOUT, session.idle()).await;
    }
    let given_up = session.given_up.take().filter(|_| session.next(runtime.now()).is_some());
    let early = if interrupted { Some(Early::Interrupted) } else { given_up.map(Early::GivenUp) };
    session.tally.borrow().report(early, session.in_flight.get())
}

/// Waits for the future; `false` when the order to stop came first.
async fn unless_stopped(stop: &mut watch::Receiver<bool>, future: impl Future<Output = ()>) -> bool {
    let mut stopped = pin!(stop.wait_for(|stop| *stop));
    let mut future = pin!(future);
    poll_fn(|cx| {
        if stopped.as_mut().poll(cx).is_ready() {
            return Poll::Ready(false);
        }
        future.as_mut().poll(cx).map(|()| true)
    })
    .await
}

/// A series of calls under way.
struct Session {
    amount: Amount,
    rps: u32,
    call: Rc<Prepared>,
    judge: Rc<Judge>,
    start: Instant,
    /// Calls handed out so far.
    n_tickets: Cell<u64>,
    /// No call begins any more: the run was told to stop.
    stopping: Cell<bool>,
    n_tasks: Cell<usize>,
    in_flight: Cell<u64>,
    /// Told when the session may have become idle.
    idle: Notify,
    /// Why a link was given up; the last one.
    given_up: RefCell<Option<Status>>,
    tally: RefCell<Tally>,
    progress: Arc<Progress>,
}

/// A task's share in its session, which knows by it how many there are.
struct TaskOf(Rc<Session>);

impl TaskOf {
    fn new(session: &Rc<Session>) -> Self {
        session.n_tasks.set(session.n_tasks.get() + 1);
        Self(Rc::clone(session))
    }
}

impl Drop for TaskOf {
    fn drop(&mut self) {
        self.0.n_tasks.set(self.0.n_tasks.get() - 1);
        self.0.tell_idle();
    }
}

impl Session {
    fn new(start: Instant, plan: &Plan, call: Rc<Prepared>, judge: Rc<Judge>, progress: Arc<Progress>) -> Self {
        Self {
            amount: plan.amount,
            rps: plan.rps,
            call,
            judge,
            start,
            n_tickets: Cell::new(0),
            stopping: Cell::new(false),
            n_tasks: Cell::new(0),
            in_flight: Cell::new(0),
            idle: Notify::new(),
            given_up: RefCell::new(None),
            tally: RefCell::new(Tally::new(start)),
            progress,
        }
    }

    /// A task: makes one call after the other until there are no more.
    async fn call_in_turn<R: Runtime>(&self, runtime: &R, mut caller: Caller<'_, R>) {
        while let Some(due) = self.next(runtime.now()) {
            if due > runtime.now() {
                runtime.sleep_until(due).await;
                if self.stopping.get() {
                    return;
                }
            }
            self.in_flight.set(self.in_flight.get() + 1);
            let called = caller.call(&self.call).await;
            self.in_flight.set(self.in_flight.get() - 1);
            let link_ended = matches!(called, Called::GivenUp(_));
            let reply = match called {
                Called::Ended(reply) => reply,
                Called::GivenUp(status) => {
                    self.given_up.replace(Some(status.clone()));
                    Err(status)
                }
            };
            self.count(reply, due, runtime.now());
            if link_ended {
                return;
            }
            self.tell_idle();
        }
    }

    /// When the next call is due; `None` when there is none.
    fn next(&self, now: Instant) -> Option<Instant> {
        let n = self.n_tickets.get();
        let due = match self.rps {
            0 => now,
            rps => deadline_after(self.start, Duration::from_nanos((u128::from(n) * 1_000_000_000 / u128::from(rps)) as u64)),
        };
        let is_over = self.stopping.get()
            || match self.amount {
                Amount::Calls(total) => n >= total,
                // With a rate that is not kept up with, calls become due long before they can begin.
                Amount::Time(time) => due.max(now).duration_since(self.start) >= time,
            };
        self.n_tickets.set(n + u64::from(!is_over));
        (!is_over).then_some(due)
    }

    fn count(&self, reply: Result<Bytes, Status>, due: Instant, now: Instant) {
        let outcome = self.judge(reply);
        self.progress.n_ended.fetch_add(1, Ordering::Relaxed);
        self.progress.n_failed.fetch_add(u64::from(!matches!(outcome, Outcome::Right)), Ordering::Relaxed);
        self.tally.borrow_mut().add(outcome, due, now);
    }

    fn judge(&self, reply: Result<Bytes, Status>) -> Outcome {
        match reply {
            Ok(message) => self.judge.check(&message).map_or_else(Outcome::Wrong, |()| Outcome::Right),
            Err(status) => Outcome::Failed(status),
        }
    }

    fn is_idle(&self) -> bool {
        self.n_tasks.get() == 0 || (self.stopping.get() && self.in_flight.get() == 0)
    }

    fn tell_idle(&self) {
        if self.is_idle() {
            self.idle.notify_one();
        }
    }

    /// Waits until all calls are done; while stopping, until none is under way.
    async fn idle(&self) {
        while !self.is_idle() {
            self.idle.notified().await;
        }
    }
}
