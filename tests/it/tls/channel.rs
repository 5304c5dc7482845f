//! Our own client's channel over TLS, on each loop, against either engine and against servers that are no good.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use loopswap::client::{Channel, Endpoint};
use loopswap::greeter::{GreeterClient, HelloRequest};
use loopswap::tls::ClientTls;
use loopswap::{Error, ErrorKind, Http2};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::pki::{Identity, Pki, Use, read};
use crate::channel::on_loop;
use crate::leaks::Hosted;
use crate::support::{Puppet, serve_puppet};

crate::on_every_loop!(
    calls_and_large_messages,
    shows_its_certificate,
    is_told_why_it_is_refused,
    says_why_there_is_no_tls,
    says_goodbye,
    answers_a_goodbye
);

fn serve(runtime: &str, engine: Http2, pki: &Pki, mutual: bool) -> (Hosted, Puppet) {
    let tls = pki.server().tls();
    let tls = if mutual { tls.client_ca_file(pki.ca()) } else { tls };
    serve_puppet(runtime, |builder| builder.http2(engine).tls(tls))
}

fn trusting(pki: &Pki) -> ClientTls {
    ClientTls::new().ca_file(pki.ca())
}

async fn connected(addr: impl std::fmt::Display, tls: ClientTls) -> Result<Channel, Error> {
    Endpoint::new(&format!("https://{addr}"))?.tls(tls)?.connect().await
}

async fn say_hello(channel: &Channel, name: &str) -> String {
    let request = HelloRequest { name: name.into(), sleep_millisecond: 0 };
    GreeterClient::new(channel.clone()).say_hello(request).await.expect("it answers").into_inner().message
}

fn calls_and_large_messages(runtime: &str) {
    Http2::ALL.into_iter().for_each(|engine| calls_and_large_messages_of(runtime, engine));
}

fn calls_and_large_messages_of(runtime: &str, engine: Http2) {
    let pki = Pki::new("CA");
    let (server, _) = serve(runtime, engine, &pki, false);
    let (addr, tls) = (server.local_addr().clone(), trusting(&pki));
    on_loop(runtime, async move || {
        let channel = connected(addr, tls).await.expect("TLS is agreed");
        for n in [0, 1, 16_384, 1_000_000] {
            let name = "x".repeat(n);
            assert_eq!(say_hello(&channel, &name).await, format!("Hello, {name}!"));
        }
        channel.close().await;
    });
}

fn shows_its_certificate(runtime: &str) {
    Http2::ALL.into_iter().for_each(|engine| shows_its_certificate_of(runtime, engine));
}

fn shows_its_certificate_of(runtime: &str, engine: Http2) {
    let pki = Pki::new("CA");
    let (server, _) = serve(runtime, engine, &pki, true);
    let Identity { certificate, key } = pki.client("Alice");
    for tls in [
        trusting(&pki).identity_files(&certificate, &key),
        ClientTls::new().ca_pem(read(&pki.ca())).identity_pem(read(&certificate), read(&key)),
    ] {
        let addr = server.local_addr().clone();
        on_loop(runtime, async move || {
            let channel = connected(addr, tls).await.expect("it is let in");
            assert_eq!(say_hello(&channel, "Alice").await, "Hello, Alice!");
            channel.close().await;
        });
    }
}

/// Tries to connect, which fails for this reason.
fn fails(runtime: &str, addr: impl std::fmt::Display + 'static, tls: ClientTls, why: &str) {
    let error = on_loop(runtime, async move || connected(addr, tls).await.expect_err("it fails"));
    assert!(error.kind() == ErrorKind::Connect && error.to_string().contains(why), "`{why}`: {error}");
}

fn is_told_why_it_is_refused(runtime: &str) {
    Http2::ALL.into_iter().for_each(|engine| is_told_why_it_is_refused_of(runtime, engine));
}

fn is_told_why_it_is_refused_of(runtime: &str, engine: Http2) {
    let (pki, stranger) = (Pki::new("CA"), Pki::new("another CA"));
    let (server, _) = serve(runtime, engine, &pki, true);
    let addr = || server.local_addr().clone();
    fails(runtime, addr(), trusting(&stranger), "signed by no CA that is trusted");
    fails(runtime, addr(), trusting(&pki).server_name("greeter.example.com"), "for another name");
    fails(runtime, addr(), trusting(&pki), "wants a client certificate");
    let mallory = stranger.client("Mallory");
    fails(runtime, addr(), trusting(&pki).identity_files(mallory.certificate, mallory.key), "does not take the client's certificate");
    let old = pki.issue("old", Use::Client, 2000);
    fails(runtime, addr(), trusting(&pki).identity_files(old.certificate, old.key), "does not take the client's certificate");
    let (plain, _) = serve_puppet(runtime, |builder| builder.http2(engine));
    fails(runtime, plain.local_addr().clone(), trusting(&pki), "TLS");
}

/// The end of such a server.
pub(super) type ServerEnd = StreamOwned<ServerConnection, std::net::TcpStream>;

/// Serves one client, by rustls.
pub(super) fn serve_once(
    identity: &Identity,
    alpn: &[&[u8]],
    talk: impl FnOnce(ServerEnd) + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(&identity.certificate).unwrap()],
            PrivateKeyDer::from_pem_file(&identity.key).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
        talk(StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket));
    });
    (addr, serving)
}

fn says_why_there_is_no_tls(runtime: &str) {
    let pki = Pki::new("CA");
    let identity = pki.server();
    for (alpn, why) in [(&[][..], "does not agree to h2"), (&[&b"http/1.1"[..]][..], "does not speak HTTP/2")] {
        let (addr, serving) = serve_once(&identity, alpn, |mut tls| drop(tls.read(&mut [0])));
        fails(runtime, addr, trusting(&pki), why);
        serving.join().unwrap();
    }
    let expired = pki.issue("expired", Use::Server, 2000);
    let (addr, serving) = serve_once(&expired, &[b"h2"], |mut tls| drop(tls.read(&mut [0])));
    fails(runtime, addr, trusting(&pki), "has expired");
    serving.join().unwrap();
    let (addr, serving) = serve_once(&identity, &[b"h2"], |mut tls| drop(tls.sock.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")));
    fails(runtime, addr, trusting(&pki), "does not speak TLS");
    serving.join().unwrap();
    let (addr, serving) = serve_once(&identity, &[b"h2"], drop);
    fails(runtime, addr, trusting(&pki), "");
    serving.join().unwrap();
}

/// Empty ones: with them the client is connected.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

/// GOAWAY, close_notify, FIN.
fn says_goodbye(runtime: &str) {
    let pki = Pki::new("CA");
    let (addr, serving) = serve_once(&pki.server(), &[b"h2"], |mut tls| {
        tls.write_all(&SETTINGS).unwrap();
        let mut said = Vec::new();
        tls.read_to_end(&mut said).expect("it ends with close_notify");
        assert!(said.starts_with(crate::raw::PREFACE));
    });
    let tls = trusting(&pki);
    on_loop(runtime, async move || connected(addr, tls).await.expect("TLS is agreed").close().await);
    serving.join().unwrap();
}

/// The server's close_notify is answered by the client's (RFC 8446, 6.1).
fn answers_a_goodbye(runtime: &str) {
    let pki = Pki::new("CA");
    let (is_connected, connects) = mpsc::channel();
    let (addr, serving) = serve_once(&pki.server(), &[b"h2"], move |mut tls| {
        tls.write_all(&SETTINGS).unwrap();
        connects.recv().unwrap();
        tls.conn.send_close_notify();
        tls.flush().unwrap();
        tls.read_to_end(&mut Vec::new()).expect("it ends with close_notify");
    });
    let tls = trusting(&pki);
    on_loop(runtime, async move || {
        let channel = connected(addr, tls).await.expect("TLS is agreed");
        is_connected.send(()).unwrap();
        while loopswap::rt::live_tasks() > 0 {
            loopswap::rt::sleep(Duration::from_millis(1)).await;
        }
        drop(channel);
    });
    serving.join().unwrap();
}
