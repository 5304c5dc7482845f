//! Files: glommio's `BufferedFile`, read and written on the ring, through the page cache.
#![allow(unsafe_code, reason = "glommio's files are raw descriptors")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use glommio::io::BufferedFile;
use loopswap_rt::{FileHandle, Files, OpenOptions};

use crate::Glommio;
use crate::start::io_error;
use crate::tasks::{self, Unabandoned};

/// The most that one operation reads or writes, in bytes: glommio allocates as much again for each, and panics when it cannot.
const OPERATION_BYTES_MAX: usize = 16 * 1024 * 1024;

impl Files for Glommio {
    type File = File;

    async fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<File> {
        // glommio's answer to what these two refuse is a bare EINVAL, and a panic.
        options.flags()?;
        if path.as_os_str().as_bytes().contains(&0) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a path cannot contain a NUL byte"));
        }
        let mut with = glommio::io::OpenOptions::new();
        with.read(options.read).write(options.write).append(options.append);
        with.truncate(options.truncate).create(options.create).create_new(options.create_new);
        let path = path.to_owned();
        // A cancelled open would leave an open descriptor.
        Unabandoned::new(async move {
            let file = with.buffered_open(path).await.map_err(io_error)?;
            Ok(File { file: Rc::new(Open { file: Some(file), executor: tasks::current_id() }) })
        })
        .await
    }
}

/// A file on glommio.
#[derive(Debug)]
pub struct File {
    file: Rc<Open>,
}

/// What the file and the operations on it share; closed with the last of them.
#[derive(Debug)]
struct Open {
    /// Taken by `drop` alone.
    file: Option<BufferedFile>,
    /// Where it was opened.
    executor: Option<usize>,
}

impl Open {
    fn file(&self) -> &BufferedFile {
        self.file.as_ref().expect("taken by `drop` alone")
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if self.executor.is_some() && self.executor == tasks::current_id() {
            // Dropped, it would be closed some time, unless the executor ends.
            tasks::send_on_errand(async move { drop(file.close().await) });
        } else {
            // SAFETY: the file owns the descriptor, and does not close it when it is dropped after its executor.
            drop(unsafe { OwnedFd::from_raw_fd(file.as_raw_fd()) });
        }
    }
}

impl FileHandle for File {
    async fn read_at(&self, mut buf: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        let file = Rc::clone(&self.file);
        buf.clear();
        if buf.capacity() == 0 {
            return (Ok(0), buf);
        }
        if let Err(error) = check(offset) {
            return (Err(error), buf);
        }
        let size = buf.capacity().min(OPERATION_BYTES_MAX);
        match Unabandoned::new(async move { file.file().read_at(offset, size).await }).await {
            Ok(read) => {
                buf.extend_from_slice(&read);
                (Ok(buf.len()), buf)
            }
            Err(error) => (Err(io_error(error)), buf),
        }
    }

    async fn write_at(&self, buf: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        let file = Rc::clone(&self.file);
        if let Err(error) = check(offset) {
            return (Err(error), buf);
        }
        // glommio does not give a buffer back.
        let copy = buf[..buf.len().min(OPERATION_BYTES_MAX)].to_vec();
        let result = Unabandoned::new(async move { file.file().write_at(copy, offset).await }).await;
        (result.map_err(io_error), buf)
    }

    async fn sync(&self) -> io::Result<()> {
        let file = Rc::clone(&self.file);
        Unabandoned::new(async move { file.file().fdatasync().await }).await.map_err(io_error)
    }
}

/// The answer of `pread(2)`. The ring would take the greatest offset for "where the file stands", and glommio's arithmetic overflows before it.
fn check(offset: u64) -> io::Result<()> {
    if i64::try_from(offset).is_ok() { Ok(()) } else { Err(rustix::io::Errno::INVAL.into()) }
}
