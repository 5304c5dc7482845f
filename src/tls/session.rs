//! TLS without I/O: bytes of the peer in, bytes to the peer out, and what they mean in between.
//!
//! It stands on rustls's buffered connection. The unbuffered one would save a copy each way; but tonic's services learn of their client's certificates from a
//! buffered one alone ([`peer`](super::peer)), and a connection cannot change from one to the other.

use std::io::{self, BufRead as _, Write as _};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use rustls::{ClientConfig, ClientConnection, Connection, Error, ServerConfig, ServerConnection};

/// The protocol that is spoken over TLS, by ALPN (RFC 9113, 3.2).
pub(super) const H2: &[u8] = b"h2";

/// What is spoken besides, where gRPC-Web is (RFC 9112, A).
pub(super) const HTTP1: &[u8] = b"http/1.1";

/// A fatal alert, `no_application_protocol` (RFC 7301, 3.2), before anything is encrypted. rustls says it to clients that offer other protocols, and goes on
/// with those that offer none.
const NO_APPLICATION_PROTOCOL: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 120];

/// One end of a connection.
pub(super) struct Session {
    stage: Stage,
    /// A server's, until the handshake is over.
    config: Option<Arc<ServerConfig>>,
    is_open: bool,
    /// The peer has said its last.
    is_over: bool,
    /// What was written before the handshake was over. It is little: a server's SETTINGS, and GOAWAY if it drains; a client waits.
    early: Vec<u8>,
    /// Bytes to the peer that go out before what rustls has.
    ahead: Vec<u8>,
}

enum Stage {
    /// A server waits for the client's first message.
    Accepting(Box<Acceptor>),
    /// From then on; for a client, from the beginning.
    Talking(Box<Connection>),
    /// The client's first message was refused.
    Refused,
}

/// Why a session is of no more use. The peer is told by what [`Session::write_to`] has.
#[derive(Debug)]
pub(super) enum Failure {
    /// The peer left in the middle of the handshake.
    Gone,
    /// The peer does not speak HTTP/2 over TLS, by ALPN, nor what else is spoken.
    NoH2,
    Tls(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Tls(error)
    }
}

impl Session {
    /// A server's end.
    pub(super) fn accept(config: Arc<ServerConfig>) -> Self {
        Self::new(Stage::Accepting(Box::default()), Some(config))
    }

    /// A client's end, which wants a server of this name.
    ///
    /// # Errors
    ///
    /// rustls refuses the configuration.
    pub(super) fn connect(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, Error> {
        let mut connection = ClientConnection::new(config, name)?;
        connection.set_buffer_limit(None);
        Ok(Self::new(Stage::Talking(Box::new(connection.into())), None))
    }

    fn new(stage: Stage, config: Option<Arc<ServerConfig>>) -> Self {
        Self { stage, config, is_open: false, is_over: false, early: Vec::new(), ahead: Vec::new() }
    }

    /// Whether the handshake is over.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether the peer has said its last, by close_notify or FIN. FIN alone may have cut something off; but HTTP/2 frames say where they end, so what is whole
    /// is whole, and the rest is lost as on any connection that breaks.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes in bytes of the peer, none for FIN, and adds what they say to `plain`.
    ///
    /// # Errors
    ///
    /// The session is of no more use.
    pub(super) fn take(&mut self, mut bytes: &[u8], plain: &mut Vec<u8>) -> Result<(), Failure> {
        if bytes.is_empty() {
            self.is_over = true;
            return if self.is_open { Ok(()) } else { Err(Failure::Gone) };
        }
        // rustls takes some kilobytes at a time.
        while !bytes.is_empty() && !self.is_over {
            match &mut self.stage {
                Stage::Accepting(acceptor) => {
                    acceptor.read_tls(&mut bytes).map_err(unreadable)?;
                    self.begin()?;
                }
                Stage::Talking(connection) => {
                    self.is_over = receive(connection, &mut bytes, plain)?;
                    self.open()?;
                }
                Stage::Refused => return Ok(()),
            }
        }
        if let Stage::Talking(connection) = &mut self.stage {
            // A large record has made rustls's buffer large. It becomes small again before the next is read: so that is begun now.
            let _ = connection.read_tls(&mut NothingYet);
        }
        Ok(())
    }

    /// A server's answer to the client's first message, once that is whole.
    fn begin(&mut self) -> Result<(), Failure> {
        let (Stage::Accepting(acceptor), Some(config)) = (&mut self.stage, &self.config) else { return Ok(()) };
        let begun = match acceptor.accept() {
            Ok(None) => return Ok(()),
            Ok(Some(accepted)) => {
                let is_spoken = |protocol: &[u8]| config.alpn_protocols.iter().any(|spoken| spoken == protocol);
                let offers_any = accepted.client_hello().alpn().is_some_and(|mut protocols| protocols.any(is_spoken));
                // What rustls has against it goes first: a client of TLS 1.1 need not hear of ALPN.
                accepted.into_connection(Arc::clone(config)).map(|connection| (connection, offers_any))
            }
            Err(refused) => Err(refused),
        };
        let why = match begun {
            Ok((mut connection, true)) => {
                connection.set_buffer_limit(None);
                self.stage = Stage::Talking(Box::new(connection.into()));
                return Ok(());
            }
            Ok((_, false)) => {
                self.ahead.extend_from_slice(&NO_APPLICATION_PROTOCOL);
                Failure::NoH2
            }
            Err((error, mut alert)) => {
                alert.write_all(&mut self.ahead).expect("a Vec takes all");
                error.into()
            }
        };
        self.stage = Stage::Refused;
        Err(why)
    }

    /// Notes that the handshake is over, when it is.
    fn open(&mut self) -> Result<(), Failure> {
        let Stage::Talking(connection) = &self.stage else { return Ok(()) };
        if self.is_open || connection.is_handshaking() {
            return Ok(());
        }
        // A server has seen to it before.
        if matches!(**connection, Connection::Client(_)) && connection.alpn_protocol() != Some(H2) {
            return Err(Failure::NoH2);
        }
        self.is_open = true;
        let early = std::mem::take(&mut self.early);
        self.write(&early);
        Ok(())
    }

    /// A server's connection and its configuration, once, when the handshake is over. Nothing in it waits to be sent.
    pub(super) fn opened_server(&mut self) -> Option<(&mut ServerConnection, Arc<ServerConfig>)> {
        if !self.is_open {
            return None;
        }
        let config = self.config.take()?;
        let Stage::Talking(connection) = &mut self.stage else { return None };
        send(connection, &mut self.ahead);
        match &mut **connection {
            Connection::Server(connection) => Some((connection, config)),
            Connection::Client(_) => None,
        }
    }

    /// Encrypts what is to be said, or keeps it until the handshake is over.
    pub(super) fn write(&mut self, plain: &[u8]) {
        if !self.is_open {
            self.early.extend_from_slice(plain);
        } else if let Stage::Talking(connection) = &mut self.stage {
            // Refused after an error alone, and then nothing more is said.
            let _ = connection.writer().write_all(plain);
        }
    }

    /// Says that nothing more will be said (RFC 8446, 6.1).
    pub(super) fn close(&mut self) {
        if let Stage::Talking(connection) = &mut self.stage {
            connection.send_close_notify();
        }
    }

    /// Adds the bytes that are to go to the peer.
    pub(super) fn write_to(&mut self, out: &mut Vec<u8>) {
        // Its memory is not needed again.
        out.append(&mut std::mem::take(&mut self.ahead));
        if let Stage::Talking(connection) = &mut self.stage {
            send(connection, out);
        }
    }
}

/// A peer of whom nothing has come.
struct NothingYet;

impl io::Read for NothingYet {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// Takes in some of the bytes. Returns whether the peer has said its last.
fn receive(connection: &mut Connection, bytes: &mut &[u8], plain: &mut Vec<u8>) -> Result<bool, Failure> {
    connection.read_tls(bytes).map_err(unreadable)?;
    let state = connection.process_new_packets()?;
    let mut reader = connection.reader();
    while let Ok(chunk) = reader.fill_buf()
        && !chunk.is_empty()
    {
        plain.extend_from_slice(chunk);
        let n = chunk.len();
        reader.consume(n);
    }
    Ok(state.peer_has_closed())
}

/// rustls takes all bytes but those of a record or a message that is larger than any may be.
fn unreadable(_: io::Error) -> Failure {
    Failure::Tls(Error::PeerSentOversizedRecord)
}

fn send(connection: &mut Connection, out: &mut Vec<u8>) {
    while connection.wants_write() {
        connection.write_tls(out).expect("a Vec takes all");
    }
}
