//! Files: blocking calls on tokio's thread pool, as `tokio::fs` does it, with `pread(2)` and `pwrite(2)`.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use loopswap_rt::{FileHandle, Files, OpenOptions};
use rustix::buffer::spare_capacity;
use rustix::fs::Mode;
use tokio::task::spawn_blocking;

use crate::Tokio;

impl Files for Tokio {
    type File = File;

    async fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<File> {
        let (path, flags) = (path.to_owned(), options.flags()?);
        let file = on_the_pool(move || Ok(rustix::fs::open(path, flags, Mode::from_raw_mode(0o666))?)).await?;
        Ok(File { file: Arc::new(file) })
    }
}

/// A file on tokio.
#[derive(Debug)]
pub struct File {
    file: Arc<OwnedFd>,
}

impl FileHandle for File {
    async fn read_at(&self, mut buf: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        let file = Arc::clone(&self.file);
        buf.clear();
        if buf.capacity() == 0 {
            return (Ok(0), buf);
        }
        on_the_pool(move || {
            let result = rustix::io::retry_on_intr(|| rustix::io::pread(&file, spare_capacity(&mut buf), offset));
            Ok((result.map_err(Into::into), buf))
        })
        .await
        .unwrap_or_else(|error| (Err(error), Vec::new()))
    }

    async fn write_at(&self, buf: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        let file = Arc::clone(&self.file);
        on_the_pool(move || {
            let result = rustix::io::retry_on_intr(|| rustix::io::pwrite(&file, &buf, offset));
            Ok((result.map_err(Into::into), buf))
        })
        .await
        .unwrap_or_else(|error| (Err(error), Vec::new()))
    }

    async fn sync(&self) -> io::Result<()> {
        let file = Arc::clone(&self.file);
        on_the_pool(move || Ok(rustix::fs::fdatasync(&file)?)).await
    }
}

/// Runs a blocking call on tokio's pool.
async fn on_the_pool<T: Send + 'static>(call: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    // The call does not panic, so the only failure is a runtime that shuts down.
    spawn_blocking(call).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
