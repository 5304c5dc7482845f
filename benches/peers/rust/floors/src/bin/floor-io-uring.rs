//! The canned floor on io_uring, with nothing between: multishot accept and receive, buffers that the kernel chooses, completions when they are asked
//! for. One ring, one thread.

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};

use io_uring::squeue::{Entry, Flags};
use io_uring::{IoUring, cqueue, opcode, types};
use peer_common::{bind, end_at_sigterm, listening};

use answer::{Input, opening};

#[path = "../../../../../loop_swap/floor/answer.rs"]
mod answer;

/// Entries of the ring.
const ENTRIES: u32 = 512;
/// The pool that the kernel receives into.
const BUFFERS: u16 = 256;
const BUFFER_BYTES: usize = 16 * 1024;
const GROUP: u16 = 0;

const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const PROVIDE: u64 = 3;

struct Connection {
    socket: TcpStream,
    input: Input,
    /// Answers that are not under way yet.
    output: Vec<u8>,
    /// The send under way: its bytes stay where they are until it has completed.
    sending: Vec<u8>,
    sent: usize,
    receives: bool,
}

struct Floor {
    ring: IoUring,
    /// Entries that did not fit into the ring.
    waiting: VecDeque<Entry>,
    /// Never freed: the kernel writes into it.
    pool: &'static mut [u8],
    listener: RawFd,
    connections: Vec<Option<Connection>>,
}

/// Serves until SIGTERM.
fn main() -> io::Result<()> {
    end_at_sigterm();
    let listener = bind();
    let ring = IoUring::builder().setup_single_issuer().setup_coop_taskrun().setup_defer_taskrun().build(ENTRIES)?;
    let pool = vec![0; usize::from(BUFFERS) * BUFFER_BYTES].leak();
    let mut floor = Floor { ring, waiting: VecDeque::new(), pool, listener: listener.as_raw_fd(), connections: Vec::new() };
    floor.provide(0, BUFFERS);
    floor.accept();
    listening(&listener);
    let mut completed: Vec<(u64, i32, u32)> = Vec::new();
    loop {
        floor.fill();
        match floor.ring.submit_and_wait(1) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            submitted => submitted?,
        };
        completed.extend(floor.ring.completion().map(|entry| (entry.user_data(), entry.result(), entry.flags())));
        for (data, result, flags) in completed.drain(..) {
            let id = (data >> 8) as usize;
            match data & 0xff {
                ACCEPT => floor.accepted(result, flags)?,
                RECEIVE => floor.received(id, result, flags),
                SEND => floor.sent(id, result),
                _ if result < 0 => return Err(io::Error::from_raw_os_error(-result)),
                _ => {}
            }
        }
    }
}

impl Floor {
    fn accept(&mut self) {
        self.waiting.push_back(opcode::AcceptMulti::new(types::Fd(self.listener)).build().user_data(ACCEPT));
    }

    /// Gives buffers to the kernel.
    fn provide(&mut self, first: u16, n: u16) {
        let at = self.pool[usize::from(first) * BUFFER_BYTES..].as_mut_ptr();
        let entry = opcode::ProvideBuffers::new(at, BUFFER_BYTES as i32, n, GROUP, first).build();
        self.waiting.push_back(entry.user_data(PROVIDE).flags(Flags::SKIP_SUCCESS));
    }

    fn receive(&mut self, id: usize) {
        let Some(connection) = &mut self.connections[id] else { return };
        connection.receives = true;
        let fd = types::Fd(connection.socket.as_raw_fd());
        self.waiting.push_back(opcode::RecvMulti::new(fd, GROUP).build().user_data(RECEIVE | (id as u64) << 8));
    }

    /// Sends what there is to send, unless a send is under way.
    fn send(&mut self, id: usize) {
        let Some(connection) = &mut self.connections[id] else { return };
        if connection.sending.is_empty() {
            std::mem::swap(&mut connection.sending, &mut connection.output);
            connection.sent = 0;
            if !connection.sending.is_empty() {
                self.send_rest(id);
            }
        }
    }

    fn send_rest(&mut self, id: usize) {
        let Some(connection) = &self.connections[id] else { return };
        let (fd, rest) = (types::Fd(connection.socket.as_raw_fd()), &connection.sending[connection.sent..]);
        self.waiting.push_back(opcode::Send::new(fd, rest.as_ptr(), rest.len() as u32).build().user_data(SEND | (id as u64) << 8));
    }

    /// Puts into the ring what fits.
    #[expect(unsafe_code, reason = "io_uring is given addresses")]
    fn fill(&mut self) {
        let mut submission = self.ring.submission();
        while let Some(entry) = self.waiting.front() {
            // SAFETY: what entries point at lives until they have completed: the pool for ever; bytes to send in `sending`, which is neither changed
            // nor dropped before; and sockets, which are closed no sooner than their operations have ended.
            if unsafe { submission.push(entry) }.is_err() {
                return;
            }
            self.waiting.pop_front();
        }
    }

    #[expect(unsafe_code, reason = "io_uring hands out sockets by number")]
    fn accepted(&mut self, result: i32, flags: u32) -> io::Result<()> {
        if !cqueue::more(flags) {
            self.accept();
        }
        if result < 0 {
            return Ok(());
        }
        // SAFETY: the kernel has just opened it for this process, and nobody else knows of it.
        let socket = unsafe { TcpStream::from_raw_fd(result) };
        socket.set_nodelay(true)?;
        let id = self.connections.iter().position(Option::is_none).unwrap_or(self.connections.len());
        if id == self.connections.len() {
            self.connections.push(None);
        }
        let mut output = Vec::new();
        opening(&mut output);
        self.connections[id] = Some(Connection { socket, input: Input::default(), output, sending: Vec::new(), sent: 0, receives: false });
        self.receive(id);
        self.send(id);
        Ok(())
    }

    fn received(&mut self, id: usize, result: i32, flags: u32) {
        let Some(connection) = &mut self.connections[id] else { return };
        connection.receives = cqueue::more(flags);
        let mut goes_on = result > 0 || result == -NO_BUFFERS;
        if let Some(buffer) = cqueue::buffer_select(flags) {
            let bytes = &self.pool[usize::from(buffer) * BUFFER_BYTES..][..result.max(0) as usize];
            goes_on &= connection.input.take(bytes, &mut connection.output);
            self.provide(buffer, 1);
        }
        let Some(connection) = &self.connections[id] else { return };
        match (goes_on, connection.receives) {
            (true, true) => self.send(id),
            (true, false) => {
                self.send(id);
                self.receive(id);
            }
            // Whatever is under way ends with it.
            (false, _) => {
                let _ = connection.socket.shutdown(std::net::Shutdown::Both);
                self.close_if_idle(id);
            }
        }
    }

    fn sent(&mut self, id: usize, result: i32) {
        let Some(connection) = &mut self.connections[id] else { return };
        connection.sent += result.max(0) as usize;
        if result > 0 && connection.sent < connection.sending.len() {
            self.send_rest(id);
            return;
        }
        connection.sending.clear();
        if result <= 0 || !connection.receives {
            connection.output.clear();
            let _ = connection.socket.shutdown(std::net::Shutdown::Both);
            self.close_if_idle(id);
        } else {
            self.send(id);
        }
    }

    /// Forgets a connection of which the kernel holds nothing.
    fn close_if_idle(&mut self, id: usize) {
        if self.connections[id].as_ref().is_some_and(|connection| !connection.receives && connection.sending.is_empty()) {
            self.connections[id] = None;
        }
    }
}

/// ENOBUFS: the pool was empty for a moment.
const NO_BUFFERS: i32 = 105;
