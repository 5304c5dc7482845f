//! A whole connection: the native engine with its driver, gRPC and handlers, on a loop in memory.
//!
//! The first octet chooses the limits, the rest is a script (see `loopswap_fuzz::script`), whose deeds are what a client can do beside sending: read, read
//! no more, go away; and one drain. What must hold, beside what `wire::Observer` wants of the server's frames: nothing panics; a turn comes to an
//! end; memory is bounded while it lasts and comes back at the end; and nobody waits for ever: when the client reads and time passes, the connection
//! ends, and no task and no timer is left.

#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use loopswap::greeter::{GreeterServer, Hello, HelloReply, HelloRequest, stock};
use loopswap::{Http2, Limits, LocalService, Lone, Methods, Replies, Request, Response, Router, Status, Streaming};
use loopswap_fuzz::memory;
use loopswap_fuzz::script::{Pending, Script, Step};
use loopswap_fuzz::wire::Observer;
use loopswap_memory::{Memory, Peer, World, pair};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// More polls than any input is good for: each receive, wake-up and timer is one.
const POLLS_MAX: usize = 10_000;

/// What a connection may hold beside what its client has sent and not been answered: see the target `frames`.
const BASE_BYTES: usize = 1024 * 1024;

/// What the client's socket takes before it is read again, as kernels have it.
const SOCKET_BYTES: usize = 64 * 1024;

/// What the server's socket takes before it is read, at least.
const UNREAD_BYTES_MAX: usize = 128 * 1024;

/// A stream's call, and a message that is larger than what it may have waiting: GivesMany's at most.
const STREAM_BYTES: usize = 16 * 1024;

/// Methods of the other kinds. What they do follows from the messages alone.
struct Kinds;

fn reply(text: &str) -> HelloReply {
    HelloReply { message: text.to_owned() }
}

/// A pause that a message asks for, in milliseconds, and no more than 200.
async fn pause(message: &HelloRequest) {
    loopswap::rt::sleep(Duration::from_millis(message.sleep_millisecond.clamp(0, 200) as u64)).await;
}

impl LocalService for Kinds {
    const NAME: &'static str = "f.Kinds";

    fn register(self, methods: &mut Methods) {
        methods.client_streaming("TakesMany", |request: Request<Streaming<HelloRequest>>| async move {
            let (mut messages, mut n_bytes) = (request.into_inner(), 0);
            while let Some(message) = messages.message().await? {
                n_bytes += message.name.len();
                pause(&message).await;
            }
            Ok(Response::new(reply(&n_bytes.to_string())))
        });
        methods.server_streaming("GivesMany", |request: Request<HelloRequest>, mut replies: Replies<HelloReply>| async move {
            let message = request.into_inner();
            for _ in 0..message.name.len() % 40 {
                replies.send(reply(&message.name.repeat(20))).await?;
                pause(&message).await;
            }
            Ok(())
        });
        methods.streaming("Both", |request: Request<Streaming<HelloRequest>>, mut replies: Replies<HelloReply>| async move {
            let mut messages = request.into_inner();
            while let Some(message) = messages.message().await? {
                pause(&message).await;
                match message.name.as_str() {
                    "enough" => return Err(Status::failed_precondition("ünough\n")),
                    "stop" => return Ok(()),
                    name => replies.send(reply(&name.repeat(3))).await?,
                }
            }
            Ok(())
        });
    }
}

fn limits(which: u8) -> Limits {
    let mut limits = Limits::default();
    if which & 1 != 0 {
        limits.concurrent_streams_max = u32::from(which >> 4);
        limits.header_list_bytes_max = 300;
        limits.header_fields_max = 8;
    }
    if which & 2 != 0 {
        limits.stream_window_bytes = 100 + u32::from(which >> 2);
        limits.connection_window_bytes = 65_535;
        limits.send_buffer_bytes_max = 100;
    }
    limits
}

struct Client {
    world: World,
    lone: Lone,
    peer: Peer,
    observer: Observer,
    limits: Limits,
    memory_before: usize,
    input_len: usize,
}

impl Client {
    fn turn(&self) {
        assert!(self.world.turn_at_most(POLLS_MAX) < POLLS_MAX, "a turn without an end");
        // What a client sends is held as it came, and as what calls have made of it.
        let Limits { concurrent_streams_max, send_buffer_bytes_max, .. } = self.limits;
        let n_streams = self.observer.n_requests().min(concurrent_streams_max as usize);
        let held_max = BASE_BYTES + 4 * UNREAD_BYTES_MAX + 64 * self.input_len + n_streams * (2 * send_buffer_bytes_max + STREAM_BYTES);
        let held = memory::live().saturating_sub(self.memory_before);
        assert!(held <= held_max, "{held} bytes for {n_streams} streams");
    }

    fn read(&mut self) {
        let output = self.peer.take();
        self.observer.to_client(&output);
        self.peer.set_room(SOCKET_BYTES);
    }

    fn hand_over(&mut self, octets: &[u8]) {
        // The server does not read: a kernel would take no more.
        if self.peer.n_unread() > UNREAD_BYTES_MAX {
            return;
        }
        self.observer.to_server(octets);
        self.peer.send(octets);
        self.turn();
    }

    fn pass(&self, duration: Duration) {
        // In steps, none of which is idle for long: what waits is looked after.
        self.world.pass(duration);
        self.turn();
    }

    fn deed(&mut self, what: u8, n: u16) {
        match what {
            0..=7 => self.read(),
            8..=11 => self.peer.set_room(usize::from(n)),
            12..=15 => self.peer.set_room(SOCKET_BYTES),
            16 => self.lone.drain(),
            17 => self.peer.finish(),
            _ => {}
        }
        self.turn();
    }

    /// The client reads on, and the server is told to end.
    fn end(mut self) {
        self.lone.drain();
        // Longer than any deadline that is not the client's own: a sleeping handler, a stalled stream.
        for _ in 0..20 {
            // What its socket had no room for is read, until there is no more.
            for _ in 0..8 {
                self.read();
                self.turn();
            }
            self.pass(Duration::from_secs(30));
            self.read();
        }
        if self.lone.n_connections() > 0 {
            // A call whose client has more to say may wait for it.
            self.peer.finish();
            self.pass(Duration::from_secs(2));
            self.read();
        }
        assert_eq!(self.lone.n_connections(), 0, "the connection goes on for ever");
        assert_eq!((self.world.n_tasks(), self.world.n_timers()), (0, 0), "tasks, timers");
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&which, script)) = input.split_first() else { return };
    let script = &script[..script.len().min(4096)];
    let memory_before = memory::live();
    let world = World::enter();
    let limits = limits(which);
    let lone = Lone::new(limits.clone());
    let (connection, peer) = pair();
    let router = Router::from(GreeterServer::new(Hello)).add(Kinds);
    // The same service once more, by tonic's code, when the input says so.
    let router = if which & 4 != 0 { Router::new().add_tonic(stock::greeter_server::GreeterServer::new(Hello)).add(Kinds) } else { router };
    let served = lone.serve(Memory, connection, Http2::Native, router);
    world.spawn(async move {
        let _ = served.await;
    });
    let mut client = Client { world, lone, peer, observer: Observer::default(), limits, memory_before, input_len: 4096 + input.len() };
    client.peer.set_room(SOCKET_BYTES);
    client.peer.send(PREFACE);
    let mut pending = Pending::default();
    for step in Script::new(script) {
        match step {
            Step::Pass(duration) => client.pass(duration.min(Duration::from_secs(90))),
            Step::Deed { what, n, .. } => client.deed(what, n),
            write => {
                if let Some(n) = pending.take(write) {
                    for piece in pending.hand_over(n) {
                        client.hand_over(&piece);
                    }
                }
            }
        }
    }
    drop(pending);
    client.end();
    // A worker keeps send buffers, 64 of 64 KiB at most. What is left behind by an input is little, but there are many inputs.
    static AFTER_THE_FIRST: OnceLock<usize> = OnceLock::new();
    let live = memory::live();
    let first = *AFTER_THE_FIRST.get_or_init(|| live);
    assert!(live <= first + 8 * 1024 * 1024, "{live} bytes are left behind, {first} at first");
});
