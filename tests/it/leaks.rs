//! The leak check, with which every server of the suite ends whether or not its case thinks of it: it is in the drop of what holds the server.
//!
//! Once the clients are gone there is no socket of theirs left; the drain that follows has nothing to cut; and no task outlives it. Of a child
//! (`support::Served`) the kernel knows the sockets, and its log the tasks; a server in this process is asked on its own loop.

use std::collections::BTreeSet;
use std::fs;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use loopswap::rt::{self, Address, Worker, live_tasks};
use loopswap::{Builder, Error, Handle, Loop, Router, Running, Started};

use crate::support::Puppet;

/// What the log has of a worker that leaves tasks to the end of its loop.
pub(crate) const TASKS_LEFT: &str = "tasks are left";

/// The sockets that a process holds.
#[derive(Debug, Default)]
pub(crate) struct Sockets(BTreeSet<u64>);

impl Sockets {
    pub(crate) fn of(process: u32) -> Self {
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
        let inode = |entry: fs::DirEntry| {
            let link = fs::read_link(entry.path()).ok()?;
            link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        };
        Self(descriptors.filter_map(inode).collect())
    }

    /// What the process holds now that it did not hold then, and that is no connection of its own making: those of its clients, however closed they are.
    pub(crate) fn added(&self, process: u32, listens_on: u16) -> Vec<u64> {
        let now = Self::of(process);
        let own = own_connections(process, listens_on);
        now.0.difference(&self.0).copied().filter(|socket| !own.contains(socket)).collect()
    }
}

/// The sockets of a process's network that cannot be its clients': those with another port, and those of Unix.
fn own_connections(process: u32, listens_on: u16) -> BTreeSet<u64> {
    let table = |name: &str| fs::read_to_string(format!("/proc/{process}/net/{name}")).unwrap_or_default();
    let port = format!(":{listens_on:04X}");
    // Local address and inode are the second field and the tenth of a TCP socket, the inode the seventh of one of Unix.
    let of_tcp = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let inode = fields.get(9)?.parse().ok()?;
        (!fields[1].ends_with(&port)).then_some(inode)
    };
    let tcp = ["tcp", "tcp6"].map(table).concat();
    let unix = table("unix");
    let of_unix = |line: &str| line.split_whitespace().nth(6)?.parse().ok();
    tcp.lines().filter_map(of_tcp).chain(unix.lines().filter_map(of_unix)).collect()
}

/// A server in this process. Dropped, it drains, and must leave nothing.
pub(crate) struct Hosted {
    running: Option<Running>,
    /// How many tasks a worker had left, once its stop hook had run.
    left: Receiver<usize>,
    puppet: Option<Puppet>,
}

/// Serves what `make` makes for each worker.
pub(crate) fn host<S: Into<Router>>(builder: Builder, runtime: &str, make: impl Fn(&Worker) -> S + Send + Sync + 'static) -> Hosted {
    host_with(builder, runtime, async move |worker: &Worker| (make(worker).into(), async {}))
}

/// Serves what a start hook makes, with the stop hook that comes with it.
pub(crate) fn host_with<S, F>(builder: Builder, runtime: &str, start: F) -> Hosted
where
    S: Future<Output = ()> + 'static,
    F: AsyncFn(&Worker) -> (Router, S) + Send + Sync + 'static,
{
    let (tell, left) = mpsc::channel();
    let start = async move |worker: &Worker| {
        let (router, stop) = start(worker).await;
        let tell = tell.clone();
        let stop = async move {
            stop.await;
            // Nobody listens when the case has failed.
            let _ = tell.send(tasks_left().await);
        };
        Ok::<_, Error>(Started::new(router).on_stop(stop))
    };
    let running = builder.start_with(Loop::choose(runtime).expect("it is built in"), start).expect("the loop runs here");
    Hosted { running: Some(running), left, puppet: None }
}

/// The tasks of this loop that are still there when each has had its time.
async fn tasks_left() -> usize {
    for _ in 0..1000 {
        if live_tasks() == 0 {
            break;
        }
        rt::sleep(Duration::from_millis(5)).await;
    }
    live_tasks()
}

impl Hosted {
    /// All that its handlers begin must have ended in the end.
    pub(crate) fn with_puppet(mut self, puppet: Puppet) -> Self {
        self.puppet = Some(puppet);
        self
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it is taken at its end alone")
    }

    pub(crate) fn local_addr(&self) -> &Address {
        self.running().local_addr()
    }

    pub(crate) fn local_addrs(&self) -> &[Address] {
        self.running().local_addrs()
    }

    pub(crate) fn max_connections(&self) -> usize {
        self.running().max_connections()
    }

    pub(crate) fn handle(&self) -> Handle {
        self.running().handle()
    }

    /// Waits for the end of what the case has ended, and tells how it was.
    pub(crate) fn wait(mut self) -> Result<(), Error> {
        self.ends()
    }

    /// However it ends, it must leave nothing.
    fn ends(&mut self) -> Result<(), Error> {
        let ended = self.running.take().expect("it ends once").wait();
        let left: Vec<_> = self.left.try_iter().collect();
        assert!(!left.is_empty() && left.iter().all(|n| *n == 0), "tasks left, by worker: {left:?}");
        if let Some(puppet) = &self.puppet {
            assert_eq!(*puppet.begun.lock().unwrap(), puppet.ended.lock().unwrap().len(), "all that began has ended");
        }
        ended
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        // A case that fails has said why.
        if thread::panicking() {
            return;
        }
        let Some(running) = &self.running else { return };
        running.handle().drain();
        self.ends().expect("its clients are gone, and a drain has nothing to cut");
    }
}
