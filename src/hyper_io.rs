//! A [`Connection`] in the shape that hyper reads and writes: borrowed buffers, polled. The hyper engine stands on it.
//!
//! The two shapes differ in who owns the bytes. What is lent goes into hyper's buffer at once, and what does not fit waits here. What hyper
//! writes is copied into a buffer that the connection then owns, and is reported as written at once: h2 may come back with other bytes after a
//! `Pending`, which an operation in a ring could not follow. A failed send is told at the next write or flush.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use loopswap_rt::Connection;

/// The most that one write takes: what a send hands to the kernel.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// An idle connection keeps no larger send buffer than this.
const IDLE_BUFFER_BYTES_MAX: usize = 4 * 1024;

/// Bytes on their way.
pub(crate) enum Passing<'a> {
    /// They have arrived, and hyper has not seen them yet.
    In(&'a [u8]),
    /// hyper has written them.
    Out(&'a [u8]),
}

/// hyper's view of a connection. `O` is shown all bytes that pass.
pub(crate) struct HyperIo<C, O> {
    connection: C,
    /// What was lent and found no room in hyper's buffer, from `received_at` on.
    received: Vec<u8>,
    received_at: usize,
    /// The send buffer, while the connection does not hold it.
    spare: Vec<u8>,
    observe: O,
}

impl<C: Connection, O: FnMut(Passing<'_>) + Unpin> HyperIo<C, O> {
    /// `observe` is called with all bytes of each way in their order, each once.
    pub(crate) fn new(connection: C, observe: O) -> Self {
        Self { connection, received: Vec::new(), received_at: 0, spare: Vec::new(), observe }
    }

    /// Waits for bytes that hyper has not asked for, and keeps them for it. Returns how many came: none, when the peer has said its last.
    #[cfg(feature = "grpc-web")]
    pub(crate) fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Self { connection, received, observe, .. } = self;
        connection.poll_receive(cx, |bytes| {
            observe(Passing::In(bytes));
            received.extend_from_slice(bytes);
            bytes.len()
        })
    }

    /// Waits for the send under way, if there is one.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.connection.is_sending() {
            return Poll::Ready(Ok(()));
        }
        let (result, mut buf) = ready!(self.connection.poll_send(cx));
        if buf.capacity() > IDLE_BUFFER_BYTES_MAX {
            buf = Vec::new();
        }
        self.spare = buf;
        Poll::Ready(result)
    }

    fn poll_write_all_of(&mut self, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        ready!(self.poll_sent(cx))?;
        let mut buf = std::mem::take(&mut self.spare);
        for part in parts {
            let room = WRITE_BYTES_MAX - buf.len();
            buf.extend_from_slice(&part[..part.len().min(room)]);
        }
        let n = buf.len();
        if n > 0 {
            (self.observe)(Passing::Out(&buf));
            self.connection.start_send(buf);
            // Readiness loops have sent it by now, and give the buffer back.
            if let Poll::Ready(Err(error)) = self.poll_sent(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(n))
    }
}

impl<C: Connection, O: FnMut(Passing<'_>) + Unpin> Read for HyperIo<C, O> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let Self { connection, received, received_at, observe, .. } = &mut *self;
        if *received_at == received.len() {
            let copied = ready!(connection.poll_receive(cx, |bytes| {
                observe(Passing::In(bytes));
                let (now, later) = bytes.split_at(bytes.len().min(cursor.remaining()));
                cursor.put_slice(now);
                received.clear();
                received.extend_from_slice(later);
            }));
            *received_at = 0;
            return Poll::Ready(copied);
        }
        let waiting = &received[*received_at..];
        let now = &waiting[..waiting.len().min(cursor.remaining())];
        cursor.put_slice(now);
        *received_at += now.len();
        if *received_at == received.len() {
            *received = Vec::new();
            *received_at = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<C: Connection, O: FnMut(Passing<'_>) + Unpin> Write for HyperIo<C, O> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_all_of(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.poll_write_all_of(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_sent(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sent(cx))?;
        match self.connection.shutdown(Shutdown::Write) {
            // The peer was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            // TLS says goodbye first; a peer that is gone does not hear it.
            Ok(()) => self.poll_sent(cx).map(|_| Ok(())),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}
