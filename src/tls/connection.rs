//! A connection of any loop with TLS on it: again a [`Connection`].

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use loopswap_rt::{Address, Connection, Sleep, sleep};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};

use super::client::reason;
use super::peer::TlsFacts;
use super::refusal::TlsRefusal;
use super::session::{Failure, Session};
use crate::server::Counters;

/// What one receive lends at most, as on every connection.
const LEND_BYTES_MAX: usize = 64 * 1024;

/// Receives in a row that bring nothing for the caller; then the loop's other tasks have their turn.
const RECEIVES_MAX: usize = 16;

/// After a failure, how long and how much of the peer's is still taken, so that it can read the alert: see the native engine's lingering, which is the same.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// Room in a record beside what it carries, and what a record carries (RFC 8446, 5.2; RFC 5246, 6.2.3): for a send buffer that is not to grow twice.
const RECORD_OVERHEAD_BYTES: usize = 32;
const RECORD_BYTES: usize = 16 * 1024;

thread_local! {
    /// What a receive has decrypted, until it is lent: one buffer for all connections of a worker.
    static PLAIN: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A connection with TLS on it.
///
/// The handshake goes on whenever it is received from. What is sent before it is over waits for it, and counts as sent.
pub(crate) struct TlsConnection<C> {
    socket: C,
    session: Session,
    side: Side,
    /// What was decrypted and has not been lent, from `unread_at` on.
    unread: Vec<u8>,
    unread_at: usize,
    sending: Sending,
    last_word: LastWord,
    failing: Option<Box<Failing>>,
}

enum Side {
    Server { facts: Rc<TlsFacts>, counters: Arc<Counters> },
    Client,
}

/// What the caller sends. TLS has things to say by itself, with which the socket may be busy meanwhile.
enum Sending {
    Nothing,
    /// It was taken to be sent later; the buffer is to be given back.
    Taken(Vec<u8>),
    /// It waits for the socket.
    Waiting(Vec<u8>),
    /// The socket has it.
    UnderWay,
}

#[derive(PartialEq, Eq)]
enum LastWord {
    Unsaid,
    /// close_notify is on its way; FIN is to go behind it.
    Wanted,
    Said,
}

/// The session has failed; the peer is being told.
struct Failing {
    error: String,
    /// None once that is over.
    until: Option<Sleep>,
    is_told: bool,
    n_bytes_left: usize,
}

impl<C: Connection> TlsConnection<C> {
    /// A server's end of an accepted connection.
    pub(crate) fn accept(socket: C, config: Arc<ServerConfig>, counters: Arc<Counters>) -> Self {
        Self::new(socket, Session::accept(config), Side::Server { facts: Rc::default(), counters })
    }

    /// A client's end, on which a server of this name is wanted.
    ///
    /// # Errors
    ///
    /// The configuration is refused.
    pub(super) fn connect(socket: C, config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<Self> {
        let session = Session::connect(config, name).map_err(io::Error::other)?;
        Ok(Self::new(socket, session, Side::Client))
    }

    fn new(socket: C, session: Session, side: Side) -> Self {
        Self {
            socket,
            session,
            side,
            unread: Vec::new(),
            unread_at: 0,
            sending: Sending::Nothing,
            last_word: LastWord::Unsaid,
            failing: None,
        }
    }

    /// What is known of the client, now and later.
    pub(crate) fn facts(&self) -> Option<&Rc<TlsFacts>> {
        match &self.side {
            Side::Server { facts, .. } => Some(facts),
            Side::Client => None,
        }
    }

    /// Waits until the handshake is over.
    ///
    /// # Errors
    ///
    /// It has failed, or the connection.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the handshake goes on when it is asked for again.
    pub(super) async fn handshake(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            while !self.session.is_open() {
                if self.failing.is_some() {
                    return self.poll_failed(cx).map(Err);
                }
                self.poll_own(cx)?;
                ready!(self.absorb(cx))?;
            }
            self.poll_own(cx)?;
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Receives from the socket once, and takes in what came.
    fn absorb(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { socket, session, unread, .. } = self;
        let taken = ready!(socket.poll_receive(cx, |bytes| {
            let mut plain = PLAIN.take();
            let taken = session.take(bytes, &mut plain);
            if plain.is_empty() {
                PLAIN.set(plain);
            } else {
                *unread = plain;
            }
            taken
        }))?;
        if let Err(failure) = taken {
            return Poll::Ready(self.fail(failure));
        }
        if let (Side::Server { facts, .. }, Some((connection, config))) = (&self.side, self.session.opened_server()) {
            facts.learn(connection, config, self.socket.peer_addr(), self.socket.local_addr().ok().as_ref());
        }
        Poll::Ready(Ok(()))
    }

    /// The session is of no more use.
    ///
    /// # Errors
    ///
    /// The peer has left, so that nobody is to be told.
    fn fail(&mut self, failure: Failure) -> io::Result<()> {
        if matches!(failure, Failure::Gone) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed it before TLS was agreed"));
        }
        let error = match &self.side {
            Side::Client => reason(&failure),
            Side::Server { facts, counters } => {
                let (refusal, why) = match &failure {
                    Failure::Tls(error) => (TlsRefusal::of(error), format!(" ({error})")),
                    Failure::NoH2 | Failure::Gone => (TlsRefusal::Alpn, String::new()),
                };
                counters.count_tls(refusal);
                facts.refuse();
                format!("TLS: {refusal}{why}")
            }
        };
        self.failing =
            Some(Box::new(Failing { error, until: Some(sleep(LINGER_TIMEOUT)), is_told: false, n_bytes_left: LINGER_BYTES_MAX }));
        Ok(())
    }

    /// The error, once the peer was told of it.
    fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        ready!(self.poll_told(cx));
        let failing = self.failing.as_mut().expect("it was looked at");
        failing.until = None;
        Poll::Ready(io::Error::new(io::ErrorKind::InvalidData, failing.error.clone()))
    }

    /// Tells the peer, and waits a while until it has taken notice: a socket that is closed with unread bytes sends RST, which can overtake the alert.
    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { socket, session, failing: Some(failing), .. } = self else { return Poll::Ready(()) };
        let Some(until) = &mut failing.until else { return Poll::Ready(()) };
        if Pin::new(until).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        while !failing.is_told {
            if socket.is_sending() && ready!(socket.poll_send(cx)).0.is_err() {
                return Poll::Ready(());
            }
            let mut alert = Vec::new();
            session.write_to(&mut alert);
            if !alert.is_empty() {
                socket.start_send(alert);
            } else if socket.shutdown(Shutdown::Write).is_err() {
                return Poll::Ready(());
            } else {
                failing.is_told = true;
            }
        }
        loop {
            match ready!(socket.poll_receive(cx, |bytes| bytes.len())) {
                Ok(n) if n > 0 && n < failing.n_bytes_left => failing.n_bytes_left -= n,
                _ => return Poll::Ready(()),
            }
        }
    }

    /// Brings what TLS says by itself on its way: the handshake, answers to key updates, the last word; and looks after it.
    ///
    /// Not while the caller sends: [`poll_send`](Connection::poll_send) does it then. What is started here for the caller would be polled by nobody, if he has
    /// looked after his send before.
    fn poll_own(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while matches!(self.sending, Sending::Nothing | Sending::Taken(_)) {
            if self.socket.is_sending() {
                match self.socket.poll_send(cx) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready((sent, _)) => sent?,
                }
            }
            self.push();
            if !self.socket.is_sending() {
                if self.last_word == LastWord::Wanted {
                    self.last_word = LastWord::Said;
                    // Refused when the peer was faster.
                    let _ = self.socket.shutdown(Shutdown::Write);
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// Lends what was decrypted; the buffer goes back to the worker when nothing is left in it.
    fn lend_unread<T>(&mut self, lend: impl FnOnce(&[u8]) -> T) -> T {
        let unread = std::mem::take(&mut self.unread);
        let end = unread.len().min(self.unread_at + LEND_BYTES_MAX);
        let value = lend(&unread[self.unread_at..end]);
        if end == unread.len() {
            let mut unread = unread;
            unread.clear();
            PLAIN.set(unread);
            self.unread_at = 0;
        } else {
            self.unread = unread;
            self.unread_at = end;
        }
        value
    }

    /// Gives the socket what there is to send, unless it is busy.
    fn push(&mut self) {
        if self.socket.is_sending() {
            return;
        }
        let mut wire = Vec::new();
        if let Sending::Waiting(buf) = &mut self.sending {
            wire = std::mem::take(buf);
            self.session.write(&wire);
            let n_bytes = wire.len() + wire.len().div_ceil(RECORD_BYTES) * RECORD_OVERHEAD_BYTES;
            wire.clear();
            wire.reserve_exact(n_bytes);
            self.sending = Sending::UnderWay;
        }
        self.session.write_to(&mut wire);
        if !wire.is_empty() || matches!(self.sending, Sending::UnderWay) {
            self.socket.start_send(wire);
        }
    }
}

impl<C: Connection> Connection for TlsConnection<C> {
    fn poll_receive<T>(&mut self, cx: &mut Context<'_>, lend: impl FnOnce(&[u8]) -> T) -> Poll<io::Result<T>> {
        for _ in 0..RECEIVES_MAX {
            if self.failing.is_some() {
                return self.poll_failed(cx).map(Err);
            }
            if self.unread_at < self.unread.len() {
                return Poll::Ready(Ok(self.lend_unread(lend)));
            }
            if self.session.is_over() {
                return Poll::Ready(Ok(lend(&[])));
            }
            self.poll_own(cx)?;
            ready!(self.absorb(cx))?;
            self.push();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn start_send(&mut self, mut buf: Vec<u8>) {
        assert!(matches!(self.sending, Sending::Nothing), "one send at a time: poll_send gives the buffer back first");
        if self.session.is_open() && self.failing.is_none() {
            self.sending = Sending::Waiting(buf);
            self.push();
        } else {
            self.session.write(&buf);
            buf.clear();
            self.sending = Sending::Taken(buf);
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<(io::Result<()>, Vec<u8>)> {
        loop {
            match std::mem::replace(&mut self.sending, Sending::Nothing) {
                Sending::Taken(buf) => return Poll::Ready((Ok(()), buf)),
                sending if self.failing.is_some() => {
                    self.sending = sending;
                    let error = ready!(self.poll_failed(cx));
                    self.sending = Sending::Nothing;
                    return Poll::Ready((Err(error), Vec::new()));
                }
                Sending::UnderWay => {
                    let Poll::Ready((sent, buf)) = self.socket.poll_send(cx) else {
                        self.sending = Sending::UnderWay;
                        return Poll::Pending;
                    };
                    // What TLS had to say meanwhile. Who has nothing else to send would not ask after it.
                    let said = self.poll_own(cx);
                    return Poll::Ready((sent.and(said), buf));
                }
                Sending::Waiting(buf) => {
                    self.sending = Sending::Waiting(buf);
                    if let (Err(error), _) = ready!(self.socket.poll_send(cx)) {
                        self.sending = Sending::Nothing;
                        return Poll::Ready((Err(error), Vec::new()));
                    }
                    self.push();
                }
                Sending::Nothing => {
                    assert!(self.last_word != LastWord::Unsaid, "start_send comes first");
                    let said = self.poll_own(cx);
                    if said.is_ok() && self.last_word == LastWord::Wanted {
                        return Poll::Pending;
                    }
                    return Poll::Ready((said, Vec::new()));
                }
            }
        }
    }

    /// Also until close_notify and FIN have left.
    fn is_sending(&self) -> bool {
        !matches!(self.sending, Sending::Nothing) || self.last_word == LastWord::Wanted
    }

    /// `Write` says close_notify first, so that FIN leaves when [`poll_send`](Self::poll_send) is ready.
    fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Write || !self.session.is_open() || self.failing.is_some() {
            return self.socket.shutdown(how);
        }
        if self.last_word == LastWord::Unsaid {
            self.last_word = LastWord::Wanted;
            self.session.close();
            self.push();
        }
        Ok(())
    }

    fn peer_addr(&self) -> &Address {
        self.socket.peer_addr()
    }

    fn local_addr(&self) -> io::Result<Address> {
        self.socket.local_addr()
    }
}
