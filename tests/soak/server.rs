//! A server of the soak: the service of `examples/interop.rs` on one worker, which says each second how many tasks its loop has; and its parent's view of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use loopswap::{Http2, Loop, Server, rt};
use rustix::process::{Pid, Signal, kill_process};

use crate::Error;
use crate::gauges::Sample;
use crate::interop::Interop;
use crate::interop::testing::TestServiceServer;

/// How long anything may take that takes milliseconds on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// `soak serve LOOP ENGINE`: until SIGTERM.
pub(crate) fn serve(words: &[String]) -> Result<(), Error> {
    let [event_loop, engine] = words else { return Err("usage: soak serve LOOP ENGINE".into()) };
    let engine: Http2 = engine.parse()?;
    let mut server = Server::builder().listen("127.0.0.1:0").workers(1).http2(engine).start(Loop::choose(event_loop)?, |_worker| {
        rt::spawn_local(async {
            loop {
                println!("tasks {}", rt::live_tasks());
                rt::sleep(Duration::from_secs(1)).await;
            }
        });
        TestServiceServer::new(Interop)
    })?;
    server.drain_on_signals()?;
    println!("listening on {}", server.local_addr());
    Ok(server.wait()?)
}

/// Killed when dropped.
pub(crate) struct Child {
    process: std::process::Child,
    n_tasks: Arc<AtomicUsize>,
    pub(crate) name: String,
    pub(crate) addr: SocketAddr,
}

impl Child {
    pub(crate) fn start(event_loop: &str, engine: &str) -> Result<Self, Error> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", event_loop, engine]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let addr = lines.find_map(|line| line.strip_prefix("listening on ")?.parse().ok());
        let addr = addr.ok_or_else(|| format!("{event_loop} on {engine} does not listen"))?;
        let n_tasks = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&n_tasks);
        thread::spawn(move || {
            for n in lines.filter_map(|line| line.strip_prefix("tasks ")?.parse().ok()) {
                told.store(n, Ordering::Relaxed);
            }
        });
        Ok(Self { process, n_tasks, name: format!("{event_loop} on {engine}"), addr })
    }

    /// What it holds now; of the tasks, what it held within the last second.
    pub(crate) fn sample(&self) -> Result<Sample, Error> {
        let proc = format!("/proc/{}", self.process.id());
        let status = fs::read_to_string(format!("{proc}/status"))?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        let rss_kib = rss.ok_or_else(|| format!("{} has ended", self.name))?;
        let n_fds = fs::read_dir(format!("{proc}/fd"))?.count();
        Ok(Sample { rss_kib: rss_kib as f64, n_fds: n_fds as f64, n_tasks: self.n_tasks.load(Ordering::Relaxed) as f64 })
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) -> Result<ExitStatus, Error> {
        kill_process(Pid::from_child(&self.process), Signal::TERM)?;
        let give_up = Instant::now() + PATIENCE;
        while Instant::now() < give_up {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(format!("{} has not ended {PATIENCE:?} after SIGTERM", self.name).into())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
