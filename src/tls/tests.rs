//! What a connection promises to whoever polls it, on a socket that is ready when the test says so: whatever is under way when a turn is over has been asked
//! after since it was started, so that its end wakes the task; and all bytes arrive, goodbye behind them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loopswap_rt::{Address, Connection};
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};

use super::TlsConnection;
use crate::server::Counters;

static UNNAMED: Address = Address::Unix(None);

/// The socket's inside.
#[derive(Default)]
struct Inside {
    arriving: VecDeque<Vec<u8>>,
    sending: Option<Vec<u8>>,
    /// The send under way was asked after.
    was_polled: bool,
    /// Polls of a send that will find it ready.
    n_ready: usize,
    sent: Vec<u8>,
    is_shut: bool,
}

#[derive(Clone, Default)]
struct Socket(Rc<RefCell<Inside>>);

impl Connection for Socket {
    fn poll_receive<T>(&mut self, _: &mut Context<'_>, lend: impl FnOnce(&[u8]) -> T) -> Poll<io::Result<T>> {
        let arrived = self.0.borrow_mut().arriving.pop_front();
        arrived.map_or(Poll::Pending, |bytes| Poll::Ready(Ok(lend(&bytes))))
    }

    fn start_send(&mut self, buf: Vec<u8>) {
        let mut inside = self.0.borrow_mut();
        assert!(inside.sending.is_none() && !inside.is_shut, "one send at a time, and none behind FIN");
        inside.sending = Some(buf);
        inside.was_polled = false;
    }

    fn poll_send(&mut self, _: &mut Context<'_>) -> Poll<(io::Result<()>, Vec<u8>)> {
        let mut inside = self.0.borrow_mut();
        inside.was_polled = true;
        if inside.n_ready == 0 {
            return Poll::Pending;
        }
        inside.n_ready -= 1;
        let mut buf = inside.sending.take().expect("a send is under way");
        inside.sent.append(&mut buf);
        Poll::Ready((Ok(()), buf))
    }

    fn is_sending(&self) -> bool {
        self.0.borrow().sending.is_some()
    }

    fn shutdown(&mut self, _: Shutdown) -> io::Result<()> {
        let mut inside = self.0.borrow_mut();
        assert!(inside.sending.is_none(), "FIN would cut what is under way");
        inside.is_shut = true;
        Ok(())
    }

    fn peer_addr(&self) -> &Address {
        &UNNAMED
    }

    fn local_addr(&self) -> io::Result<Address> {
        Ok(Address::Unix(None))
    }
}

fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let certificate = CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap())
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    for alpn in [&mut server.alpn_protocols, &mut client.alpn_protocols] {
        alpn.push(b"h2".to_vec());
    }
    (server.into(), client.into())
}

/// The same numbers at every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// A server's end whose caller answers what comes, in one of the two orders in which the drivers of this crate poll; and a client's end.
struct Pair {
    server: TlsConnection<Socket>,
    socket: Socket,
    client: ClientConnection,
    receives_first: bool,
    /// To be sent by the server's caller.
    owed: VecDeque<Vec<u8>>,
    received: usize,
    is_closing: bool,
}

impl Pair {
    fn inside(&self) -> std::cell::RefMut<'_, Inside> {
        self.socket.0.borrow_mut()
    }

    fn poll_sent(&mut self) {
        if self.server.is_sending()
            && let Poll::Ready((result, _)) = self.server.poll_send(&mut Context::from_waker(Waker::noop()))
        {
            result.unwrap();
        }
    }

    fn poll_received(&mut self) {
        while let Poll::Ready(received) = self.server.poll_receive(&mut Context::from_waker(Waker::noop()), |bytes| bytes.len()) {
            self.received += received.unwrap();
        }
    }

    fn turn(&mut self, dice: &mut Dice) {
        let mut ready = |pair: &Self| pair.inside().n_ready += dice.throw(2);
        ready(self);
        if self.receives_first {
            self.poll_received();
            ready(self);
            self.poll_sent();
        } else {
            self.poll_sent();
            ready(self);
            self.poll_received();
        }
        while !self.server.is_sending()
            && !self.is_closing
            && let Some(buf) = self.owed.pop_front()
        {
            self.server.start_send(buf);
            self.poll_sent();
        }
        let inside = self.inside();
        assert!(inside.sending.is_none() || inside.was_polled, "a send is under way that nobody has asked after");
        assert!(!self.server.is_sending() || inside.sending.is_some(), "what is to be sent waits for nothing");
    }

    /// The client takes in what has come, and sends what it has.
    fn client_turn(&mut self, plain: &mut Vec<u8>) {
        let sent = std::mem::take(&mut self.inside().sent);
        let mut left = &sent[..];
        while !left.is_empty() {
            self.client.read_tls(&mut left).unwrap();
            self.client.process_new_packets().unwrap();
            let mut chunk = Vec::new();
            match self.client.reader().read_to_end(&mut chunk) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => panic!("{error}"),
                _ => plain.append(&mut chunk),
            }
        }
        let mut wire = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut wire).unwrap();
        }
        if !wire.is_empty() {
            self.inside().arriving.push_back(wire);
        }
    }
}

#[test]
fn nothing_is_under_way_that_wakes_nobody() {
    let (server, client) = configs();
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let socket = Socket::default();
        let connection = ClientConnection::new(Arc::clone(&client), ServerName::try_from("localhost").unwrap()).unwrap();
        let mut pair = Pair {
            server: TlsConnection::accept(socket.clone(), Arc::clone(&server), Arc::new(Counters::new())),
            socket,
            client: connection,
            receives_first: seed % 2 == 0,
            owed: VecDeque::new(),
            received: 0,
            is_closing: false,
        };
        let (mut plain, mut said, mut told) = (Vec::new(), 0, 0);
        for _ in 0..60 {
            match dice.throw(4) {
                0 => pair.client_turn(&mut plain),
                1 => {
                    let n = dice.throw(3000) + 1;
                    pair.client.writer().write_all(&vec![7; n]).unwrap();
                    said += n;
                }
                2 => {
                    let n = dice.throw(40_000) + 1;
                    pair.owed.push_back(vec![9; n]);
                    told += n;
                }
                _ => pair.turn(&mut dice),
            }
        }
        // What is left, and goodbye in the midst of it.
        while !pair.owed.is_empty() {
            pair.turn(&mut dice);
            pair.client_turn(&mut plain);
        }
        while pair.client.is_handshaking() {
            pair.turn(&mut dice);
            pair.client_turn(&mut plain);
        }
        pair.is_closing = true;
        pair.server.shutdown(Shutdown::Write).unwrap();
        for _ in 0..40 {
            pair.turn(&mut dice);
            pair.client_turn(&mut plain);
        }
        assert_eq!((plain.len(), pair.received), (told, said), "seed {seed}");
        assert!(pair.inside().is_shut && !pair.server.is_sending(), "seed {seed}: no FIN");
        let closed = pair.client.process_new_packets().unwrap().peer_has_closed();
        assert!(closed, "seed {seed}: no goodbye");
    }
}
