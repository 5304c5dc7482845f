//! The file of the Blocks as all workers of a server share it: its path, how many blocks it has, and where the next one goes. No I/O of a call.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tonic::Status;

use crate::Error;
use crate::blocks::{BLOCK_BYTES, Dice, contents, holds};

/// The most blocks of a file, unless told otherwise: 4 GiB, so that callers who append do not fill a disk.
pub const BLOCKS_MAX: u64 = 1024 * 1024;

/// A file of blocks.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    n_blocks_max: u64,
    /// Blocks that may be read: all below this number are complete.
    n_readable: AtomicU64,
    places: Mutex<Places>,
}

/// Where blocks go. A block whose writing failed, or was given up, leaves its place to the next: two that write the same place write the same bytes.
#[derive(Debug, Default)]
struct Places {
    /// The first number that nobody was given.
    next: u64,
    under_way: BTreeSet<u64>,
    given_back: BTreeSet<u64>,
}

impl Places {
    fn take(&mut self, n_max: u64) -> Option<u64> {
        let block = self.given_back.pop_first().or_else(|| {
            let block = self.next;
            self.next += u64::from(block < n_max);
            (block < n_max).then_some(block)
        })?;
        self.under_way.insert(block);
        Some(block)
    }

    /// The first block that is not complete.
    fn n_complete(&self) -> u64 {
        self.under_way.first().into_iter().chain(self.given_back.first()).fold(self.next, |least, block| least.min(*block))
    }
}

/// The place of a block that is being appended. Dropped, it is given to another.
#[derive(Debug)]
pub struct Place {
    store: Arc<Store>,
    block: u64,
    is_complete: bool,
}

impl Store {
    /// Takes a file that is there: it must begin and end with blocks, and let itself be read and written. What is left behind the last whole block, by
    /// an append that was cut short, is written over by the next. It may grow to `n_blocks_max` blocks.
    ///
    /// # Errors
    ///
    /// Of usage: there is no such file, it is no file of blocks, or it cannot be read and written.
    pub fn open(path: &Path, n_blocks_max: u64) -> Result<Self, Error> {
        let wrong = |what: &str| Error::usage(format!("the blocks file {} {what}", path.display()));
        let refused = |error: io::Error| wrong(&format!("cannot be opened for reading and writing: {error}")).with_source(error);
        // What is not a file may wait for ever to be opened.
        match path.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(wrong("is not there; make one with --blocks-create N").with_source(error));
            }
            Err(error) => return Err(refused(error)),
            Ok(metadata) if !metadata.is_file() => return Err(wrong("is not a regular file")),
            Ok(_) => {}
        }
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(refused)?;
        let n_blocks = file.metadata().map_err(refused)?.len() / BLOCK_BYTES as u64;
        if n_blocks == 0 {
            return Err(wrong(&format!("has not one block of {BLOCK_BYTES} bytes; remove it, and make one with --blocks-create N")));
        }
        for block in [0, n_blocks - 1] {
            let mut data = vec![0; BLOCK_BYTES];
            file.read_exact_at(&mut data, block * BLOCK_BYTES as u64).map_err(refused)?;
            if !holds(block, &data) {
                return Err(wrong(&format!("is no file of blocks: block {block} does not hold what it should; name another one")));
            }
        }
        if n_blocks > n_blocks_max {
            return Err(wrong(&format!("has {n_blocks} blocks; --blocks-max allows {n_blocks_max}")));
        }
        let places = Mutex::new(Places { next: n_blocks, ..Places::default() });
        Ok(Self { path: path.to_owned(), n_blocks_max, n_readable: AtomicU64::new(n_blocks), places })
    }

    /// Makes a file of `n_blocks` blocks where there is none. A file that is there is left as it is.
    ///
    /// # Errors
    ///
    /// Of usage: it cannot be written, and is removed.
    pub fn create(path: &Path, n_blocks: u64) -> Result<(), Error> {
        let refused =
            |error: io::Error| Error::usage(format!("the blocks file {} cannot be made: {error}", path.display())).with_source(error);
        let file = match OpenOptions::new().write(true).create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            opened => opened.map_err(refused)?,
        };
        fill(&file, n_blocks).map_err(|error| {
            let _ = std::fs::remove_file(path);
            refused(error)
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many blocks may be read.
    pub fn n_readable(&self) -> u64 {
        self.n_readable.load(Ordering::Acquire)
    }

    /// The block that a caller means: a random one for one who names none.
    ///
    /// # Errors
    ///
    /// OUT_OF_RANGE: it is not there.
    pub fn choose(&self, block: Option<u64>, dice: &Dice) -> Result<u64, Status> {
        let n = self.n_readable();
        match block {
            None => Ok(dice.below(n)),
            Some(block) if block < n => Ok(block),
            Some(block) => Err(Status::out_of_range(format!("there is no block {block}: the last one is {}", n - 1))),
        }
    }

    /// Where the next block goes.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED: the file may not grow.
    pub fn next_place(store: &Arc<Self>) -> Result<Place, Status> {
        let block = store.change(|places| places.take(store.n_blocks_max));
        let full = || Status::resource_exhausted(format!("the file may not grow beyond {} blocks", store.n_blocks_max));
        Ok(Place { store: Arc::clone(store), block: block.ok_or_else(full)?, is_complete: false })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Places) -> T) -> T {
        // Nothing in between panics.
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let value = change(&mut places);
        self.n_readable.store(places.n_complete(), Ordering::Release);
        value
    }
}

/// Writes the first blocks of a file.
///
/// # Errors
///
/// What `write(2)` says.
pub(super) fn fill(file: &File, n_blocks: u64) -> io::Result<()> {
    /// 1 MiB.
    const AT_ONCE: usize = 256 * BLOCK_BYTES;
    let mut writer = io::BufWriter::with_capacity(AT_ONCE, file);
    for block in 0..n_blocks {
        writer.write_all(&contents(block))?;
    }
    writer.flush()
}

impl Place {
    /// The number of the block.
    pub fn block(&self) -> u64 {
        self.block
    }

    /// Where it begins, in bytes.
    pub fn offset(&self) -> u64 {
        self.block * BLOCK_BYTES as u64
    }

    /// The block is on the disk: it may be read once those before it are, too. Returns its number.
    pub fn complete(mut self) -> u64 {
        self.is_complete = true;
        self.block
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.store.change(|places| {
            places.under_way.remove(&self.block);
            if !self.is_complete {
                places.given_back.insert(self.block);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tempfile::{TempDir, tempdir};
    use tonic::Code;

    use super::*;

    fn file_of(n_blocks: u64) -> (TempDir, PathBuf) {
        let directory = tempdir().unwrap();
        let path = directory.path().join("blocks");
        Store::create(&path, n_blocks).unwrap();
        (directory, path)
    }

    #[test]
    fn makes_a_file_that_it_takes() {
        let (_directory, path) = file_of(700);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 700 * BLOCK_BYTES);
        assert!(bytes.chunks(BLOCK_BYTES).zip(0..).all(|(data, block)| holds(block, data)));
        assert_eq!(Store::open(&path, 700).unwrap().n_readable(), 700);
        Store::create(&path, 3).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "a file that is there is left as it is");
    }

    #[test]
    fn refuses_what_is_no_file_of_blocks() {
        let (directory, path) = file_of(3);
        let refusal = |path: &Path, n_max| Store::open(path, n_max).unwrap_err().to_string();
        assert!(refusal(&path, 2).contains("has 3 blocks; --blocks-max allows 2"));
        assert!(refusal(&directory.path().join("missing"), 9).contains("is not there; make one with --blocks-create N"));
        assert!(refusal(directory.path(), 9).contains("is not a regular file"));
        assert!(refusal(Path::new("/dev/null"), 9).contains("is not a regular file"));
        let other = directory.path().join("other");
        for (bytes, what) in [(&b""[..], "has not one block"), (&[7; 4095], "has not one block"), (&[7; 4096], "block 0 does not hold")] {
            std::fs::write(&other, bytes).unwrap();
            assert!(refusal(&other, 9).contains(what), "{}", refusal(&other, 9));
        }
        std::fs::write(&other, [contents(0), contents(2)].concat()).unwrap();
        assert!(refusal(&other, 9).contains("block 1 does not hold"));
        let nowhere = Store::create(Path::new("/proc/blocks"), 1).unwrap_err();
        assert!(nowhere.to_string().contains("/proc/blocks cannot be made"), "{nowhere}");
    }

    #[test]
    fn a_torn_end_is_written_over() {
        let (_directory, path) = file_of(2);
        std::fs::write(&path, [contents(0), contents(1), vec![1; 100]].concat()).unwrap();
        let store = Arc::new(Store::open(&path, 9).unwrap());
        assert_eq!((store.n_readable(), Store::next_place(&store).unwrap().offset()), (2, 2 * BLOCK_BYTES as u64));
    }

    #[test]
    fn blocks_are_read_when_all_before_them_are_complete() {
        let (_directory, path) = file_of(1);
        let store = Arc::new(Store::open(&path, 9).unwrap());
        let [a, b, c] = [(); 3].map(|()| Store::next_place(&store).unwrap());
        assert_eq!([a.block(), b.block(), c.block()], [1, 2, 3]);
        assert_eq!((b.complete(), store.n_readable()), (2, 1));
        assert_eq!((a.complete(), store.n_readable()), (1, 3));
        assert_eq!((c.complete(), store.n_readable()), (3, 4));
    }

    #[test]
    fn a_place_that_is_given_up_goes_to_the_next() {
        let (_directory, path) = file_of(1);
        let store = Arc::new(Store::open(&path, 4).unwrap());
        let [a, b, c] = [(); 3].map(|()| Store::next_place(&store).unwrap());
        assert_eq!(Store::next_place(&store).unwrap_err().code(), Code::ResourceExhausted);
        c.complete();
        drop(a);
        assert_eq!(store.n_readable(), 1, "a hole is not read");
        assert_eq!((Store::next_place(&store).unwrap().complete(), store.n_readable()), (1, 2));
        assert_eq!((b.complete(), store.n_readable()), (2, 4));
        assert_eq!(Store::next_place(&store).unwrap_err().code(), Code::ResourceExhausted);
    }

    #[test]
    fn callers_get_what_is_there() {
        let (_directory, path) = file_of(3);
        let (store, dice) = (Store::open(&path, 9).unwrap(), Dice::new(0));
        assert_eq!(store.choose(Some(2), &dice).unwrap(), 2);
        for block in [3, u64::MAX] {
            let status = store.choose(Some(block), &dice).unwrap_err();
            assert_eq!(status.code(), Code::OutOfRange);
            assert!(status.message().contains(&block.to_string()) && status.message().contains("the last one is 2"));
        }
        assert!((0..100).all(|_| store.choose(None, &dice).unwrap() < 3));
    }
}
