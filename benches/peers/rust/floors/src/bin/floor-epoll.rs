//! The canned floor on epoll, with nothing between: what the kernel's sockets cost.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use peer_common::{bind_nonblocking, end_at_sigterm, listening};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use answer::{Input, opening};

#[path = "../../../../../loop_swap/floor/answer.rs"]
mod answer;

/// What is read at once, as on the loops.
const READ_BYTES: usize = 64 * 1024;
/// Events taken at once.
const EVENTS: usize = 256;
/// No connection's number.
const LISTENER: u64 = u64::MAX;

struct Connection {
    socket: TcpStream,
    input: Input,
    output: Vec<u8>,
    /// How much of the output has been written.
    written: usize,
}

/// Serves until SIGTERM.
fn main() -> io::Result<()> {
    end_at_sigterm();
    let listener = bind_nonblocking();
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    listening(&listener);
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Err(rustix::io::Errno::INTR) => continue,
            waited => waited?,
        };
        for event in events.drain(..) {
            let id = event.data.u64();
            if id == LISTENER {
                while let Ok((socket, _)) = listener.accept() {
                    let at = connections.iter().position(Option::is_none).unwrap_or(connections.len());
                    socket.set_nonblocking(true)?;
                    socket.set_nodelay(true)?;
                    epoll::add(&epoll, &socket, EventData::new_u64(at as u64), EventFlags::IN)?;
                    if at == connections.len() {
                        connections.push(None);
                    }
                    let mut output = Vec::new();
                    opening(&mut output);
                    connections[at] = Some(Connection { socket, input: Input::default(), output, written: 0 });
                }
                continue;
            }
            let slot = &mut connections[id as usize];
            let Some(connection) = slot else { continue };
            let was_stuck = connection.is_stuck();
            if connection.turn(&mut buffer).is_err() {
                // Closing the socket takes it out of the set.
                *slot = None;
            } else if connection.is_stuck() != was_stuck {
                // Nothing more is read from a client that does not read.
                let interest = if was_stuck { EventFlags::IN } else { EventFlags::OUT };
                epoll::modify(&epoll, &connection.socket, EventData::new_u64(id), interest)?;
            }
        }
    }
}

impl Connection {
    /// Whether output waits for the client.
    fn is_stuck(&self) -> bool {
        self.written > 0
    }

    /// One read, and one write of all the answers. An error: the connection has ended.
    fn turn(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        if !self.is_stuck() {
            match self.socket.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) if !self.input.take(&buffer[..n], &mut self.output) => return Err(io::ErrorKind::InvalidData.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        while self.written < self.output.len() {
            match self.socket.write(&self.output[self.written..]) {
                Ok(n) => self.written += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }
}
