//! Connections: two queues of bytes.

use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use loopswap_rt::{Address, Connection};

/// What one receive lends at most, as on the other loops.
const LEND_BYTES_MAX: usize = 64 * 1024;

/// Both directions of a connection.
struct Wire {
    /// From the peer; `to_server_at` bytes of it have been lent.
    to_server: Vec<u8>,
    to_server_at: usize,
    peer_is_done: bool,
    receiver: Option<Waker>,
    to_peer: Vec<u8>,
    /// How many bytes the socket still takes.
    room: usize,
    server_is_done: bool,
    is_closed: bool,
    sender: Option<Waker>,
}

/// The server's end.
pub struct MemoryConnection {
    wire: Rc<RefCell<Wire>>,
    /// The send under way, and how much of it has been taken.
    sending: Option<(Vec<u8>, usize)>,
    address: Address,
}

/// The other end. When it is dropped, the connection is closed.
pub struct Peer {
    wire: Rc<RefCell<Wire>>,
}

/// A connection and its other end. The socket between them takes whatever is sent, until [`Peer::set_room`].
pub fn pair() -> (MemoryConnection, Peer) {
    let wire = Wire {
        to_server: Vec::new(),
        to_server_at: 0,
        peer_is_done: false,
        receiver: None,
        to_peer: Vec::new(),
        room: usize::MAX,
        server_is_done: false,
        is_closed: false,
        sender: None,
    };
    let wire = Rc::new(RefCell::new(wire));
    let address = Address::Tcp(([127, 0, 0, 1], 1).into());
    (MemoryConnection { wire: Rc::clone(&wire), sending: None, address }, Peer { wire })
}

impl Peer {
    /// Sends: the server can receive it at its next turn. Once it has closed the connection, nobody will.
    pub fn send(&self, bytes: &[u8]) {
        let mut wire = self.wire.borrow_mut();
        if wire.is_closed {
            return;
        }
        wire.to_server.extend_from_slice(bytes);
        wake(&mut wire.receiver);
    }

    /// Sends no more.
    pub fn finish(&self) {
        let mut wire = self.wire.borrow_mut();
        wire.peer_is_done = true;
        wake(&mut wire.receiver);
    }

    /// Takes what the server has sent.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.wire.borrow_mut().to_peer)
    }

    /// Shows what the server has sent, and drops it. The memory for it stays.
    pub fn show(&self, look: impl FnOnce(&[u8])) {
        let mut wire = self.wire.borrow_mut();
        look(&wire.to_peer);
        wire.to_peer.clear();
    }

    /// From now on the socket takes so many bytes more, and then none.
    pub fn set_room(&self, n_bytes: usize) {
        let mut wire = self.wire.borrow_mut();
        wire.room = n_bytes;
        wake(&mut wire.sender);
    }

    /// Whether the server will send no more.
    pub fn is_finished(&self) -> bool {
        self.wire.borrow().server_is_done
    }

    /// How many bytes the server has not received.
    pub fn n_unread(&self) -> usize {
        let wire = self.wire.borrow();
        wire.to_server.len() - wire.to_server_at
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.set_room(usize::MAX);
        self.finish();
    }
}

impl Connection for MemoryConnection {
    fn poll_receive<T>(&mut self, cx: &mut Context<'_>, lend: impl FnOnce(&[u8]) -> T) -> Poll<io::Result<T>> {
        let mut wire = self.wire.borrow_mut();
        let n = (wire.to_server.len() - wire.to_server_at).min(LEND_BYTES_MAX);
        if n == 0 && !wire.peer_is_done {
            match &mut wire.receiver {
                Some(waker) => waker.clone_from(cx.waker()),
                receiver => *receiver = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        // Lent without the borrow: what sees the bytes may come back here.
        let bytes = std::mem::take(&mut wire.to_server);
        let at = wire.to_server_at;
        drop(wire);
        let value = lend(&bytes[at..][..n]);
        let mut wire = self.wire.borrow_mut();
        let came_meanwhile = std::mem::replace(&mut wire.to_server, bytes);
        wire.to_server.extend_from_slice(&came_meanwhile);
        wire.to_server_at += n;
        if wire.to_server_at == wire.to_server.len() || wire.to_server_at >= LEND_BYTES_MAX {
            let Wire { to_server, to_server_at, .. } = &mut *wire;
            to_server.drain(..std::mem::take(to_server_at));
        }
        Poll::Ready(Ok(value))
    }

    fn start_send(&mut self, buf: Vec<u8>) {
        assert!(self.sending.is_none(), "one send at a time");
        self.sending = Some((buf, 0));
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<(io::Result<()>, Vec<u8>)> {
        let (mut buf, at) = self.sending.take().expect("a send is under way");
        let mut wire = self.wire.borrow_mut();
        let n = if wire.server_is_done { 0 } else { wire.room.min(buf.len() - at) };
        wire.to_peer.extend_from_slice(&buf[at..][..n]);
        if wire.room != usize::MAX {
            wire.room -= n;
        }
        if at + n < buf.len() && !wire.server_is_done {
            wire.sender = Some(cx.waker().clone());
            self.sending = Some((buf, at + n));
            return Poll::Pending;
        }
        let result = if at + n == buf.len() { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) };
        buf.clear();
        Poll::Ready((result, buf))
    }

    fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        let mut wire = self.wire.borrow_mut();
        wire.server_is_done |= how != Shutdown::Read;
        wire.peer_is_done |= how != Shutdown::Write;
        Ok(())
    }

    fn peer_addr(&self) -> &Address {
        &self.address
    }

    fn local_addr(&self) -> io::Result<Address> {
        Ok(self.address.clone())
    }
}

impl Drop for MemoryConnection {
    fn drop(&mut self) {
        let mut wire = self.wire.borrow_mut();
        wire.server_is_done = true;
        wire.is_closed = true;
        wire.to_server = Vec::new();
        wire.to_server_at = 0;
    }
}

impl std::fmt::Debug for MemoryConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryConnection").field("is_sending", &self.is_sending()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("is_finished", &self.is_finished()).field("n_unread", &self.n_unread()).finish_non_exhaustive()
    }
}
