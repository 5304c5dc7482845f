//! What this loop does not have.

use std::io;
use std::path::Path;
use std::task::{Context, Poll};

use loopswap_rt::{AcceptedSocket, Address, BoundListener, Connect, FileHandle, Files, Listen, Listener, OpenOptions};

use crate::{Memory, MemoryConnection};

/// A listener, or a file: there is none.
#[derive(Clone, Copy, Debug)]
pub enum Never {}

fn unsupported<T>(what: &str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, format!("the loop in memory has no {what}")))
}

impl Listen for Memory {
    type Listener = Never;

    fn listen(&self, _listener: BoundListener) -> io::Result<Never> {
        unsupported("listeners")
    }

    fn adopt(&self, _client: AcceptedSocket) -> io::Result<MemoryConnection> {
        unsupported("sockets")
    }
}

impl Listener for Never {
    type Connection = MemoryConnection;

    fn poll_accept(&mut self, _cx: &mut Context<'_>) -> Poll<Option<io::Result<MemoryConnection>>> {
        match *self {}
    }

    fn stop(&mut self) {
        match *self {}
    }
}

impl Connect for Memory {
    type Connection = MemoryConnection;

    async fn connect(&self, _address: &Address) -> io::Result<MemoryConnection> {
        unsupported("network")
    }
}

impl Files for Memory {
    type File = Never;

    async fn open(&self, _path: &Path, _options: &OpenOptions) -> io::Result<Never> {
        unsupported("files")
    }
}

impl FileHandle for Never {
    async fn read_at(&self, _buf: Vec<u8>, _offset: u64) -> (io::Result<usize>, Vec<u8>) {
        match *self {}
    }

    async fn write_at(&self, _buf: Vec<u8>, _offset: u64) -> (io::Result<usize>, Vec<u8>) {
        match *self {}
    }

    async fn sync(&self) -> io::Result<()> {
        match *self {}
    }
}
