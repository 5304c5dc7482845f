//! Both directions full: large messages both ways at once, over socket buffers of some kilobytes, with records cut anywhere and keys renewed meanwhile. What
//! must not happen is that both ends wait for each other, or that nobody wakes a connection which could go on.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use loopswap::client::{Channel, Endpoint};
use loopswap::greeter::{GreeterClient, GreeterServer, HelloRequest};
use loopswap::tls::ClientTls;
use loopswap::{Http2, Server};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use socket2::{Domain, SockRef, Socket, Type};

use super::client::{Wants, config, opening};
use super::pki::Pki;
use crate::channel::on_loop;
use crate::leaks::{Hosted, host};
use crate::raw::{MAX_31_BITS, call, flag, kind, setting, settings, window_update};
use crate::support::{PATIENCE, Puppet};

crate::on_every_loop_and_engine!(large_messages_both_ways_at_once, records_cut_anywhere_and_new_keys);

/// What the kernel makes of it is about twice as much.
const BUFFER_BYTES: usize = 4096;

/// Serves a puppet over TLS, to clients whose connections have small buffers, as Linux hands down those of their listener.
pub(super) fn serve_narrow(runtime: &str, engine: Http2, pki: &Pki) -> (Hosted, Puppet) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    narrow(&listener);
    let (puppet, tls) = (Puppet::default(), pki.server().tls());
    let service = puppet.clone();
    let builder = Server::builder().listen_on(listener).workers(1).http2(engine).tls(tls);
    (host(builder, runtime, move |_| GreeterServer::new(service.clone())).with_puppet(puppet.clone()), puppet)
}

/// A connection whose buffers are small on this side, too.
pub(super) fn connect_narrow(addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).unwrap();
    narrow(&socket);
    socket.connect(&addr.into()).expect("it listens");
    let socket = TcpStream::from(socket);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

fn narrow<'s>(socket: &'s impl std::os::fd::AsFd) {
    let socket: SockRef<'s> = SockRef::from(socket);
    socket.set_recv_buffer_size(BUFFER_BYTES).unwrap();
    socket.set_send_buffer_size(BUFFER_BYTES).unwrap();
}

/// By our channel, on the same loop: calls side by side, of which some are sending when others are answered.
fn large_messages_both_ways_at_once(runtime: &str, engine: &str) {
    const SIZES: [usize; 8] = [300_000, 1, 70_000, 16_384, 500_000, 65_536, 0, 1_000_000];
    let pki = Pki::new("CA");
    let (server, _) = serve_narrow(runtime, engine.parse().unwrap(), &pki);
    let (uri, tls) = (format!("https://{}", server.local_addr()), ClientTls::new().ca_file(pki.ca()));
    on_loop(runtime, async move || {
        let channel: Channel = Endpoint::new(&uri).unwrap().tls(tls).unwrap().connect().await.expect("TLS is agreed");
        for _ in 0..3 {
            join_all(SIZES.map(async |size| {
                let request = HelloRequest { name: "x".repeat(size), sleep_millisecond: 0 };
                let reply = GreeterClient::new(channel.clone()).say_hello(request).await.expect("it answers");
                assert_eq!(reply.into_inner().message.len(), size + "Hello, !".len());
            }))
            .await;
        }
        channel.close().await;
    });
}

/// By a client that writes what it has to send wherever the socket takes it, some bytes at a time, reads only when the socket takes nothing, and renews the
/// keys of both directions again and again (RFC 8446, 4.6.3).
fn records_cut_anywhere_and_new_keys(runtime: &str, engine: &str) {
    const N_CALLS: u32 = 300;
    /// Streams at once.
    const N_OPEN_MAX: usize = 50;
    /// Of rustls's server, which takes 32 of them.
    const CALLS_A_KEY: u32 = 15;
    let pki = Pki::new("CA");
    let (server, puppet) = serve_narrow(runtime, engine.parse().unwrap(), &pki);
    let addr = server.local_addr().as_tcp().unwrap();
    let mut socket = connect_narrow(addr);
    let mut tls = ClientConnection::new(config(&pki, None, &Wants::default()), ServerName::from(addr.ip())).unwrap();
    tls.set_buffer_limit(None);
    while tls.is_handshaking() {
        tls.complete_io(&mut socket).expect("TLS is agreed");
    }
    socket.set_nonblocking(true).unwrap();
    let mut bytes = opening();
    settings(&[(setting::INITIAL_WINDOW_SIZE, MAX_31_BITS)]).write(&mut bytes);
    window_update(0, MAX_31_BITS - 65_535).write(&mut bytes);
    tls.writer().write_all(&bytes).unwrap();

    let name = "x".repeat(10_000);
    let mut answers = Answers { room: 65_535, ..Answers::default() };
    let (mut n_begun, begun, mut piece) = (0, Instant::now(), 1);
    while answers.n_ended < N_CALLS as usize {
        assert!(
            begun.elapsed() < PATIENCE,
            "{} of {N_CALLS} calls were answered, {n_begun} were begun; {:?}",
            answers.n_ended,
            puppet.begun
        );
        // Acknowledgements, and calls that the server has room for.
        let mut bytes = std::mem::take(&mut answers.owed);
        while n_begun < N_CALLS && answers.room > 11_000 && (n_begun as usize) < answers.n_ended + N_OPEN_MAX {
            for frame in call(2 * n_begun + 1, &name, 0) {
                answers.room -= if frame.kind == kind::DATA { frame.payload.len() as i64 } else { 0 };
                frame.write(&mut bytes);
            }
            n_begun += 1;
            if n_begun % CALLS_A_KEY == 0 {
                tls.refresh_traffic_keys().unwrap();
            }
        }
        tls.writer().write_all(&bytes).unwrap();
        let wrote = tls.wants_write() && would(tls.write_tls(&mut Piecewise { socket: &socket, piece }));
        piece = piece % 1500 + 97;
        let read = !wrote && would(tls.read_tls(&mut socket));
        if read {
            tls.process_new_packets().expect("the server's records are good");
            let mut plain = Vec::new();
            assert!(matches!(tls.reader().read_to_end(&mut plain), Err(error) if error.kind() == ErrorKind::WouldBlock), "it is closed");
            answers.take(&plain);
        }
        if !wrote && !read {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
    assert_eq!(answers.n_bytes, N_CALLS as usize * (name.len() + "Hello, !".len()), "each is whole");
    tls.send_close_notify();
    socket.set_nonblocking(false).unwrap();
    while tls.wants_write() {
        tls.write_tls(&mut socket).unwrap();
    }
}

/// Whether the socket has done something.
fn would(done: std::io::Result<usize>) -> bool {
    match done {
        Ok(0) => panic!("it is closed"),
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("it is broken: {error}"),
    }
}

/// A socket that takes so many bytes at most.
struct Piecewise<'s> {
    socket: &'s TcpStream,
    piece: usize,
}

impl Write for Piecewise<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.socket.write(&bytes[..bytes.len().min(self.piece)])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the server says, as far as it matters.
#[derive(Default)]
struct Answers {
    unread: Vec<u8>,
    /// Calls that have ended, and the bytes of their messages, without gRPC's and protobuf's.
    n_ended: usize,
    n_bytes: usize,
    /// Of the connection, for DATA.
    room: i64,
    /// To be sent.
    owed: Vec<u8>,
}

impl Answers {
    fn take(&mut self, plain: &[u8]) {
        self.unread.extend_from_slice(plain);
        while let Some(head) = self.unread.first_chunk::<9>() {
            let n = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            if self.unread.len() < 9 + n {
                return;
            }
            let frame: Vec<u8> = self.unread.drain(..9 + n).collect();
            let (is_of_connection, payload) = (frame[5..9] == [0; 4], &frame[9..]);
            match frame[3] {
                kind::DATA => self.n_bytes += n,
                kind::HEADERS if frame[4] & flag::END_STREAM != 0 => {
                    self.n_ended += 1;
                    // Of gRPC 5, of protobuf 1 and a length of 2.
                    self.n_bytes -= 8;
                }
                kind::SETTINGS if frame[4] & flag::ACK == 0 => crate::raw::settings_ack().write(&mut self.owed),
                kind::PING if frame[4] & flag::ACK == 0 => crate::raw::ping_ack(payload.try_into().unwrap()).write(&mut self.owed),
                kind::WINDOW_UPDATE if is_of_connection => self.room += i64::from(u32::from_be_bytes(payload.try_into().unwrap())),
                kind::RST_STREAM | kind::GOAWAY => panic!("it is refused: {payload:?}"),
                _ => {}
            }
        }
    }
}
