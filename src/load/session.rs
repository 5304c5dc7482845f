//! One series of calls: the tickets, the links that use them up, and what they come to.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use loopswap_rt::{Runtime, deadline_after, timeout};
use tokio::sync::{Notify, watch};
use tonic::Status;

use crate::client::Ended;
use crate::load::link::Link;
use crate::load::tally::{Outcome, Tally};
use crate::load::workload::Judge;
use crate::load::{Amount, Early, Messages, Plan, Progress, Report};

/// How long calls under way may take to end after the run was told to stop; then they are left uncounted.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Makes the calls of a plan over these links, and reports.
///
/// # Cancel safety
///
/// Dropping the future leaves the calls to the links' tasks, which end with the loop.
pub(super) async fn run<R: Runtime>(
    runtime: &R,
    links: &[Rc<RefCell<Link<R>>>],
    plan: &Plan,
    judge: &Rc<Judge>,
    progress: Arc<Progress>,
    stop: &mut watch::Receiver<bool>,
) -> Report {
    let session = Rc::new(Session::new(runtime.now(), plan, Rc::clone(judge), progress));
    for (n, link) in links.iter().enumerate() {
        let (task, link) = (TaskOf::new(&session), Rc::clone(link));
        let share = plan.share(n);
        runtime.spawn(async move {
            let task = task;
            poll_fn(|cx| link.borrow_mut().poll(cx, &task.0, share)).await;
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
    let report = session.tally.borrow().report(early, session.n_begun.get() - session.n_ended.get());
    let messages = plan.workload.sends().map(|sent| Messages { sent_a_call: sent as u64, received: session.tally.borrow().n_messages() });
    Report { messages, ..report }
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
pub(super) struct Session {
    amount: Amount,
    rps: u32,
    judge: Rc<Judge>,
    start: Instant,
    /// Calls handed out so far.
    n_tickets: Cell<u64>,
    /// No call begins any more: the run was told to stop.
    stopping: Cell<bool>,
    n_tasks: Cell<usize>,
    /// Calls whose time has begun to run, and those of them that have ended.
    n_begun: Cell<u64>,
    n_ended: Cell<u64>,
    n_failed: Cell<u64>,
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
    fn new(start: Instant, plan: &Plan, judge: Rc<Judge>, progress: Arc<Progress>) -> Self {
        Self {
            amount: plan.amount,
            rps: plan.rps,
            judge,
            start,
            n_tickets: Cell::new(0),
            stopping: Cell::new(false),
            n_tasks: Cell::new(0),
            n_begun: Cell::new(0),
            n_ended: Cell::new(0),
            n_failed: Cell::new(0),
            idle: Notify::new(),
            given_up: RefCell::new(None),
            tally: RefCell::new(Tally::new(start)),
            progress,
        }
    }

    /// When the next call is due; `None` when there is none.
    #[inline]
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let n = self.n_tickets.get();
        let due = match self.rps {
            0 => now,
            rps => deadline_after(self.start, Duration::from_nanos((u128::from(n) * 1_000_000_000 / u128::from(rps)) as u64)),
        };
        let is_over = self.stopping.get()
            || match self.amount {
                Amount::Calls(total) => n >= total,
                // With a rate that is not kept up with, calls become due long before they can begin.
                Amount::Time(time) => due.max(now).saturating_duration_since(self.start) >= time,
            };
        self.n_tickets.set(n + u64::from(!is_over));
        (!is_over).then_some(due)
    }

    /// Whether no call is to begin any more.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// A call's time runs from now on.
    #[inline]
    pub(super) fn begun(&self) {
        self.n_begun.set(self.n_begun.get() + 1);
    }

    /// Counts a call that was due at one time and ended at another.
    #[inline]
    pub(super) fn ended(&self, how: Ended, due: Instant, now: Instant) {
        let outcome = self.judge.outcome(how);
        self.n_ended.set(self.n_ended.get() + 1);
        if !matches!(outcome, Outcome::Right { .. }) {
            self.n_failed.set(self.n_failed.get() + 1);
        }
        self.tally.borrow_mut().add(outcome, due, now);
    }

    /// A link has no connection, and will have none.
    pub(super) fn give_up(&self, why: Status) {
        self.given_up.replace(Some(why));
    }

    /// Shows how far it is. Done once for each batch: nobody looks as often as calls end.
    pub(super) fn publish(&self) {
        self.progress.n_ended.store(self.n_ended.get(), Ordering::Relaxed);
        self.progress.n_failed.store(self.n_failed.get(), Ordering::Relaxed);
        if self.stopping.get() {
            self.tell_idle();
        }
    }

    fn is_idle(&self) -> bool {
        self.n_tasks.get() == 0 || (self.stopping.get() && self.n_begun == self.n_ended)
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
