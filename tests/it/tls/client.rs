//! A client of TLS that can be made to do wrong: rustls on a blocking socket, and what becomes of it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use loopswap::greeter::HelloReply;
use prost::Message as _;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::pki::{Identity, Pki};
use crate::raw::{Frame, PREFACE, call, flag, kind, settings};
use crate::support::connect;

/// What TLS a client wants.
pub(crate) struct Wants {
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
    pub(crate) alpn: &'static [&'static [u8]],
}

impl Default for Wants {
    fn default() -> Self {
        Self { versions: ALL_VERSIONS, alpn: &[b"h2"] }
    }
}

/// Both versions that are spoken, and each of them.
static ALL_VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
pub(crate) static VERSIONS: [&[&SupportedProtocolVersion]; 2] = [&[&TLS13], &[&TLS12]];

pub(crate) fn config(pki: &Pki, identity: Option<&Identity>, wants: &Wants) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pki.ca()).expect("PEM")).expect("a CA");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(wants.versions)
        .expect("versions of ring's")
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { certificate, key }) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_file(certificate).expect("PEM")],
                PrivateKeyDer::from_pem_file(key).expect("PEM"),
            )
            .expect("they fit"),
    };
    config.alpn_protocols = wants.alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// A connection with TLS.
pub(crate) type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Connects, and agrees on TLS.
pub(crate) fn open(addr: SocketAddr, config: Arc<ClientConfig>) -> io::Result<Tls> {
    open_on(connect(addr), addr, config)
}

/// Agrees on TLS with the server of this address, on a connection that is there.
pub(crate) fn open_on(socket: TcpStream, addr: SocketAddr, config: Arc<ClientConfig>) -> io::Result<Tls> {
    let name = ServerName::from(addr.ip());
    let mut tls = StreamOwned::new(ClientConnection::new(config, name).expect("a configuration that works"), socket);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    Ok(tls)
}

/// The preface and empty SETTINGS.
pub(crate) fn opening() -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    settings(&[]).write(&mut bytes);
    bytes
}

/// Agrees on TLS, opens HTTP/2, and returns the kind of the server's first frame. With TLS 1.3 a client learns so late that its certificate is no good.
pub(crate) fn first_frame(addr: SocketAddr, config: Arc<ClientConfig>) -> io::Result<u8> {
    let mut tls = open(addr, config)?;
    tls.write_all(&opening())?;
    Ok(next_frame(&mut tls)?.kind)
}

/// Opens HTTP/2, says hello, and returns the reply.
pub(crate) fn greets(tls: &mut Tls) -> String {
    let mut bytes = opening();
    call(1, "Joe", 0).iter().for_each(|frame| frame.write(&mut bytes));
    tls.write_all(&bytes).expect("the server takes it");
    let mut message = Vec::new();
    loop {
        let frame = next_frame(tls).expect("the server answers");
        match frame.kind {
            kind::DATA => message.extend_from_slice(&frame.payload),
            kind::HEADERS if frame.has(flag::END_STREAM) => break,
            _ => {}
        }
    }
    HelloReply::decode(&message[5..]).expect("a HelloReply").message
}

pub(crate) fn next_frame(tls: &mut Tls) -> io::Result<Frame> {
    let mut head = [0; 9];
    tls.read_exact(&mut head)?;
    let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
    tls.read_exact(&mut payload)?;
    Ok(Frame::new(head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
}

/// All that the server says from now on, as frames; and whether it said goodbye before it closed.
pub(crate) fn until_closed(tls: &mut Tls) -> (Vec<Frame>, bool) {
    let mut frames = Vec::new();
    while let Ok(frame) = next_frame(tls) {
        frames.push(frame);
    }
    // Nothing is left; without close_notify this is an error, as it is of the socket's.
    (frames, matches!(tls.read(&mut [0]), Ok(0)))
}
