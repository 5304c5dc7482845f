//! Files: opened, read, written and synced by the ring.
#![allow(unsafe_code, reason = "the kernel answers with raw descriptors, and fills buffers that are not initialised")]

use std::ffi::CString;
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use io_uring::types::FsyncFlags;
use io_uring::{opcode, types};
use loopswap_rt::{FileHandle, Files, OpenOptions};

use crate::TokioUring;
use crate::ring::{Completion, Op, Ring, submit};

/// What Linux reads or writes in one call at most, in bytes.
const TRANSFER_BYTES_MAX: usize = 0x7fff_f000;

impl Files for TokioUring {
    type File = File;

    async fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<File> {
        let flags = options.flags()?.bits().cast_signed();
        let path = CString::new(path.as_os_str().as_bytes())?;
        let entry = opcode::OpenAt::new(types::Fd(rustix::fs::CWD.as_raw_fd()), path.as_ptr()).flags(flags).mode(0o666).build();
        let file = Open { op: Some(submit(path, entry)) }.await?;
        Ok(File { file: Rc::new(file) })
    }
}

/// An open under way. Given up, it is seen through, and the descriptor closed.
struct Open {
    op: Option<Op<CString>>,
}

/// The descriptor that an open brought.
fn opened(completion: Completion<CString>) -> io::Result<OwnedFd> {
    // SAFETY: the result of a successful open is a descriptor that nobody else knows of.
    completion.result.map(|fd| unsafe { OwnedFd::from_raw_fd(fd.cast_signed()) })
}

impl Future for Open {
    type Output = io::Result<OwnedFd>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let op = self.op.as_mut().expect("not polled after its end");
        let completion = std::task::ready!(Pin::new(op).poll(cx));
        self.op = None;
        Poll::Ready(opened(completion))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let (Some(op), Some(ring)) = (self.op.take(), Ring::try_current()) {
            ring.see_through(async move { drop(opened(op.await)) });
        }
    }
}

/// A file on tokio-uring.
#[derive(Debug)]
pub struct File {
    /// Shared with the operations under way.
    file: Rc<OwnedFd>,
}

impl FileHandle for File {
    async fn read_at(&self, mut buf: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        buf.clear();
        if let Err(error) = check(offset) {
            return (Err(error), buf);
        }
        let len = buf.capacity().min(TRANSFER_BYTES_MAX) as u32;
        loop {
            let entry = opcode::Read::new(types::Fd(self.file.as_raw_fd()), buf.as_mut_ptr(), len).offset(offset).build();
            let completion = submit((Rc::clone(&self.file), buf), entry).await;
            buf = completion.data.1;
            match completion.result {
                Ok(n) => {
                    // SAFETY: the kernel has initialised the first `n` bytes, which is at most the capacity.
                    unsafe { buf.set_len(n as usize) };
                    return (Ok(n as usize), buf);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (Err(error), buf),
            }
        }
    }

    async fn write_at(&self, mut buf: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        if let Err(error) = check(offset) {
            return (Err(error), buf);
        }
        let len = buf.len().min(TRANSFER_BYTES_MAX) as u32;
        loop {
            let entry = opcode::Write::new(types::Fd(self.file.as_raw_fd()), buf.as_ptr(), len).offset(offset).build();
            let completion = submit((Rc::clone(&self.file), buf), entry).await;
            buf = completion.data.1;
            match completion.result {
                Ok(n) => return (Ok(n as usize), buf),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (Err(error), buf),
            }
        }
    }

    async fn sync(&self) -> io::Result<()> {
        let entry = opcode::Fsync::new(types::Fd(self.file.as_raw_fd())).flags(FsyncFlags::DATASYNC).build();
        submit(Rc::clone(&self.file), entry).await.result.map(drop)
    }
}

/// Refuses offsets that no file has, as `pread(2)` does: to the ring, -1 means the current position.
fn check(offset: u64) -> io::Result<()> {
    i64::try_from(offset).map(drop).map_err(|_| rustix::io::Errno::INVAL.into())
}
