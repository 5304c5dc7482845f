//! What the cases share: the binary as a child, a server in this process, a tonic client, raw bytes, and waits that end.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use loopswap::greeter::{Greeter, GreeterClient, GreeterServer, HelloReply, HelloRequest};
use loopswap::{Builder, Http2, Request, Response, Router, Server, Status};
use rustix::process::{Pid, Signal, kill_process};
use tonic::transport::{Channel, Endpoint};

use crate::leaks::{Hosted, Sockets, TASKS_LEFT, host};

/// How long anything may take that takes milliseconds on an idle machine. Less than a call that lasts "for ever", 60 s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);

/// The binary, to be given arguments. The environment's own settings are kept away from it.
pub(crate) fn loopswap() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loopswap"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LOOPSWAP_") || name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command
}

/// What a command that ends printed, and how it ended.
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn output(command: &mut Command) -> Output {
    output_with(command, Stdio::null())
}

/// What `loopswap serve` says to these arguments, which it takes for wrong usage.
pub(crate) fn refused(args: &[&str]) -> String {
    let ended = output(loopswap().args(["serve", "--runtime", "tokio", "--addr", "127.0.0.1:0"]).args(args));
    assert_eq!((ended.status.code(), &ended.stdout[..]), (Some(2), ""), "{args:?}: {}", ended.stderr);
    ended.stderr
}

/// [`output`] of a command with this standard input.
pub(crate) fn output_with(command: &mut Command, stdin: Stdio) -> Output {
    let mut child = spawn(command, stdin, Stdio::piped());
    let status = child.wait();
    Output { status, stdout: child.stdout.all(), stderr: child.stderr.all() }
}

/// The binary, serving. Dropped, it is ended, and must leave nothing: see [`crate::leaks`].
pub(crate) struct Served {
    child: Child,
    addr: Option<SocketAddr>,
    stdout: Lines,
    stderr: Lines,
    /// What it held when it began to listen.
    sockets: Sockets,
    /// Whoever waited for its end has seen it.
    end_is_seen: bool,
    /// Not a server of this project's: its leaks are its own.
    is_foreign: bool,
}

/// Starts `loopswap serve` on this loop, with one worker and a free port, and these arguments besides.
pub(crate) fn serve(runtime: &str, args: &[&str]) -> Served {
    let mut command = loopswap();
    command.args(["serve", "--runtime", runtime, "--workers", "1", "--addr", "127.0.0.1:0"]).args(args);
    served(&mut command)
}

/// Starts a command that serves nobody, to be killed by the case.
pub(crate) fn client_process(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).spawn().expect("the binary starts")
}

/// Starts a command that serves, and waits until it listens.
pub(crate) fn served(command: &mut Command) -> Served {
    let served = served_with(command, Stdio::null(), Stdio::piped());
    assert!(served.addr.is_some(), "it listens on no TCP address: {}", served.stdout.so_far());
    served
}

/// [`served`], of a command with this standard input and this standard error, which may listen elsewhere than on TCP.
pub(crate) fn served_with(command: &mut Command, stdin: Stdio, stderr: Stdio) -> Served {
    let mut served = spawn(command, stdin, stderr);
    let line = served.stdout.wait_for("listening").unwrap_or_else(|| panic!("it does not listen: {}", served.stderr.all()));
    let addr = match serde_json::from_str::<serde_json::Value>(&line) {
        Ok(announced) => announced["addr"].as_str().and_then(|addr| addr.parse().ok()),
        Err(_) => line.split_whitespace().nth(2).and_then(|addr| addr.parse().ok()),
    };
    served.sockets = Sockets::of(served.id());
    served.addr = addr;
    served
}

/// Starts a server that may take its time until it listens, or never does.
pub(crate) fn starting(command: &mut Command) -> Served {
    spawn(command, Stdio::null(), Stdio::piped())
}

fn spawn(command: &mut Command, stdin: Stdio, stderr: Stdio) -> Served {
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(stderr).spawn().expect("the binary starts");
    let stdout = Lines::of(child.stdout.take().expect("piped"));
    let stderr = child.stderr.take().map_or_else(Lines::none, Lines::of);
    // A descriptor that the command holds for its children would be one more holder.
    command.stdin(Stdio::null()).stderr(Stdio::null());
    Served { child, addr: None, stdout, stderr, sockets: Sockets::default(), end_is_seen: false, is_foreign: false }
}

impl Served {
    /// A server of other people's, which need not keep to our promises.
    pub(crate) fn foreign(mut self) -> Self {
        self.is_foreign = true;
        self
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr.expect("it serves")
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stdout(&self) -> &Lines {
        &self.stdout
    }

    pub(crate) fn stderr(&self) -> &Lines {
        &self.stderr
    }

    /// All that it has logged, once it has ended.
    pub(crate) fn stderr_at_the_end(&mut self) -> String {
        self.stderr.all()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the process is there");
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.end_is_seen = true;
        eventually("the process ends", || self.child.try_wait().expect("it is our child"))
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// How many file descriptors it has open.
    pub(crate) fn n_fds(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_or(0, Iterator::count)
    }

    /// A figure of /proc/PID/status that is in kilobytes, in bytes: `VmRSS`, `VmHWM`, `VmSize`.
    pub(crate) fn memory(&self, kind: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(':')).expect("there is such a figure");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("it is in kilobytes") * 1024
    }

    /// The CPU time that its threads have used.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the process is there");
        let of_task = |task: io::Result<fs::DirEntry>| -> Option<u64> {
            fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
        };
        Duration::from_nanos(tasks.filter_map(of_task).sum())
    }

    /// How long its thread of this name has waited for a CPU that others had.
    pub(crate) fn waited_for_cpu(&self, name: &str) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the process is there");
        let of_task = |task: io::Result<fs::DirEntry>| -> Option<u64> {
            let task = task.ok()?.path();
            fs::read_to_string(task.join("comm")).ok().filter(|comm| comm.trim() == name)?;
            fs::read_to_string(task.join("schedstat")).ok()?.split_whitespace().nth(1)?.parse().ok()
        };
        Duration::from_nanos(tasks.filter_map(of_task).sum())
    }

    /// The CPUs that each of its threads of this name may use, as /proc writes them.
    pub(crate) fn cpus_of_threads(&self, name: &str) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the process is there");
        let of_task = |task: io::Result<fs::DirEntry>| -> Option<String> {
            let status = fs::read_to_string(task.ok()?.path().join("status")).ok()?;
            let field = |field: &str| status.lines().find_map(|line| line.strip_prefix(field)).map(|value| value.trim().to_owned());
            field("Name:").filter(|thread| thread.strip_prefix(name).is_some_and(|rest| rest.parse::<usize>().is_ok()))?;
            field("Cpus_allowed_list:")
        };
        tasks.filter_map(of_task).collect()
    }

    /// Waits until it has no more descriptors open than this.
    pub(crate) fn wait_for_fds(&self, n: usize) {
        eventually(&format!("its descriptors return to {n}"), || (self.n_fds() <= n).then_some(()));
    }
}

impl Served {
    /// The leak check.
    fn leaves_nothing(&mut self) {
        let Some(addr) = self.addr else { return };
        if self.is_running() {
            eventually("it has let go of all clients", || self.sockets.added(self.id(), addr.port()).is_empty().then_some(()));
            self.signal(Signal::TERM);
            assert_eq!(self.wait().code(), Some(0), "its clients are gone, and a drain has nothing to cut: {}", self.stderr.so_far());
        }
        let log = self.stderr.all();
        assert!(self.end_is_seen, "it has ended by itself: {log}");
        assert!(!log.contains("panicked") && !log.contains(TASKS_LEFT), "{log}");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // A case that fails has said why.
        let is_checked = !thread::panicking() && !self.is_foreign;
        let checked = catch_unwind(AssertUnwindSafe(|| {
            if is_checked {
                self.leaves_nothing()
            }
        }));
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Err(leak) = checked {
            resume_unwind(leak);
        }
    }
}

/// The lines that a child prints, as they come.
pub(crate) struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Lines {
    /// Of a stream that goes elsewhere.
    fn none() -> Self {
        Self { lines: Arc::default(), reader: None }
    }

    fn of(stream: impl Read + Send + 'static) -> Self {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let into = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                into.lock().unwrap().push(line);
            }
        });
        Self { lines, reader: Some(reader) }
    }

    /// The first line with this text in it; `None` when the stream ends without one.
    pub(crate) fn wait_for(&self, text: &str) -> Option<String> {
        let find = || self.lines.lock().unwrap().iter().find(|line| line.contains(text)).cloned();
        let ended = || self.reader.as_ref().is_none_or(JoinHandle::is_finished);
        eventually(&format!("a line with `{text}`"), || {
            let over = ended();
            match find() {
                Some(line) => Some(Some(line)),
                None => over.then_some(None),
            }
        })
    }

    /// What has come until now.
    pub(crate) fn so_far(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// All there is, once the stream has ended.
    pub(crate) fn all(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reading does not panic");
        }
        self.lines.lock().unwrap().join("\n")
    }
}

/// Looks until there is something to see; panics when that takes too long.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < give_up, "waited {PATIENCE:?} in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A service in this process that does as the caller's name says.
#[derive(Clone, Default)]
pub(crate) struct Puppet {
    /// Calls that were begun, and those whose future was dropped or done.
    pub(crate) begun: Arc<Mutex<usize>>,
    pub(crate) ended: Arc<Mutex<Vec<Instant>>>,
}

struct CountEnd(Arc<Mutex<Vec<Instant>>>);

impl Drop for CountEnd {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(Instant::now());
    }
}

impl Greeter for Puppet {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let _end = CountEnd(Arc::clone(&self.ended));
        *self.begun.lock().unwrap() += 1;
        let HelloRequest { name, sleep_millisecond } = request.into_inner();
        if name == "panic at once" {
            panic!("as the caller wished");
        }
        if let Some(message) = name.strip_prefix("fail: ") {
            return Err(Status::failed_precondition(message));
        }
        loopswap::rt::sleep(Duration::from_millis(sleep_millisecond.unsigned_abs().into())).await;
        if name == "panic later" {
            panic!("as the caller wished");
        }
        Ok(Response::new(HelloReply { message: format!("Hello, {name}!") }))
    }
}

/// Serves a [`Puppet`] in this process, on one worker.
pub(crate) fn serve_puppet(runtime: &str, configure: impl FnOnce(Builder) -> Builder) -> (Hosted, Puppet) {
    let puppet = Puppet::default();
    let service = puppet.clone();
    let builder = configure(Server::builder().listen("127.0.0.1:0").workers(1));
    let hosted = host(builder, runtime, move |_| GreeterServer::new(service.clone()));
    (hosted.with_puppet(puppet.clone()), puppet)
}

/// Serves these services in this process, on one worker, and runs a case against them.
pub(crate) fn with_services(
    runtime: &str,
    engine: &str,
    services: impl Fn() -> Router + Send + Sync + 'static,
    case: impl FnOnce(SocketAddr),
) {
    let engine: Http2 = engine.parse().expect("there is such an engine");
    let builder = Server::builder().listen("127.0.0.1:0").workers(1).http2(engine);
    let hosted = host(builder, runtime, move |_| services());
    case(hosted.local_addr().as_tcp().expect("it listens on TCP"));
}

/// Runs a client's future, with an end to its patience.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("epoll is there");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("the client need not wait so long") })
}

/// A tonic client, on a connection of its own.
pub(crate) async fn client(addr: SocketAddr) -> GreeterClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{addr}")).expect("an address makes a URI");
    GreeterClient::new(endpoint.connect().await.expect("it listens"))
}

/// One call, on this client.
pub(crate) async fn hello(client: &mut GreeterClient<Channel>, name: &str, sleep_millisecond: i32) -> Result<String, Status> {
    let request = HelloRequest { name: name.into(), sleep_millisecond };
    client.say_hello(request).await.map(|reply| reply.into_inner().message)
}

/// A raw socket, with bounds on its waits.
pub(crate) fn connect(addr: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(addr).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// Reads until the peer closes, and how long that took. A reset counts as closed.
pub(crate) fn until_closed(socket: &mut TcpStream) -> (Vec<u8>, Duration) {
    let start = Instant::now();
    let mut bytes = Vec::new();
    match socket.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("it is not closed: {error}"),
    }
    (bytes, start.elapsed())
}
