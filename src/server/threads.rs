//! The threads of a server: what they tell its supervisor, and their end, which is waited for as long as they were given. One that something blocks for longer is
//! left behind: no thread can be ended from outside.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use loopswap_rt::{Unavailable, deadline_after};

use crate::server::phase::Phase;
use crate::server::worker::STOP_TIMEOUT;
use crate::{Error, ErrorKind};

/// How much longer than it is given a thread may take: what blocks it for less is waited for. With the drain's delay and timeout that `deploy/` has, the end comes
/// before the process is killed there.
const BLOCKED_TIMEOUT: Duration = Duration::from_secs(5);

/// What the supervisor is told.
#[derive(Debug)]
pub(super) enum Report {
    /// By a handle: this was ordered.
    Ordered(Phase),
    /// By the thread of this name.
    Thread(String, Told),
}

/// A worker tells that it is ready and that it has served; each thread, how it ended.
#[derive(Debug)]
pub(super) enum Told {
    Ready,
    /// It has served; so many connections were cut. What is left is its stop hook.
    Served(usize),
    Ended(End),
}

/// How a thread ended.
#[derive(Debug)]
pub(super) enum End {
    Orderly,
    /// Its loop cannot run.
    Unavailable(Unavailable),
    Failed(String),
}

/// What a thread tells by.
#[derive(Clone, Debug)]
pub(super) struct Teller {
    name: String,
    reports: mpsc::Sender<Report>,
}

impl Teller {
    pub(super) fn tell(&self, told: Told) {
        // A supervisor that is gone needs no report.
        let _ = self.reports.send(Report::Thread(self.name.clone(), told));
    }
}

/// How long workers may take to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) drain_delay: Duration,
    pub(super) drain_timeout: Duration,
    pub(super) hook_timeout: Duration,
}

impl Patience {
    /// From this order until it has served.
    fn serving(self, ordered: Phase) -> Duration {
        let given = match ordered {
            Phase::Serving | Phase::Leaving => self.drain_delay.saturating_add(self.drain_timeout),
            Phase::Draining => self.drain_timeout,
            Phase::Stopping => Duration::ZERO,
        };
        given.saturating_add(STOP_TIMEOUT + BLOCKED_TIMEOUT)
    }

    /// From then until its thread has ended.
    fn ending(self) -> Duration {
        self.hook_timeout.saturating_add(BLOCKED_TIMEOUT)
    }
}

/// Those that have not ended.
#[derive(Debug)]
pub(super) struct Threads {
    all: Vec<Member>,
    reports: mpsc::Receiver<Report>,
    /// The channel's other end, for whoever has something to tell.
    teller: mpsc::Sender<Report>,
    patience: Patience,
}

#[derive(Debug)]
struct Member {
    name: String,
    thread: JoinHandle<()>,
    has_served: bool,
    /// It is left behind then. `None`: nothing was ordered yet.
    until: Option<Instant>,
}

impl Threads {
    pub(super) fn new(patience: Patience) -> Self {
        let (teller, reports) = mpsc::channel();
        Self { all: Vec::new(), reports, teller, patience }
    }

    /// Where to tell of orders.
    pub(super) fn reports(&self) -> mpsc::Sender<Report> {
        self.teller.clone()
    }

    /// Starts one. How its `body` ends, by a panic too, is told.
    ///
    /// # Errors
    ///
    /// The system has no thread to give.
    pub(super) fn spawn(
        &mut self,
        thread_name: String,
        name: String,
        body: impl FnOnce(&Teller) -> End + Send + 'static,
    ) -> Result<(), Error> {
        let teller = Teller { name: name.clone(), reports: self.reports() };
        let body = move || {
            let ended = catch_unwind(AssertUnwindSafe(|| body(&teller)));
            teller.tell(Told::Ended(ended.unwrap_or_else(|_| End::Failed("it panicked; see the message above".into()))));
        };
        let thread = thread::Builder::new().name(thread_name).spawn(body).map_err(|error| {
            Error::new(ErrorKind::Worker, format!("the thread of {name} cannot be started: {error}")).with_source(error)
        })?;
        self.all.push(Member { name, thread, has_served: false, until: None });
        Ok(())
    }

    /// Waits until so many workers are ready.
    ///
    /// # Errors
    ///
    /// One has ended instead: its name, and how.
    pub(super) fn until_ready(&mut self, n_workers: usize) -> Result<(), (String, End)> {
        let mut n_ready = 0;
        while n_ready < n_workers {
            match self.next() {
                Some(Report::Thread(_, Told::Ready)) => n_ready += 1,
                Some(Report::Thread(name, Told::Ended(end))) => {
                    self.join(&name);
                    return Err((name, end));
                }
                Some(Report::Thread(_, Told::Served(_)) | Report::Ordered(_)) | None => unreachable!("they are not told to serve yet"),
            }
        }
        Ok(())
    }

    /// Waits until all have ended, or are left behind. How many connections were cut, and what went wrong first, at which `stop` is called.
    pub(super) fn end(&mut self, stop: impl Fn()) -> (usize, Option<String>) {
        let mut n_cut_in_all = 0;
        let mut failure = None;
        while !self.all.is_empty() {
            let wrong = match self.next() {
                Some(Report::Ordered(phase)) => {
                    let until = deadline_after(Instant::now(), self.patience.serving(phase));
                    self.all.iter_mut().filter(|member| !member.has_served).for_each(|member| member.until = Some(until));
                    None
                }
                Some(Report::Thread(_, Told::Ready)) => None,
                Some(Report::Thread(name, Told::Served(n_cut))) => {
                    n_cut_in_all += n_cut;
                    let until = deadline_after(Instant::now(), self.patience.ending());
                    let of_name = self.all.iter_mut().filter(|member| member.name == name);
                    of_name.for_each(|member| (member.has_served, member.until) = (true, Some(until)));
                    None
                }
                Some(Report::Thread(name, Told::Ended(end))) => {
                    self.join(&name);
                    match end {
                        // A loop that cannot run was never ready: the start has failed, and said so of the first of them.
                        End::Orderly | End::Unavailable(_) => None,
                        End::Failed(why) => Some(format!("{name} failed: {why}")),
                    }
                }
                None => Some(self.leave_behind()),
            };
            if wrong.is_some() {
                failure = failure.or(wrong);
                stop();
            }
        }
        (n_cut_in_all, failure)
    }

    /// What is told next; `None` when a thread's time is over.
    fn next(&self) -> Option<Report> {
        match self.all.iter().filter_map(|member| member.until).min() {
            // We hold the channel open ourselves.
            None => self.reports.recv().ok(),
            Some(until) => self.reports.recv_timeout(until.saturating_duration_since(Instant::now())).ok(),
        }
    }

    /// Waits for one that has told its end.
    fn join(&mut self, name: &str) {
        if let Some(place) = self.all.iter().position(|member| member.name == name) {
            // Its panic was told.
            let _ = self.all.remove(place).thread.join();
        }
    }

    /// Gives those up whose time is over, and says which.
    fn leave_behind(&mut self) -> String {
        let now = Instant::now();
        let (late, rest): (Vec<_>, _) =
            mem::take(&mut self.all).into_iter().partition(|member| member.until.is_some_and(|until| until <= now));
        self.all = rest;
        let names: Vec<_> = late
            .iter()
            .map(|member| match member.has_served {
                false => format!("{}, whose handlers block it", member.name),
                true => format!("{}, whose stop hook blocks it, or what it has offloaded", member.name),
            })
            .collect();
        format!("did not end in time, and is left behind: {}", names.join("; "))
    }
}
