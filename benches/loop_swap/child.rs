//! Servers and loads as child processes, pinned, measured from outside, and ended whatever happens.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};

/// The built server.
pub(crate) const LOOPSWAP: &str = env!("CARGO_BIN_EXE_loopswap");

/// How long a server may take to say where it listens: the first start of a Python server compiles what it imports.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a server may take to end after SIGTERM.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs `start` with this thread pinned, which what it starts inherits.
pub(crate) fn pinned<T: Send>(cpu: Option<usize>, start: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if let Some(cpu) = cpu {
                let mut set = CpuSet::new();
                set.set(cpu);
                sched_setaffinity(None, &set).expect("the CPU is one that this process may use");
            }
            start()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A server that runs.
pub(crate) struct Server {
    child: Child,
    addr: String,
    /// Read no further, but held open: what a server prints later must not end it.
    stdout: Option<BufReader<ChildStdout>>,
    stderr: Option<JoinHandle<String>>,
}

impl Server {
    /// Starts it, and waits until it says where it listens.
    pub(crate) fn start(command: &mut Command, cpu: Option<usize>) -> Result<Self, String> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pinned(cpu, || command.spawn()).map_err(|error| format!("cannot be started: {error}"))?;
        let mut stderr = child.stderr.take().expect("piped");
        let stderr = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut server = Self { child, addr: String::new(), stdout: None, stderr: Some(stderr) };
        let (sender, first_line) = mpsc::sync_channel(1);
        thread::spawn(move || {
            let mut line = String::new();
            let _ = stdout.read_line(&mut line);
            let _ = sender.send((line, stdout));
        });
        let Ok((line, stdout)) = first_line.recv_timeout(START_TIMEOUT) else {
            return Err(format!("did not listen within {START_TIMEOUT:?}: {}", server.last_words()));
        };
        server.stdout = Some(stdout);
        match line.strip_prefix("listening on ").and_then(|rest| rest.split_whitespace().next()) {
            Some(addr) => {
                server.addr = addr.to_owned();
                Ok(server)
            }
            None => Err(format!("did not listen: {}", server.last_words())),
        }
    }

    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    /// The CPU time of all its threads so far.
    pub(crate) fn cpu(&self) -> Result<Duration, String> {
        self.over_threads("schedstat", |schedstat| schedstat.split_whitespace().next()).map(Duration::from_nanos)
    }

    /// How often its threads have fallen asleep so far: their voluntary context switches.
    pub(crate) fn waits(&self) -> Result<u64, String> {
        self.over_threads("status", |status| status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).map(str::trim))
    }

    /// A number of each thread, by its file in /proc, over all of them together.
    fn over_threads(&self, file: &str, number: impl Fn(&str) -> Option<&str>) -> Result<u64, String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).map_err(|error| format!("it is gone: {error}"))?;
        let numbers = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.ok()?.path().join(file)).ok()?;
            number(&text)?.parse::<u64>().ok()
        });
        Ok(numbers.sum())
    }

    /// What the kernel's clock found it at so far, in user mode and in the kernel, in ticks: too coarse to count time, good enough to split it.
    pub(crate) fn ticks(&self) -> Option<(u64, u64)> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The fields behind the name, which may hold anything, begin with the third.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    }

    /// Its resident memory, in bytes.
    pub(crate) fn memory(&self) -> Result<u64, String> {
        self.memory_by("VmRSS:")
    }

    /// The most that this has ever been.
    pub(crate) fn memory_peak(&self) -> Result<u64, String> {
        self.memory_by("VmHWM:")
    }

    fn memory_by(&self, name: &str) -> Result<u64, String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).map_err(|error| format!("it is gone: {error}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("it is gone: it has no memory")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().map_err(|error| format!("{name}{line}: {error}"))?;
        Ok(kibibytes * 1024)
    }

    /// Ends it in order, and returns all that it said on standard error.
    pub(crate) fn end(mut self) -> Result<String, String> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).map_err(|error| format!("it is gone: {error}"))?;
        let give_up = Instant::now() + END_TIMEOUT;
        loop {
            match self.child.try_wait().map_err(|error| error.to_string())? {
                Some(status) if status.success() => return Ok(self.words()),
                Some(status) => return Err(format!("ended with {status}: {}", self.last_words())),
                None if Instant::now() > give_up => return Err("did not end after SIGTERM".into()),
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Ends it at once, and says what went wrong with what it said last.
    pub(crate) fn failed(mut self, why: &str) -> String {
        let ended = match self.child.try_wait() {
            Ok(Some(status)) => format!(" (it ended with {status})"),
            _ => String::new(),
        };
        format!("{why}; the server's last words{ended}: {}", self.last_words())
    }

    /// Its last line on standard error.
    fn last_words(&mut self) -> String {
        let _ = self.child.kill();
        self.words().lines().last().unwrap_or("it said nothing").to_owned()
    }

    /// What it said on standard error until it ended.
    fn words(&mut self) -> String {
        self.stderr.take().and_then(|stderr| stderr.join().ok()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
