//! What is no TLS, or not the TLS that is wanted: refused with an alert, or closed by the handshake's deadline; counted, told with the peer, and no harm to
//! the next client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use loopswap::greeter::{GreeterServer, Hello};
use loopswap::tls::{ClientAuth, TlsRefusal};
use loopswap::{Limits, Server};
use rustix::process::Signal;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::client::{VERSIONS, Wants, config, first_frame, open, open_on, opening};
use super::pki::Pki;
use super::{greeter, serve_tls, trusting};
use crate::leaks::host;
use crate::raw::PREFACE;
use crate::support::{Served, block_on, connect, eventually, hello, serve, until_closed};

crate::on_every_loop_and_engine!(
    without_alpn,
    other_alpn,
    tls_1_1,
    no_tls,
    noise_in_the_handshake,
    noise_behind_the_handshake,
    a_client_that_does_not_trust,
    a_stalled_handshake,
    silence_behind_the_handshake,
    who_does_not_leave_is_counted_once,
    their_places_are_given_back,
    tls_to_a_plain_port,
);

const DEADLINE: Duration = Duration::from_secs(2);

/// `handshake_failure` and `protocol_version` (RFC 8446, 6).
const OLD_VERSION_ALERTS: [u8; 2] = [40, 70];

/// A server and its clients.
struct Case {
    server: Served,
    pki: Pki,
}

impl Case {
    fn new(runtime: &str, engine: &str) -> Self {
        let pki = Pki::new("CA");
        let server = serve_tls(runtime, engine, &pki.server(), &["--handshake-timeout", "2s", "--log", "loopswap=debug"]);
        Self { server, pki }
    }

    fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// The others are served, nothing is left, and so often was it counted.
    fn ends(mut self, counted: &str, n: usize) {
        block_on(async { assert!(hello(&mut greeter(self.addr(), trusting(&self.pki)).await, "Joe", 0).await.is_ok()) });
        self.server.signal(Signal::TERM);
        assert_eq!(self.server.wait().code(), Some(0));
        let log = self.server.stderr().wait_for("ended").map_or_else(String::new, |_| self.server.stderr().so_far());
        assert!(!log.contains("panicked"), "{log}");
        let counters = ["limit reached: ", "TLS refused: "];
        let moved: Vec<_> =
            log.lines().filter(|line| line.contains("n=") && counters.iter().any(|counter| line.contains(counter))).collect();
        let [line] = moved[..] else { panic!("`{counted}` alone: {log}") };
        assert!(line.contains(counted) && line.ends_with(&format!("n={n}")), "`{counted}`, {n}: {log}");
    }

    /// The log has this of a peer.
    fn is_told(&self, text: &str) {
        let line = self.server.stderr().wait_for(text).unwrap_or_else(|| panic!("`{text}`: {}", self.server.stderr().so_far()));
        assert!(line.contains("DEBUG") && line.contains("peer=127.0.0.1:"), "{line}");
    }
}

/// The description of the alert with which the server closes; `None` when it says nothing.
fn alert(socket: &mut TcpStream) -> Option<u8> {
    let (said, _) = until_closed(socket);
    match said[..] {
        [] => None,
        // A fatal alert of TLS, of whichever version.
        [0x15, 3, _, 0, 2, 2, description] => Some(description),
        _ => panic!("it is no alert: {said:?}"),
    }
}

fn without_alpn(runtime: &str, engine: &str) {
    let case = Case::new(runtime, engine);
    for versions in VERSIONS {
        let error = open(case.addr(), config(&case.pki, None, &Wants { versions, alpn: &[] })).expect_err("it is refused");
        assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    }
    case.is_told("does not offer h2");
    case.ends("tls_no_h2", 2);
}

fn other_alpn(runtime: &str, engine: &str) {
    let case = Case::new(runtime, engine);
    let error = open(case.addr(), config(&case.pki, None, &Wants { alpn: &[b"http/1.1"], ..Wants::default() })).expect_err("it is refused");
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    let both = Wants { alpn: &[b"http/1.1", b"h2"], ..Wants::default() };
    assert!(first_frame(case.addr(), config(&case.pki, None, &both)).is_ok());
    case.ends("tls_no_h2", 1);
}

/// The first message of a client of TLS 1.1, with two of its cipher suites.
fn hello_1_1() -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0xc0, 0x13, 0, 0x2f, 1, 0]);
    let mut message = vec![1, 0, 0, body.len() as u8];
    message.extend(body);
    [&[0x16, 3, 1, 0, message.len() as u8], &message[..]].concat()
}

fn tls_1_1(runtime: &str, engine: &str) {
    let case = Case::new(runtime, engine);
    let mut socket = connect(case.addr());
    socket.write_all(&hello_1_1()).unwrap();
    let alert = alert(&mut socket).expect("it is told");
    assert!(OLD_VERSION_ALERTS.contains(&alert), "{alert}");
    case.is_told("neither TLS 1.2 nor 1.3");
    case.ends("tls_version", 1);
}

fn no_tls(runtime: &str, engine: &str) {
    let case = Case::new(runtime, engine);
    let texts = [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], PREFACE, &[0; 4096], &[0xff; 100_000]];
    for text in texts {
        let mut socket = connect(case.addr());
        // The server may close before it has read all.
        let _ = socket.write_all(text);
        assert!(alert(&mut socket).is_some(), "{:?}", &text[..3]);
    }
    case.is_told("does not speak TLS");
    case.ends("tls_not_tls", texts.len());
}

fn noise_in_the_handshake(runtime: &str, engine: &str) {
    let case = Case::new(runtime, engine);
    let cases = [
        // A handshake message of 16 MiB is announced; of another kind; of which the length is none.
        [&[0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[0; 200_000]].concat(),
        [&[0x16, 3, 1, 0, 8, 20, 0, 0, 4][..], &[1; 4]].concat(),
        [&[0x16, 3, 1, 0, 44, 1, 0, 0, 40, 3, 3][..], &[7; 38]].concat(),
        vec![0x16, 3, 1, 0xff, 0xff, 1, 2, 3],
        // An alert, data, a change of ciphers before anything else.
        vec![0x15, 3, 1, 0, 2, 2, 80],
        vec![0x17, 3, 3, 0, 3, 1, 2, 3],
    ];
    for bytes in &cases {
        let mut socket = connect(case.addr());
        let _ = socket.write_all(bytes);
        until_closed(&mut socket);
    }
    case.ends("tls_protocol", cases.len());
}

fn noise_behind_the_handshake(runtime: &str, engine: &str) {
    let case = Case::new(runtime, engine);
    let mut tls = open(case.addr(), config(&case.pki, None, &Wants::default())).expect("TLS is agreed");
    // Its records are encrypted by now.
    tls.sock.write_all(&[0x17, 3, 3, 0, 32]).unwrap();
    tls.sock.write_all(&[9; 32]).unwrap();
    let error = std::io::read_to_string(&mut tls).expect_err("it is refused");
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
    case.ends("tls_protocol", 1);
}

fn a_client_that_does_not_trust(runtime: &str, engine: &str) {
    let case = Case::new(runtime, engine);
    let stranger = Pki::new("another CA");
    for versions in VERSIONS {
        let error = open(case.addr(), config(&stranger, None, &Wants { versions, ..Wants::default() })).expect_err("it does not trust");
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    }
    case.is_told("the client broke it off");
    case.ends("tls_alert", 2);
}

/// The socket is closed by the deadline, not before, and the server has slept meanwhile.
fn is_closed_by_the_deadline(case: &Case, mut socket: TcpStream, opened: Instant) {
    let cpu = case.server.cpu();
    until_closed(&mut socket);
    assert!(opened.elapsed() >= DEADLINE, "closed after {:?}", opened.elapsed());
    assert!(opened.elapsed() < DEADLINE * 4, "closed after {:?}", opened.elapsed());
    let spent = case.server.cpu() - cpu;
    // One that turned would spend all of it; what the handshakes themselves cost is more in a build without optimisation.
    assert!(spent < DEADLINE / 4, "it spent {spent:?} of CPU on waiting");
}

/// Silent, after half of the client's first message, before its last, and with a trickle of it.
fn a_stalled_handshake(runtime: &str, engine: &str) {
    let case = Case::new(runtime, engine);
    let config = config(&case.pki, None, &Wants::default());
    let new = || ClientConnection::new(config.clone(), ServerName::from(case.addr().ip())).unwrap();
    let mut first = Vec::new();
    new().write_tls(&mut first).unwrap();

    let opened = Instant::now();
    let silent = connect(case.addr());
    let mut half = connect(case.addr());
    half.write_all(&first[..first.len() / 2]).unwrap();
    let mut client = new();
    let mut answered = connect(case.addr());
    client.write_tls(&mut answered).unwrap();
    client.read_tls(&mut answered).unwrap();
    let trickling = connect(case.addr());
    let mut writer = trickling.try_clone().unwrap();
    let trickle = thread::spawn(move || {
        for byte in first.chunks(1) {
            if writer.write_all(byte).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("each byte put the deadline off");
    });
    thread::scope(|scope| {
        for socket in [silent, half, answered, trickling] {
            scope.spawn(|| is_closed_by_the_deadline(&case, socket, opened));
        }
    });
    trickle.join().unwrap();
    case.ends("limit reached: handshake_timeout", 4);
}

/// TLS is agreed, and HTTP/2 is not opened: it is one deadline.
fn silence_behind_the_handshake(runtime: &str, engine: &str) {
    let case = Case::new(runtime, engine);
    let opened = Instant::now();
    let silent = open(case.addr(), config(&case.pki, None, &Wants::default())).expect("TLS is agreed");
    let mut half = open(case.addr(), config(&case.pki, None, &Wants::default())).expect("TLS is agreed");
    half.write_all(&opening()[..20]).unwrap();
    for tls in [silent, half] {
        is_closed_by_the_deadline(&case, tls.sock, opened);
    }
    case.ends("limit reached: handshake_timeout", 2);
}

/// What a client does that is refused.
enum Deed {
    /// It says this.
    Says(Vec<u8>),
    /// It speaks TLS.
    Speaks(Arc<ClientConfig>),
}

/// Of clients that stay, the server takes leave for a second. The handshake's deadline passes meanwhile, and is not counted besides.
fn who_does_not_leave_is_counted_once(runtime: &str, engine: &str) {
    let deadline = Duration::from_millis(950);
    let (pki, stranger) = (Pki::new("CA"), Pki::new("another CA"));
    let (alice, mallory) = (pki.client("Alice"), stranger.client("Mallory"));
    let tls = pki.server().tls().client_ca_file(pki.ca()).client_auth(ClientAuth::Require);
    let mut limits = Limits::default();
    (limits.handshake_timeout, limits.connection_idle_max) = (deadline, Some(deadline));
    let server = Server::builder().listen("127.0.0.1:0").workers(1).http2(engine.parse().unwrap()).limits(limits).tls(tls);
    let server = host(server, runtime, |_| GreeterServer::new(Hello));
    let addr = server.local_addr().as_tcp().expect("TCP");

    let speaks = |pki, identity, wants: &Wants| Deed::Speaks(config(pki, identity, wants));
    let mut deeds = vec![
        (TlsRefusal::NotTls, Deed::Says(vec![0; 100])),
        (TlsRefusal::Version, Deed::Says(hello_1_1())),
        (TlsRefusal::Protocol, Deed::Says(vec![0x17, 3, 3, 0, 3, 1, 2, 3])),
    ];
    for versions in VERSIONS {
        let wants = Wants { versions, ..Wants::default() };
        deeds.extend([
            (TlsRefusal::Alpn, speaks(&pki, Some(&alice), &Wants { versions, alpn: &[] })),
            (TlsRefusal::NoCertificate, speaks(&pki, None, &wants)),
            (TlsRefusal::BadCertificate, speaks(&pki, Some(&mallory), &wants)),
            (TlsRefusal::Alert, speaks(&stranger, Some(&alice), &wants)),
        ]);
    }
    let mut clients = Vec::new();
    for (_, deed) in &deeds {
        let (opened, mut socket) = (Instant::now(), connect(addr));
        match deed {
            Deed::Says(bytes) => socket.write_all(bytes).expect("the server takes it"),
            // With TLS 1.3, who shows no good certificate learns of it later.
            Deed::Speaks(config) => drop(open_on(socket.try_clone().unwrap(), addr, Arc::clone(config))),
        }
        clients.push((opened, socket));
    }
    for (opened, mut socket) in clients {
        eventually("the server closes it", || socket.write_all(&[0]).is_err().then_some(()));
        assert!(opened.elapsed() > deadline, "closed after {:?}: no deadline has passed", opened.elapsed());
    }

    let handle = server.handle();
    let counted = handle.counters().tls_refusals().map(|(refusal, n)| (refusal.name(), n));
    let counted: Vec<_> = counted.chain(handle.counters().reached().map(|(limit, n)| (limit.name(), n))).collect();
    let expected = TlsRefusal::ALL.iter().filter_map(|refusal| {
        let n = deeds.iter().filter(|(of, _)| of == refusal).count();
        (n > 0).then_some((refusal.name(), n as u64))
    });
    assert_eq!(counted, expected.collect::<Vec<_>>());
}

fn tls_to_a_plain_port(runtime: &str, engine: &str) {
    let pki = Pki::new("CA");
    let mut server = serve(runtime, &["--http2", engine, "--log", "loopswap=debug"]);
    for versions in VERSIONS {
        let error = open(server.addr(), config(&pki, None, &Wants { versions, ..Wants::default() })).expect_err("it is no TLS");
        assert!(!error.to_string().contains("timed out"), "{error}");
    }
    let line = server.stderr().wait_for("connection closed").expect("it is told");
    assert!(line.contains("DEBUG") && line.contains("peer=127.0.0.1:"), "{line}");
    assert!(server.is_running());
    let mut socket = connect(server.addr());
    socket.write_all(&opening()).unwrap();
    assert!(socket.read(&mut [0; 9]).unwrap() > 0, "the next client is served");
}

/// There is one place, which is taken during the handshake, and which each of these has in turn.
fn their_places_are_given_back(runtime: &str, engine: &str) {
    let pki = Pki::new("CA");
    let server = serve_tls(runtime, engine, &pki.server(), &["--max-connections", "1", "--handshake-timeout", "2s"]);
    let is_free = || block_on(async { hello(&mut greeter(server.addr(), trusting(&pki)).await, "Joe", 0).await }).expect("it is served");
    is_free();
    let mut noise = connect(server.addr());
    let _ = noise.write_all(&[0; 4096]);
    until_closed(&mut noise);
    is_free();
    open(server.addr(), config(&pki, None, &Wants { alpn: &[], ..Wants::default() })).expect_err("it is refused");
    is_free();
    // A handshake that stalls keeps the next one waiting, until its deadline.
    let begun = Instant::now();
    let mut stalled = connect(server.addr());
    stalled.write_all(&[0x16, 3, 1]).unwrap();
    is_free();
    assert!(begun.elapsed() >= DEADLINE, "there was a place after {:?}", begun.elapsed());
    drop(connect(server.addr()));
    is_free();
}
