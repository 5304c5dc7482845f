//! Files, by the loop's own file I/O.

use std::future::Future;
use std::io;
use std::path::Path;

/// How to open a file. The names and rules are those of [`std::fs::OpenOptions`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// For reading.
    pub read: bool,
    /// For writing.
    pub write: bool,
    /// For writing at the end: the offset of each write is ignored, as `pwrite(2)` does on Linux.
    pub append: bool,
    /// Cut to length 0.
    pub truncate: bool,
    /// Create it where it is missing, with mode 0666 less the umask.
    pub create: bool,
    /// Create it, and fail where it exists.
    pub create_new: bool,
}

impl OpenOptions {
    /// For reading.
    pub fn reading() -> Self {
        Self { read: true, ..Self::default() }
    }

    /// For writing, created where it is missing, cut where it is not.
    pub fn creating() -> Self {
        Self { write: true, create: true, truncate: true, ..Self::default() }
    }

    /// For writing at the end, created where it is missing.
    pub fn appending() -> Self {
        Self { append: true, create: true, ..Self::default() }
    }

    /// The flags of `open(2)`, O_CLOEXEC among them.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when no access is asked for, or a combination that means nothing, as in std.
    pub fn flags(&self) -> io::Result<rustix::fs::OFlags> {
        use rustix::fs::OFlags;
        let invalid = |message| Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        let access = match (self.read, self.write || self.append) {
            (true, false) => OFlags::RDONLY,
            (false, true) => OFlags::WRONLY,
            (true, true) => OFlags::RDWR,
            (false, false) => return invalid("a file is opened for reading, writing or appending: say which"),
        };
        let changes = self.truncate || self.create || self.create_new;
        if changes && !(self.write || self.append) {
            return invalid("creating or truncating a file needs write or append");
        }
        if self.truncate && self.append && !self.create_new {
            return invalid("a file cannot be both truncated and appended to");
        }
        let mut flags = access | OFlags::CLOEXEC;
        flags.set(OFlags::APPEND, self.append);
        if self.create_new {
            flags |= OFlags::CREATE | OFlags::EXCL;
        } else {
            flags.set(OFlags::CREATE, self.create);
            flags.set(OFlags::TRUNC, self.truncate);
        }
        Ok(flags)
    }
}

/// Opening files from the loop of the current thread.
///
/// # What an implementor can get wrong
///
/// * Blocking the loop: where it has no asynchronous open, offload it.
/// * Dressing the error up: `raw_os_error` must survive (ENOENT, ENOSPC, …).
pub trait Files {
    /// An open file.
    type File: FileHandle;

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// What `open(2)` says, and `InvalidInput` for options that mean nothing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the file up: it may still be created or truncated, and is closed.
    fn open(&self, path: &Path, options: &OpenOptions) -> impl Future<Output = io::Result<Self::File>>;
}

/// An open file of one worker. It is closed when dropped, at the latest when the last operation on it is over.
///
/// # What an implementor can get wrong
///
/// * The buffer of an operation that nobody waits for any more: the kernel, or another thread, still writes into it.
/// * Short reads and writes are allowed; endless ones are not: the end of the file is `Ok(0)`.
pub trait FileHandle: 'static {
    /// Reads at `offset` into `buf`, from its start, at most its *capacity*; its length afterwards is what was read. `Ok(0)` at or past the
    /// end, and for a buffer without capacity. A read may be shorter than asked for.
    ///
    /// # Errors
    ///
    /// What `pread(2)` says; the buffer comes back empty.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the buffer up; it is freed when the read is over.
    fn read_at(&self, buf: Vec<u8>, offset: u64) -> impl Future<Output = (io::Result<usize>, Vec<u8>)>;

    /// Writes `buf` at `offset`; the buffer comes back unchanged. A write may be shorter than asked for.
    ///
    /// # Errors
    ///
    /// What `pwrite(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the buffer up; the write may have happened or may yet happen.
    fn write_at(&self, buf: Vec<u8>, offset: u64) -> impl Future<Output = (io::Result<usize>, Vec<u8>)>;

    /// Waits until data and what is needed to read it back are on the disk, as `fdatasync(2)` does.
    ///
    /// # Errors
    ///
    /// What `fdatasync(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting, not the writing.
    fn sync(&self) -> impl Future<Output = io::Result<()>>;
}
