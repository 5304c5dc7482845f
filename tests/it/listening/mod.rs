//! Where a server listens, and how connections come to its workers: several addresses, sockets that were inherited, the balance, how many there may be, what is set
//! on sockets.

mod balance;
mod full;
mod inherited;
mod several;
mod tcp;
mod unix;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use loopswap::greeter::{Greeter, GreeterClient, GreeterServer, HelloReply, HelloRequest};
use loopswap::{Builder, Http2, Request, Response, Server, Status};
use tonic::transport::{Channel, Endpoint};

use crate::leaks::{Hosted, host};
use crate::raw::{Connection, PREFACE, call, settings};
use crate::support::{Served, eventually, hello};

/// The names of calls that block their worker.
static BLOCKED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Says which worker it is on; blocks it if there is to be a sleep.
#[derive(Clone, Copy)]
struct Here(usize);

impl Greeter for Here {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let HelloRequest { name, sleep_millisecond } = request.into_inner();
        if sleep_millisecond > 0 {
            BLOCKED.lock().unwrap().push(name);
            thread::sleep(Duration::from_millis(sleep_millisecond.unsigned_abs().into()));
        }
        Ok(Response::new(HelloReply { message: self.0.to_string() }))
    }
}

/// Serves [`Here`] in this process.
fn serve_here(runtime: &str, http2: &str, configure: impl FnOnce(Builder) -> Builder) -> Hosted {
    let http2: Http2 = http2.parse().expect("it is an engine");
    host(configure(Server::builder().http2(http2)), runtime, |worker| GreeterServer::new(Here(worker.index)))
}

/// A client of this address, on a connection of its own.
async fn client_of(address: &str) -> Result<GreeterClient<Channel>, tonic::transport::Error> {
    let uri = match address.strip_prefix("unix:") {
        Some(path) => format!("unix://{path}"),
        None => format!("http://{address}"),
    };
    Ok(GreeterClient::new(Endpoint::from_shared(uri).expect("an address makes a URI").connect().await?))
}

/// A call on a connection of its own.
async fn greeted_at(address: &str) -> String {
    let mut client = client_of(address).await.unwrap_or_else(|error| panic!("{address} cannot be reached: {error:?}"));
    hello(&mut client, "Joe", 0).await.unwrap_or_else(|status| panic!("{address} does not answer: {status}"))
}

/// A client that has said all that it wants, a call on stream 1, and waits for no answer.
fn who_has_called(addr: SocketAddr) -> Connection {
    let mut client = Connection::silent(addr);
    client.send_bytes(PREFACE);
    client.send([settings(&[])].into_iter().chain(call(1, "Joe", 0)));
    client
}

/// Such a client of a server that drains.
fn is_served_or_told_to_go(client: &mut Connection) {
    // Of those who were late it says that it has not looked at their calls, which their libraries make elsewhere (RFC 9113, 6.8).
    client.until("it is told to go", |client| (!client.goaways.is_empty()).then_some(()));
    if client.goaways.iter().all(|goaway| goaway.last >= 1) {
        client.is_greeted(1, "Joe");
    }
}

/// How many clients of a server wait to be accepted: the queues of its listeners, by the kernel's own count.
fn n_in_the_kernel(server: &Served) -> u32 {
    let port = format!(":{:04X}", server.addr().port());
    let table = fs::read_to_string(format!("/proc/{}/net/tcp", server.id())).expect("the process is there");
    let of_line = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_ours = fields[1].ends_with(&port) && fields[3] == "0A";
        is_ours.then(|| u32::from_str_radix(fields[4].split_once(':').expect("two queues").1, 16).expect("a number"))
    };
    table.lines().skip(1).filter_map(of_line).sum()
}

/// The worker that a connection is on.
async fn worker_of(client: &mut GreeterClient<Channel>) -> usize {
    hello(client, "", 0).await.expect("it answers").parse().expect("it says a number")
}

/// Where the binary says that it listens: `n` addresses.
fn addresses(server: &Served, n: usize) -> Vec<String> {
    eventually(&format!("{n} addresses"), || {
        let lines = server.stdout().so_far();
        let addresses: Vec<_> = lines.lines().filter_map(|line| line.strip_prefix("listening on ")?.split(' ').next()).collect();
        (addresses.len() == n).then(|| addresses.into_iter().map(String::from).collect())
    })
}

fn unix_word(path: &Path) -> String {
    format!("unix:{}", path.display())
}
