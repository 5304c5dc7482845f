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

/// Who is still starting after this time is told of; and again whenever as much time as before has passed once more, so that it is a few lines a day.
const SLOW_START: Duration = Duration::from_secs(5);

/// What the supervisor is told.
#[derive(Debug)]
pub(super) enum Report {
    /// By a handle: this was ordered.
    Ordered(Phase),
    /// By the thread of this name.
    Thread(String, Told),
}

/// A thread tells that it is ready; a worker, that it has served; each thread, how it ended.
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
    stage: Stage,
    /// It is left behind then. `None`: nothing was ordered yet.
    until: Option<Instant>,
}

/// How far one has come, and so what may block it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Starting,
    Serving,
    Served,
}

impl Stage {
    fn blocked_by(self) -> &'static str {
        match self {
            Self::Starting => "whose start hook blocks it",
            Self::Serving => "whose handlers block it",
            Self::Served => "whose stop hook blocks it, or what it has offloaded",
        }
    }
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
        self.all.push(Member { name, thread, stage: Stage::Starting, until: None });
        Ok(())
    }

    /// Waits until all are ready, which are workers, for as long as it takes; and warns of those that take long. A hook that waits is ended in its time; one that blocks its
    /// thread is not, and may still come to its end.
    ///
    /// # Errors
    ///
    /// One has ended instead: its name, and how.
    pub(super) fn until_ready(&mut self) -> Result<(), (String, End)> {
        let begun = Instant::now();
        let mut patience = SLOW_START;
        while self.starting().next().is_some() {
            match self.reports.recv_timeout((begun + patience).saturating_duration_since(Instant::now())) {
                Ok(Report::Thread(name, Told::Ready)) => self.of_name(&name, |member| member.stage = Stage::Serving),
                Ok(Report::Thread(name, Told::Ended(end))) => {
                    self.join(&name);
                    return Err((name, end));
                }
                Ok(Report::Thread(_, Told::Served(_)) | Report::Ordered(_)) => unreachable!("they are not told to serve yet"),
                // We hold the channel open ourselves.
                Err(_) => {
                    for Member { name, .. } in self.starting() {
                        tracing::warn!(
                            "{name} has not started after {patience:?}: its start hook, or what makes its service, is still running"
                        );
                    }
                    patience *= 2;
                }
            }
        }
        Ok(())
    }

    fn starting(&self) -> impl Iterator<Item = &Member> {
        self.all.iter().filter(|member| member.stage == Stage::Starting)
    }

    fn of_name(&mut self, name: &str, change: impl FnMut(&mut Member)) {
        self.all.iter_mut().filter(|member| member.name == name).for_each(change);
    }

    /// Waits until all have ended, or are left behind. How many connections were cut, and what went wrong first, at which `stop` is called.
    pub(super) fn end(&mut self, stop: impl Fn()) -> (usize, Option<String>) {
        let mut n_cut_in_all = 0;
        let mut failure = None;
        while !self.all.is_empty() {
            let wrong = match self.next() {
                Some(Report::Ordered(phase)) => {
                    let until = deadline_after(Instant::now(), self.patience.serving(phase));
                    self.all.iter_mut().filter(|member| member.stage != Stage::Served).for_each(|member| member.until = Some(until));
                    None
                }
                Some(Report::Thread(name, Told::Ready)) => {
                    self.of_name(&name, |member| member.stage = Stage::Serving);
                    None
                }
                Some(Report::Thread(name, Told::Served(n_cut))) => {
                    n_cut_in_all += n_cut;
                    let until = deadline_after(Instant::now(), self.patience.ending());
                    self.of_name(&name, |member| (member.stage, member.until) = (Stage::Served, Some(until)));
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
        let names: Vec<_> = late.iter().map(|member| format!("{}, {}", member.name, member.stage.blocked_by())).collect();
        format!("did not end in time, and is left behind: {}", names.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_left_behind_is_told_with_what_may_block_it() {
        for (stage, why) in [
            (Stage::Starting, "whose start hook blocks it"),
            (Stage::Serving, "whose handlers block it"),
            (Stage::Served, "whose stop hook blocks it, or what it has offloaded"),
        ] {
            let none = Duration::ZERO;
            let mut threads = Threads::new(Patience { drain_delay: none, drain_timeout: none, hook_timeout: none });
            let (release, released) = mpsc::channel::<()>();
            let blocked = move |teller: &Teller| {
                teller.tell(Told::Ready);
                // An error says that it is released.
                let _ = released.recv();
                End::Orderly
            };
            threads.spawn("blocked".into(), "worker 3".into(), blocked).expect("there is a thread");
            threads.until_ready().expect("it says so");
            threads.of_name("worker 3", |member| (member.stage, member.until) = (stage, Some(Instant::now())));
            assert_eq!(threads.leave_behind(), format!("did not end in time, and is left behind: worker 3, {why}"));
            drop(release);
        }
    }
}
