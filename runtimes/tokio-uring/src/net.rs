//! Sockets: blocking ones, on which the ring receives and sends.
#![allow(unsafe_code, reason = "the kernel answers with raw descriptors, and fills buffers that are not initialised")]

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use io_uring::squeue::Flags;
use io_uring::{opcode, types};
use loopswap_rt::{AcceptedSocket, Address, BoundListener, Connect, Connection as _, Listen, drain_backlog};
use rustix::net::{SendFlags, SocketFlags};
use socket2::{SockAddr, SockRef, Socket, Type};

use crate::TokioUring;
use crate::buffers::{BUFFER_BYTES, GROUP};
use crate::ring::{Completion, Op, Ring, submit};

/// A receive that finds no buffer in the group brings one of this size.
const OWN_BUFFER_BYTES: usize = 4 * 1024;

impl Listen for TokioUring {
    type Listener = Listener;

    fn listen(&self, listener: BoundListener) -> io::Result<Listener> {
        // On a non-blocking socket the ring does not wait.
        SockRef::from(&listener).set_nonblocking(false)?;
        Ok(Listener { socket: Rc::new(listener.into()), accept: None, stopped: None })
    }

    fn adopt(&self, client: AcceptedSocket) -> io::Result<Connection> {
        // To receive and to send, unlike to accept, the ring waits whatever O_NONBLOCK says.
        Ok(Connection::adopt(client))
    }
}

/// A listener on tokio-uring.
pub struct Listener {
    socket: Rc<OwnedFd>,
    /// The accept under way. It is never cancelled.
    accept: Option<Op<Rc<OwnedFd>>>,
    /// Set by `stop`: what had arrived by then.
    stopped: Option<VecDeque<AcceptedSocket>>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Listener {
    fn poll_armed(accept: &mut Op<Rc<OwnedFd>>, cx: &mut Context<'_>) -> Poll<io::Result<OwnedFd>> {
        Pin::new(accept).poll(cx).map(accepted)
    }
}

/// The client that an accept brought.
fn accepted(completion: Completion<Rc<OwnedFd>>) -> io::Result<OwnedFd> {
    // SAFETY: the result of a successful accept is a descriptor that nobody else knows of.
    completion.result.map(|fd| unsafe { OwnedFd::from_raw_fd(fd.cast_signed()) })
}

impl loopswap_rt::Listener for Listener {
    type Connection = Connection;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Connection>>> {
        if let Some(arrived) = &mut self.stopped {
            if let Some(client) = arrived.pop_front() {
                return Poll::Ready(Some(Ok(Connection::adopt(client))));
            }
            // The accept that was under way ends too: with a client, or because of the shutdown.
            let Some(accept) = &mut self.accept else { return Poll::Ready(None) };
            let accepted = ready!(Self::poll_armed(accept, cx));
            self.accept = None;
            return Poll::Ready(accepted.ok().map(Connection::accepted));
        }
        let accept = self.accept.get_or_insert_with(|| {
            let entry = opcode::Accept::new(types::Fd(self.socket.as_raw_fd()), std::ptr::null_mut(), std::ptr::null_mut())
                .flags(SocketFlags::CLOEXEC.bits().cast_signed())
                .build();
            submit(Rc::clone(&self.socket), entry)
        });
        let accepted = ready!(Self::poll_armed(accept, cx));
        self.accept = None;
        Poll::Ready(Some(accepted.and_then(Connection::accepted)))
    }

    fn stop(&mut self) {
        if self.stopped.is_none() {
            self.stopped = Some(drain_backlog(self.socket.as_fd()).into());
        }
    }
}

/// The accept under way is ended by a shutdown, and a client that it brings all the same is closed.
impl Drop for Listener {
    fn drop(&mut self) {
        let _ = SockRef::from(&*self.socket).shutdown(Shutdown::Both);
        if let (Some(accept), Some(ring)) = (self.accept.take(), Ring::try_current()) {
            ring.see_through(async move { drop(accepted(accept.await)) });
        }
    }
}

/// A connection on tokio-uring.
pub struct Connection {
    /// Shared with the operations under way: the kernel must not find another socket behind the number.
    socket: Rc<OwnedFd>,
    peer: Address,
    receive: Option<Op<Receive>>,
    send: Option<Send>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("socket", &self.socket).field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// The data of a receive: its socket, and its own buffer where the group had none. Without one, the capacity is 0.
type Receive = (Rc<OwnedFd>, Vec<u8>);

/// A send under way: the operation that sends what is left of the buffer from `done` on.
struct Send {
    op: Op<(Rc<OwnedFd>, Vec<u8>)>,
    done: usize,
}

impl Connection {
    fn new(socket: OwnedFd, peer: Address) -> Self {
        Self { socket: Rc::new(socket), peer, receive: None, send: None }
    }

    fn adopt(client: AcceptedSocket) -> Self {
        Self::new(client.socket, client.peer)
    }

    fn accepted(client: OwnedFd) -> io::Result<Self> {
        let peer = SockRef::from(&client).peer_addr()?.try_into()?;
        Ok(Self::new(client, peer))
    }

    /// A receive into a buffer that the kernel takes from the group when bytes arrive.
    fn arm_receive(&self) -> Op<Receive> {
        let entry = opcode::Recv::new(types::Fd(self.socket.as_raw_fd()), std::ptr::null_mut(), BUFFER_BYTES as u32)
            .buf_group(GROUP)
            .build()
            .flags(Flags::BUFFER_SELECT);
        submit((Rc::clone(&self.socket), Vec::new()), entry)
    }

    /// A receive into a buffer of its own.
    fn arm_receive_with_own_buffer(&self) -> Op<Receive> {
        let mut buf = Vec::with_capacity(OWN_BUFFER_BYTES);
        let entry = opcode::Recv::new(types::Fd(self.socket.as_raw_fd()), buf.as_mut_ptr(), OWN_BUFFER_BYTES as u32).build();
        submit((Rc::clone(&self.socket), buf), entry)
    }

    fn arm_send(&self, buf: Vec<u8>, done: usize) -> Send {
        let left = &buf[done..];
        // What does not fit into one operation is sent by the next.
        let len = left.len().min(i32::MAX as usize) as u32;
        let entry = opcode::Send::new(types::Fd(self.socket.as_raw_fd()), left.as_ptr(), len)
            .flags(SendFlags::NOSIGNAL.bits().cast_signed() | MSG_WAITALL)
            .build();
        Send { op: submit((Rc::clone(&self.socket), buf), entry), done }
    }
}

/// With it the kernel goes on sending until all is sent, where it would answer short (Linux 5.19).
const MSG_WAITALL: i32 = rustix::net::RecvFlags::WAITALL.bits().cast_signed();

const ENOBUFS: i32 = rustix::io::Errno::NOBUFS.raw_os_error();
const EINTR: i32 = rustix::io::Errno::INTR.raw_os_error();
const EAGAIN: i32 = rustix::io::Errno::AGAIN.raw_os_error();

impl loopswap_rt::Connection for Connection {
    fn poll_receive<T>(&mut self, cx: &mut Context<'_>, lend: impl FnOnce(&[u8]) -> T) -> Poll<io::Result<T>> {
        loop {
            let receive = match &mut self.receive {
                Some(receive) => receive,
                None => self.receive.insert(self.arm_receive()),
            };
            let Completion { result, buffer, data: (_, mut own) } = ready!(Pin::new(receive).poll(cx));
            self.receive = None;
            let buffers = &Ring::current().buffers;
            match (result, buffer) {
                (Ok(n), Some(buffer)) => return Poll::Ready(Ok(buffers.lend(buffer, n as usize, lend))),
                (Ok(n), None) => {
                    // SAFETY: the kernel has initialised the first `n` bytes; without a buffer of our own, `n` is 0.
                    unsafe { own.set_len(n as usize) };
                    return Poll::Ready(Ok(lend(&own)));
                }
                (Err(error), buffer) => {
                    if let Some(buffer) = buffer {
                        buffers.give_back(buffer);
                    }
                    match error.raw_os_error() {
                        Some(ENOBUFS) => self.receive = Some(self.arm_receive_with_own_buffer()),
                        Some(EINTR | EAGAIN) => {}
                        _ => return Poll::Ready(Err(error)),
                    }
                }
            }
        }
    }

    fn start_send(&mut self, buf: Vec<u8>) {
        assert!(self.send.is_none(), "one send at a time: poll_send gives the buffer back first");
        self.send = Some(self.arm_send(buf, 0));
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<(io::Result<()>, Vec<u8>)> {
        loop {
            let send = self.send.as_mut().expect("start_send comes first");
            let Completion { result, data: (_, mut buf), .. } = ready!(Pin::new(&mut send.op).poll(cx));
            let mut done = send.done;
            self.send = None;
            let result = match result {
                Ok(0) if done < buf.len() => Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    done += n as usize;
                    Ok(())
                }
                Err(error) if matches!(error.raw_os_error(), Some(EINTR | EAGAIN)) => Ok(()),
                Err(error) => Err(error),
            };
            if result.is_ok() && done < buf.len() {
                self.send = Some(self.arm_send(buf, done));
                continue;
            }
            buf.clear();
            return Poll::Ready((result, buf));
        }
    }

    fn is_sending(&self) -> bool {
        self.send.is_some()
    }

    fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        SockRef::from(&*self.socket).shutdown(how)
    }

    fn peer_addr(&self) -> &Address {
        &self.peer
    }

    fn local_addr(&self) -> io::Result<Address> {
        SockRef::from(&*self.socket).local_addr()?.try_into()
    }
}

/// Closed at once: operations under way keep the socket open in the kernel, so it is shut down, which ends them; they are seen through, because a
/// receive may yet bring a buffer of the group.
impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.shutdown(Shutdown::Both);
        if let (Some(receive), Some(ring)) = (self.receive.take(), Ring::try_current()) {
            let buffers = Rc::clone(&ring.buffers);
            ring.see_through(async move {
                if let Some(buffer) = receive.await.buffer {
                    buffers.give_back(buffer);
                }
            });
        }
    }
}

impl Connect for TokioUring {
    type Connection = Connection;

    async fn connect(&self, address: &Address) -> io::Result<Connection> {
        let target = Box::new(SockAddr::try_from(address)?);
        let socket = Socket::new(target.domain(), Type::STREAM, None)?;
        if matches!(address, Address::Tcp(_)) {
            socket.set_tcp_nodelay(true)?;
        }
        let attempt = Attempt { socket: Some(Rc::new(socket.into())) };
        let socket = attempt.socket();
        let entry = opcode::Connect::new(types::Fd(socket.as_raw_fd()), target.as_ptr().cast(), target.len()).build();
        submit((Rc::clone(socket), target), entry).await.result?;
        Ok(Connection { socket: attempt.succeeded(), peer: address.clone(), receive: None, send: None })
    }
}

/// A connect under way. Given up, it is shut down, which ends it in the kernel; the operation then closes the socket.
struct Attempt {
    socket: Option<Rc<OwnedFd>>,
}

impl Attempt {
    fn socket(&self) -> &Rc<OwnedFd> {
        self.socket.as_ref().expect("taken when it has succeeded, which is its end")
    }

    fn succeeded(mut self) -> Rc<OwnedFd> {
        self.socket.take().expect("taken here only")
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(socket) = &self.socket {
            let _ = SockRef::from(&**socket).shutdown(Shutdown::Both);
        }
    }
}
