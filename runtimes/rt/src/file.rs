//! The ambient file: [`File`] is whatever the current loop reads and writes files with.

use std::fmt;
use std::io;
use std::path::Path;
use std::rc::Rc;

use crate::ambient::{LocalBoxFuture, current};
use crate::{FileHandle, OpenOptions};

/// [`FileHandle`] with its type erased.
pub(crate) trait ErasedFile {
    fn read_at(&self, buf: Vec<u8>, offset: u64) -> LocalBoxFuture<'_, (io::Result<usize>, Vec<u8>)>;
    fn write_at(&self, buf: Vec<u8>, offset: u64) -> LocalBoxFuture<'_, (io::Result<usize>, Vec<u8>)>;
    fn sync(&self) -> LocalBoxFuture<'_, io::Result<()>>;
}

impl<F: FileHandle> ErasedFile for F {
    fn read_at(&self, buf: Vec<u8>, offset: u64) -> LocalBoxFuture<'_, (io::Result<usize>, Vec<u8>)> {
        Box::pin(FileHandle::read_at(self, buf, offset))
    }

    fn write_at(&self, buf: Vec<u8>, offset: u64) -> LocalBoxFuture<'_, (io::Result<usize>, Vec<u8>)> {
        Box::pin(FileHandle::write_at(self, buf, offset))
    }

    fn sync(&self) -> LocalBoxFuture<'_, io::Result<()>> {
        Box::pin(FileHandle::sync(self))
    }
}

/// A file, read and written by the loop's own file I/O: the ring where the loop has one, a thread pool on tokio. It stays on its worker;
/// clones share it.
///
/// Buffers are passed by value and come back, because a kernel may hold them until the operation is over.
#[derive(Clone)]
pub struct File {
    file: Rc<dyn ErasedFile>,
}

impl File {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// What `open(2)` says, and `InvalidInput` for options that mean nothing.
    ///
    /// # Panics
    ///
    /// Outside a loop.
    ///
    /// # Cancel safety
    ///
    /// That of [`Files::open`](crate::Files::open).
    pub async fn open(path: impl AsRef<Path>, options: &OpenOptions) -> io::Result<Self> {
        let current = current("File::open");
        let file = current.open(path.as_ref(), options).await?;
        Ok(Self { file })
    }

    /// Reads at `offset`, at most the capacity of `buf`: [`FileHandle::read_at`].
    ///
    /// # Errors
    ///
    /// What `pread(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the buffer up.
    pub async fn read_at(&self, buf: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        self.file.read_at(buf, offset).await
    }

    /// Writes `buf` at `offset`, perhaps not all of it: [`FileHandle::write_at`].
    ///
    /// # Errors
    ///
    /// What `pwrite(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the buffer up; the write may yet happen.
    pub async fn write_at(&self, buf: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        self.file.write_at(buf, offset).await
    }

    /// Writes all of `buf` at `offset`.
    ///
    /// # Errors
    ///
    /// What `pwrite(2)` says, an unknown part having been written; `WriteZero` when the file takes no more.
    ///
    /// # Cancel safety
    ///
    /// As [`write_at`](Self::write_at).
    pub async fn write_all_at(&self, buf: Vec<u8>, offset: u64) -> (io::Result<()>, Vec<u8>) {
        let (mut result, buf) = self.file.write_at(buf, offset).await;
        let mut done = 0;
        loop {
            match result {
                Ok(0) if done < buf.len() => return (Err(io::ErrorKind::WriteZero.into()), buf),
                Ok(n) => done += n,
                Err(error) => return (Err(error), buf),
            }
            if done >= buf.len() {
                return (Ok(()), buf);
            }
            // A short write is rare: copying what is left keeps the interface simple.
            (result, _) = self.file.write_at(buf[done..].to_vec(), offset + done as u64).await;
        }
    }

    /// Waits until the data are on the disk, as `fdatasync(2)` does.
    ///
    /// # Errors
    ///
    /// What `fdatasync(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting, not the writing.
    pub async fn sync(&self) -> io::Result<()> {
        self.file.sync().await
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").finish_non_exhaustive()
    }
}
