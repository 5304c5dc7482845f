//! The rows: which engine, which service, how many calls at once.

use loopswap::greeter::{GreeterServer, Hello, HelloReply, HelloRequest, stock};
use loopswap::rt::Connection as _;
use loopswap::{Http2, Limits, LocalService, Lone, Methods, Metrics, Replies, Request, Router, Status};
use loopswap_memory::{Memory, Peer, World, pair};

use crate::client::{Client, message};
use crate::measure::Figures;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    server: ServerKind,
    /// Calls that come in one receive.
    pub(crate) batch: usize,
    /// Messages of an answer.
    pub(crate) n_messages: usize,
    with_timeouts: bool,
    /// Its calls are counted for metrics.
    measured: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerKind {
    Canned,
    Local(Http2),
    Tonic(Http2),
}

const NAME: &str = "you";
const GREETING: &[u8] = b"\x0a\x0bHello, you!";

const fn unary(name: &'static str, server: ServerKind, batch: usize) -> Row {
    Row { name, server, batch, n_messages: 1, with_timeouts: false, measured: false }
}

impl Row {
    /// All of them.
    pub(crate) const ALL: [Self; 11] = [
        unary("harness-1", ServerKind::Canned, 1),
        unary("native-local-100", ServerKind::Local(Http2::Native), 100),
        unary("native-local-1", ServerKind::Local(Http2::Native), 1),
        Self { with_timeouts: true, ..unary("native-local-100-timeouts", ServerKind::Local(Http2::Native), 100) },
        Self { measured: true, ..unary("native-local-100-measured", ServerKind::Local(Http2::Native), 100) },
        Self { n_messages: 1000, ..unary("native-local-messages", ServerKind::Local(Http2::Native), 1) },
        unary("native-tonic-100", ServerKind::Tonic(Http2::Native), 100),
        unary("native-tonic-1", ServerKind::Tonic(Http2::Native), 1),
        unary("hyper-local-100", ServerKind::Local(Http2::Hyper), 100),
        unary("hyper-tonic-100", ServerKind::Tonic(Http2::Hyper), 100),
        unary("hyper-tonic-1", ServerKind::Tonic(Http2::Hyper), 1),
    ];

    /// The row of this name.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(|row| row.name).join(", ");
        Self::ALL.into_iter().find(|row| row.name == name).ok_or_else(|| format!("there is no row {name}; there are: {}", names()))
    }

    /// Opens its connection, and makes a first call.
    pub(crate) fn open(self) -> Open {
        let world = World::enter();
        let (mut connection, peer) = pair();
        let path = if self.n_messages > 1 { "/bench.Many/Greet" } else { "/helloworld.Greeter/SayHello" };
        let mut client = Client::new(path, &[&[0x0a, NAME.len() as u8], NAME.as_bytes()].concat(), self.with_timeouts);
        let opening = client.open();
        let router = match self.server {
            ServerKind::Tonic(_) => Router::new().add_tonic(stock::greeter_server::GreeterServer::new(Hello)),
            _ => Router::from(GreeterServer::new(Hello)).add(Many(self.n_messages)),
        };
        match self.server {
            ServerKind::Canned => world.spawn(async move {
                let mut id = 1_u32;
                loop {
                    if connection.receive(<[u8]>::is_empty).await.unwrap_or(true) {
                        return;
                    }
                    let _ = connection.send(canned(id)).await;
                    id += 2;
                }
            }),
            ServerKind::Local(http2) | ServerKind::Tonic(http2) => {
                let lone = match self.measured {
                    true => Lone::measured(Limits::default(), &Metrics::new(), &Memory, &router),
                    false => Lone::new(Limits::default()),
                };
                let served = lone.serve(Memory, connection, http2, router);
                world.spawn(async move {
                    let _ = served.await;
                });
            }
        }
        let mut open =
            Open { row: self, body: message(GREETING).repeat(self.n_messages), client, peer, input: opening, output: Vec::new(), world };
        open.turn();
        open.client.verify(&open.output, 1, &open.body);
        open
    }
}

/// A good answer, as no server makes it.
fn canned(id: u32) -> Vec<u8> {
    let mut answer = vec![0, 0, 1, 1, 4, 0, 0, 0, 0, 0x88, 0, 0, 18, 0, 0, 0, 0, 0, 0];
    answer.extend(message(GREETING));
    answer.extend([0, 0, 15, 1, 5, 0, 0, 0, 0, 0, 11]);
    answer.extend(b"grpc-status\x010");
    for at in [5, 15, answer.len() - 19] {
        answer[at..at + 4].copy_from_slice(&id.to_be_bytes());
    }
    answer
}

/// One request, and many answers to it.
struct Many(usize);

impl LocalService for Many {
    const NAME: &'static str = "bench.Many";

    fn register(self, methods: &mut Methods) {
        let n = self.0;
        methods.server_streaming("Greet", move |request: Request<HelloRequest>, mut replies: Replies<HelloReply>| async move {
            for _ in 0..n {
                let reply = HelloReply { message: format!("Hello, {}!", request.get_ref().name) };
                replies.send(reply).await?;
            }
            Ok::<(), Status>(())
        });
    }
}

/// A row's connection.
pub(crate) struct Open {
    row: Row,
    client: Client,
    /// What the answer to each call holds.
    body: Vec<u8>,
    input: Vec<u8>,
    output: Vec<u8>,
    peer: Peer,
    world: World,
}

impl Open {
    /// Makes so many batches of calls, and verifies each answer.
    pub(crate) fn batches(&mut self, n: usize) {
        for _ in 0..n {
            self.input.clear();
            self.client.batch(&mut self.input, self.row.batch);
            self.turn();
            self.client.verify(&self.output, self.row.batch, &self.body);
        }
    }

    /// Allocations of so many batches, those of the server alone.
    pub(crate) fn allocations(&mut self, n: usize) -> u64 {
        let mut n_allocations = 0;
        for _ in 0..n {
            self.input.clear();
            self.client.batch(&mut self.input, self.row.batch);
            let before = crate::measure::n_allocations();
            self.turn();
            n_allocations += crate::measure::n_allocations() - before;
            self.client.verify(&self.output, self.row.batch, &self.body);
        }
        n_allocations
    }

    fn turn(&mut self) {
        let Self { world, peer, input, output, .. } = self;
        output.clear();
        peer.send(input);
        loopswap_engine_turn(world);
        peer.show(|bytes| output.extend_from_slice(bytes));
    }
}

/// The server's turn: what callgrind counts, by this name.
#[inline(never)]
fn loopswap_engine_turn(world: &World) {
    world.turn();
}

impl Figures {
    /// How many units of the table a batch is.
    pub(crate) fn units(row: Row) -> usize {
        row.batch * row.n_messages
    }
}
