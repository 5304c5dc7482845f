//! What a connection holds on the heap when it has made a call and is idle since, counted by the allocator: on the loop in memory, without what that loop itself
//! holds for it; and on each real one, with its task's header and its socket's registration, without TLS and with it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use loopswap::greeter::{GreeterServer, Hello};
use loopswap::rt::Connection as _;
use loopswap::{Http2, Limits, Lone, Loop, Router, Server};
use loopswap_memory::{Memory, MemoryConnection, Peer, World, pair};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use pki::{Identity, Pki};

#[allow(dead_code, reason = "the suite wants more of it")]
#[path = "it/tls/pki.rs"]
mod pki;

/// Bytes. A change that needs more has to say why; one that needs less lowers it. Of these, 58 are the entry of `grpc-accept-encoding` in the encoder's table,
/// which a client that names encodings is answered with.
const IDLE_BYTES_MAX: usize = 1600;

/// The same of the loops, with what they add; and with mutual TLS. Of that, 4096 bytes are rustls's buffer for what arrives, 1168 its connection, 1120 its keys, and twice
/// 316 the client's certificate, for rustls and for services.
const LOOPS: [(&str, usize, usize); 3] = [("tokio", 2112, 10_900), ("tokio-uring", 2048, 10_900), ("glommio", 3072, 11_800)];

/// How long the loops may take to give back what calls had taken.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Connections to a real loop: their two ends are within the usual 1024 descriptors.
const N_REAL: usize = 200;

/// Connections: enough for what they share not to matter.
const N: usize = 1000;

static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[allow(unsafe_code, reason = "an allocator is unsafe by its trait")]
// SAFETY: every call goes to the system's allocator as it came; the count beside it touches no memory of the caller's. What the trait makes of `alloc` and
// `dealloc` by itself (zeroed memory, another size) comes here too.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, id: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(payload);
}

/// The preface, SETTINGS and their acknowledgement.
fn opening() -> Vec<u8> {
    let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut out, 4, 0, 0, &[]);
    frame(&mut out, 4, 1, 0, &[]);
    out
}

/// A call, whose fields enter the server's table.
fn call(id: u32) -> Vec<u8> {
    let fields = [
        (":path", "/helloworld.Greeter/SayHello"),
        (":authority", "greeter.example.com:9999"),
        ("content-type", "application/grpc"),
        ("user-agent", "grpc-python/1.76.0 grpc-c/51.0.0 (linux; chttp2)"),
        ("te", "trailers"),
        ("grpc-accept-encoding", "identity, deflate, gzip"),
    ];
    let mut block = vec![0x83, 0x86];
    for (name, value) in fields {
        block.extend_from_slice(&[0x40, name.len() as u8]);
        block.extend_from_slice(name.as_bytes());
        block.push(value.len() as u8);
        block.extend_from_slice(value.as_bytes());
    }
    let mut out = Vec::new();
    frame(&mut out, 1, 4, id, &block);
    frame(&mut out, 0, 1, id, b"\0\0\0\0\x05\x0a\x03you");
    out
}

/// One of a type that nobody knows (RFC 9113, 4.1): it makes records large, and HTTP/2 keeps nothing of it.
fn large_frame() -> Vec<u8> {
    let mut out = Vec::new();
    frame(&mut out, 0xff, 0, 0, &[0; 16_384]);
    out
}

/// Bytes that each of `N` connections holds after a call and a while, when they have so many tasks with a timer in common; then they make another call, to
/// which `is_answer` says yes.
fn held(n_shared: usize, serve: impl Fn(&World, MemoryConnection), is_answer: impl Fn(&[u8]) -> bool) -> usize {
    let world = World::enter();
    let mut peers: Vec<Peer> = Vec::with_capacity(N);
    let before = LIVE_BYTES.load(Ordering::Relaxed);
    for _ in 0..N {
        let (connection, peer) = pair();
        serve(&world, connection);
        peer.send(&[opening(), call(1)].concat());
        world.turn();
        assert!(is_answer(&peer.take()), "the first call");
        peers.push(peer);
    }
    // Past every deadline of the handshake.
    world.pass(Duration::from_secs(15));
    let held = LIVE_BYTES.load(Ordering::Relaxed) - before;
    assert_eq!(
        (world.n_tasks() - N, world.n_timers()),
        (n_shared, n_shared),
        "an idle connection waits for its peer, and for a timer that all share"
    );
    for peer in &peers {
        peer.send(&call(3));
        world.turn();
        assert!(is_answer(&peer.take()), "a call after an idle time");
    }
    held / N
}

/// On the loop in memory, which is that of this thread; then on the real ones. One test, because there is one allocator.
#[test]
fn an_idle_connection_holds_little() {
    in_memory();
    let pki = Pki::new("CA");
    for (runtime, bytes_max, tls_bytes_max) in LOOPS {
        if let Ok(event_loop) = Loop::choose(runtime) {
            on(event_loop.clone(), None, bytes_max);
            on(event_loop, Some(&pki), tls_bytes_max);
        }
    }
}

fn in_memory() {
    let (lone, router) = (Lone::new(Limits::default()), Router::from(GreeterServer::new(Hello)));
    let native = |world: &World, connection| {
        let served = lone.serve(Memory, connection, Http2::Native, router.clone());
        world.spawn(async move {
            let _ = served.await;
        });
    };
    // A task that is no more than its connection.
    let bare = |world: &World, mut connection: MemoryConnection| {
        world.spawn(async move {
            while connection.receive(|bytes| !bytes.is_empty()).await.unwrap_or(false) {
                let _ = connection.send(b"ok".to_vec()).await;
            }
        });
    };
    let greeted = |output: &[u8]| output.windows(11).any(|window| window == b"Hello, you!");
    let held_bare = held(0, bare, |output| output == b"ok");
    // Buffers of the worker, and whatever else is made once.
    held(1, native, greeted);
    let held_native = held(1, native, greeted);
    let own = held_native - held_bare;
    println!("{own} bytes ({held_native} with what the loop in memory needs)");
    assert!(own <= IDLE_BYTES_MAX, "an idle connection holds {own} bytes, more than {IDLE_BYTES_MAX}");
}

/// On a real loop; with TLS, if there is a CA.
fn on(event_loop: Loop, pki: Option<&Pki>, bytes_max: usize) {
    let name = format!("{}{}", event_loop.name(), if pki.is_some() { " with TLS" } else { "" });
    let start = |_: &loopswap::rt::Worker| GreeterServer::new(Hello);
    let builder = Server::builder().listen("127.0.0.1:0").workers(1);
    let builder = match pki {
        Some(pki) => builder.tls(pki.server().tls().client_ca_file(pki.ca())),
        None => builder,
    };
    let running = builder.start(event_loop, start).expect("the loop runs here");
    let address = running.local_addr().as_tcp().expect("TCP");
    let tls = pki.map(|pki| config(pki, &pki.client("Alice")));
    let open = || {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(SETTLE_TIMEOUT)).expect("a duration that is not zero");
        match &tls {
            None => greeted(&name, &mut stream, &[opening(), call(1)]),
            Some(config) => {
                let session = ClientConnection::new(Arc::clone(config), address.ip().into()).expect("a configuration that works");
                let mut tls = StreamOwned::new(session, stream);
                greeted(&name, &mut tls, &[opening(), large_frame(), call(1)]);
                // The client's session is not counted: the socket alone stays.
                return tls.sock;
            }
        }
        stream
    };
    // What is made once.
    let warm: Vec<_> = (0..N_REAL).map(|_| open()).collect();
    let before = settled();
    let streams: Vec<_> = (0..N_REAL).map(|_| open()).collect();
    let held = settled().saturating_sub(before) / N_REAL;
    println!("{held} bytes on {name}");
    assert!(held <= bytes_max, "an idle connection holds {held} bytes on {name}, more than {bytes_max}");
    drop((warm, streams));
    running.handle().stop();
    // Connections were cut, if the worker has not seen them close.
    let _ = running.wait();
}

/// Makes a call with this.
fn greeted(name: &str, stream: &mut (impl Read + Write), request: &[Vec<u8>]) {
    stream.write_all(&request.concat()).expect("the server takes it");
    let (mut answer, mut buffer) = (Vec::new(), [0; 1024]);
    while !answer.windows(11).any(|window| window == b"Hello, you!") {
        match stream.read(&mut buffer) {
            Ok(0) => panic!("{name}: the server closed the connection"),
            Ok(n) => answer.extend_from_slice(&buffer[..n]),
            // A thread that has had a ring, if only to try one, is interrupted when that ends.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{name}: no answer: {error}"),
        }
    }
}

/// Of a client that shows a certificate, and keeps no sessions.
fn config(pki: &Pki, identity: &Identity) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pki.ca()).expect("PEM")).expect("a CA");
    let certificate = CertificateDer::from_pem_file(&identity.certificate).expect("PEM");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of ring's")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], PrivateKeyDer::from_pem_file(&identity.key).expect("PEM"))
        .expect("they fit");
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// The live bytes when they have not changed for a second.
fn settled() -> usize {
    let until = Instant::now() + SETTLE_TIMEOUT;
    let (mut seen, mut since) = (LIVE_BYTES.load(Ordering::Relaxed), Instant::now());
    while since.elapsed() < Duration::from_secs(1) && Instant::now() < until {
        thread::sleep(Duration::from_millis(20));
        let now = LIVE_BYTES.load(Ordering::Relaxed);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
    }
    seen
}
