//! What TLS costs a server: CPU of its worker for a call, a MiB and a connection, without it and with it, on each loop, by the engine `native`.
//!
//!     cargo bench --bench tls
//!
//! Server and clients are threads of this process; the clients' CPU is not counted. Of each round the servers have their turns one after the other, and of all
//! rounds the medians are told. A connection is opened, HTTP/2 on it too, and closed. Certificates are ECDSA's, on P-256.
//!
//! Under `cargo test --benches` a few of each are made.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use loopswap::greeter::{GreeterClient, GreeterServer, Hello, HelloRequest};
use loopswap::{Error, Loop, Running, Server};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use pki::{Identity, Pki, read};

#[allow(dead_code, reason = "the suite wants more of it")]
#[path = "../tests/it/tls/pki.rs"]
mod pki;

/// The one of the binary and of every other comparison.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LOOPS: [&str; 3] = ["tokio", "tokio-uring", "glommio"];

/// How much of each is done in a round.
struct Amount {
    rounds: usize,
    calls: usize,
    large_calls: usize,
    connections: usize,
}

const MEASURED: Amount = Amount { rounds: 5, calls: 20_000, large_calls: 100, connections: 300 };
const TRIED: Amount = Amount { rounds: 1, calls: 20, large_calls: 1, connections: 3 };

/// Of a message there and back.
const LARGE_BYTES: usize = 1 << 20;

fn main() -> Result<(), Error> {
    let amount = if std::env::args().any(|arg| arg == "--bench") { MEASURED } else { TRIED };
    println!("{:<24}{:>12}{:>12}{:>16}{:>12}{:>16}", "µs of CPU", "a call", "a MiB", "a connection", "resumed", "mutual TLS");
    let pki = Pki::new("CA");
    for name in LOOPS {
        let mut sides = Vec::new();
        for tls in [false, true] {
            sides.push(Side::start(Loop::choose(name)?, tls.then_some(&pki))?);
        }
        for _ in 0..amount.rounds {
            sides.iter_mut().for_each(|side| side.round(&amount, &pki));
        }
        for side in sides {
            side.tell(name);
        }
    }
    Ok(())
}

/// A server, and what was measured of it.
struct Side {
    running: Running,
    is_secure: bool,
    call: Vec<f64>,
    mib: Vec<f64>,
    connection: Vec<f64>,
    resumed: Vec<f64>,
    mutual: Vec<f64>,
}

impl Side {
    fn start(event_loop: Loop, pki: Option<&Pki>) -> Result<Self, Error> {
        let builder = Server::builder().listen("127.0.0.1:0").workers(1);
        let builder = match pki {
            None => builder,
            Some(pki) => {
                let tls = pki.server().tls().client_ca_file(pki.ca()).client_auth(loopswap::tls::ClientAuth::Request);
                builder.tls(tls)
            }
        };
        let running = builder.start(event_loop, |_worker| GreeterServer::new(Hello))?;
        let [call, mib, connection, resumed, mutual] = [const { Vec::new() }; 5];
        Ok(Self { running, is_secure: pki.is_some(), call, mib, connection, resumed, mutual })
    }

    fn round(&mut self, amount: &Amount, pki: &Pki) {
        let addr = self.running.local_addr().as_tcp().expect("it listens on TCP");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("epoll is there");
        let trusted = self.is_secure.then(|| ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(&pki.ca()))));
        let channel = runtime.block_on(connected(addr, trusted));
        let calls = |n, at_once, bytes| runtime.block_on(say_hello(&channel, n, at_once, bytes));
        // Windows, tables and caches are as large as they get.
        calls(amount.calls / 10, 50, 5);
        self.call.push(cost(amount.calls, || calls(amount.calls, 50, 5)));
        calls(1, 1, LARGE_BYTES);
        self.mib.push(cost(2 * amount.large_calls, || calls(amount.large_calls, 2, LARGE_BYTES)));
        let n = amount.connections;
        if !self.is_secure {
            self.connection.push(cost(n, || (0..n).for_each(|_| drop(opened(TcpStream::connect(addr).expect("it listens"))))));
            return;
        }
        for (of, identity, resumption, kind) in [
            (&mut self.connection, None, Resumption::disabled(), HandshakeKind::Full),
            (&mut self.resumed, None, Resumption::in_memory_sessions(16), HandshakeKind::Resumed),
            (&mut self.mutual, Some(pki.client("Alice")), Resumption::disabled(), HandshakeKind::Full),
        ] {
            let config = config(pki, identity.as_ref(), resumption);
            agreed(addr, &config);
            of.push(cost(n, || (0..n).for_each(|_| assert_eq!(agreed(addr, &config), kind))));
        }
    }

    fn tell(mut self, name: &str) {
        let name = format!("{name}{}", if self.is_secure { ", TLS" } else { "" });
        let [call, mib, connection, resumed, mutual] =
            [&mut self.call, &mut self.mib, &mut self.connection, &mut self.resumed, &mut self.mutual].map(|of| median(of));
        println!("{name:<24}{call:>12}{mib:>12}{connection:>16}{resumed:>12}{mutual:>16}");
        self.running.handle().stop();
        // Its clients' channels may still be there: they are cut.
        let _ = self.running.wait();
    }
}

fn median(of: &mut [f64]) -> String {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).map_or_else(|| "–".into(), |median| format!("{median:.1}"))
}

/// What the workers of this process have used meanwhile, by so many. In microseconds.
fn cost(n: usize, work: impl FnOnce()) -> f64 {
    let before = cpu_of_workers();
    work();
    (cpu_of_workers() - before).as_secs_f64() * 1e6 / n as f64
}

fn cpu_of_workers() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc is there").flatten().map(|task| task.path());
    let of_task = |task: std::path::PathBuf| -> Option<u64> {
        std::fs::read_to_string(task.join("comm")).ok().filter(|comm| comm.starts_with("worker"))?;
        std::fs::read_to_string(task.join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
    };
    Duration::from_nanos(tasks.filter_map(of_task).sum())
}

async fn connected(addr: SocketAddr, tls: Option<ClientTlsConfig>) -> Channel {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{addr}")).expect("an address makes a URI");
    let endpoint = match tls {
        Some(tls) => endpoint.tls_config(tls).expect("it fits"),
        None => endpoint,
    };
    endpoint.connect().await.expect("it listens")
}

/// So many calls, so many of them at once, with a name of so many bytes each.
async fn say_hello(channel: &Channel, n: usize, at_once: usize, bytes: usize) {
    let name = "x".repeat(bytes);
    let calls = stream::iter(0..n).map(|_| {
        let (mut client, name) = (GreeterClient::new(channel.clone()), name.clone());
        async move { client.say_hello(HelloRequest { name, sleep_millisecond: 0 }).await.expect("it answers") }
    });
    let replies = calls.buffer_unordered(at_once);
    replies.for_each(|reply| async move { assert_eq!(reply.into_inner().message.len(), bytes + "Hello, !".len()) }).await;
}

/// Agrees on TLS, opens HTTP/2, closes, and tells how it was agreed.
fn agreed(addr: SocketAddr, config: &Arc<ClientConfig>) -> HandshakeKind {
    let session = ClientConnection::new(Arc::clone(config), addr.ip().into()).expect("a configuration that works");
    let socket = TcpStream::connect(addr).expect("it listens");
    let mut tls = opened(StreamOwned::new(session, socket));
    tls.conn.send_close_notify();
    tls.flush().expect("the server takes it");
    tls.conn.handshake_kind().expect("it is over")
}

/// Sends the preface and SETTINGS, and waits for the server's.
fn opened<S: Read + Write>(mut stream: S) -> S {
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("the server takes it");
    stream.read_exact(&mut [0; 9]).expect("the server answers");
    stream
}

fn config(pki: &Pki, identity: Option<&Identity>, resumption: Resumption) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pki.ca()).expect("PEM")).expect("a CA");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of ring's")
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { certificate, key }) => {
            let chain = vec![CertificateDer::from_pem_file(certificate).expect("PEM")];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).expect("PEM")).expect("they fit")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = resumption;
    Arc::new(config)
}
