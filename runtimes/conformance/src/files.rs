//! Reading and writing files: offsets, ends, errors that keep their number, buffers that come back.

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;

use loopswap_rt::{File, FileHandle, OpenOptions, Runtime, spawn_local};
use rustix::io::Errno;
use tempfile::{TempDir, tempdir};

use crate::support::{assert_same, pattern, poll_once, within};

const READ_WRITE: OpenOptions = OpenOptions { read: true, write: true, append: false, truncate: false, create: true, create_new: false };

/// What is written is read back, by the loop and by others; a sync in between succeeds.
pub async fn write_then_read<R: Runtime>(rt: R) {
    let (_directory, path) = file_of(b"");
    let file = rt.open(&path, &READ_WRITE).await.unwrap();
    let (written, buf) = within("a write", file.write_at(b"hello".to_vec(), 0)).await;
    assert_eq!((written.unwrap(), buf.as_slice()), (5, &b"hello"[..]), "the buffer comes back unchanged");
    within("a sync", file.sync()).await.unwrap();
    assert_eq!(read(&file, 100, 0).await, b"hello");
    assert_eq!(fs::read(&path).unwrap(), b"hello");
}

/// Reads and writes go where the offset says, whatever went before.
pub async fn offsets<R: Runtime>(rt: R) {
    let (_directory, path) = file_of(b"0123456789");
    let file = rt.open(&path, &READ_WRITE).await.unwrap();
    assert_eq!(read(&file, 3, 5).await, b"567");
    assert_eq!(read(&file, 3, 0).await, b"012");
    assert_eq!(file.write_at(b"AB".to_vec(), 8).await.0.unwrap(), 2);
    assert_eq!(file.write_at(b"CD".to_vec(), 1).await.0.unwrap(), 2);
    assert_eq!(file.write_at(b"!".to_vec(), 12).await.0.unwrap(), 1);
    assert_eq!(fs::read(&path).unwrap(), b"0CD34567AB\0\0!");
}

/// At the end and behind it a read is `Ok(0)`, again and again; before it, it is short.
pub async fn the_end_of_a_file<R: Runtime>(rt: R) {
    let (_directory, path) = file_of(b"0123456789");
    let file = rt.open(&path, &OpenOptions::reading()).await.unwrap();
    assert_eq!(read(&file, 100, 8).await, b"89");
    for offset in [10, 11, 4096, 1 << 40] {
        for _ in 0..2 {
            assert_eq!(read(&file, 100, offset).await, b"", "at {offset}");
        }
    }
    let (_directory, empty) = file_of(b"");
    assert_eq!(read(&rt.open(&empty, &OpenOptions::reading()).await.unwrap(), 100, 0).await, b"");
}

/// The last offset there is, which some system calls take for the current position, reads nothing and writes nothing.
pub async fn the_last_offset<R: Runtime>(rt: R) {
    let (_directory, path) = file_of(b"0123456789");
    let file = rt.open(&path, &READ_WRITE).await.unwrap();
    for offset in [u64::MAX, u64::MAX - 1, 1 << 63] {
        let (result, buf) = within("a read", file.read_at(Vec::with_capacity(4), offset)).await;
        assert!(!matches!(result, Ok(1..)) && buf.is_empty(), "{result:?} at {offset}");
        let (result, _) = within("a write", file.write_at(b"X".to_vec(), offset)).await;
        assert!(result.is_err(), "{result:?} at {offset}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"0123456789");
}

/// A read fills the buffer from its start, up to its capacity, and gives back the very same one.
pub async fn the_buffer_comes_back<R: Runtime>(rt: R) {
    let (_directory, path) = file_of(&pattern(1000));
    let file = rt.open(&path, &READ_WRITE).await.unwrap();
    let mut buf = Vec::with_capacity(100);
    buf.extend_from_slice(b"what was here before");
    let home = buf.as_ptr();
    let (result, buf) = within("a read", file.read_at(buf, 200)).await;
    assert!((1..=100).contains(&result.unwrap()) && buf.as_ptr() == home && buf.capacity() == 100);
    assert_same(&buf, &pattern(1000)[200..200 + buf.len()]);

    let (result, buf) = within("a write", file.write_at(buf, 0)).await;
    assert!((1..=buf.len()).contains(&result.unwrap()) && buf.as_ptr() == home && buf.capacity() == 100);
    assert_same(&buf, &pattern(1000)[200..200 + buf.len()]);
}

/// A buffer without capacity reads nothing, an empty one writes nothing.
pub async fn no_buffer<R: Runtime>(rt: R) {
    let (_directory, path) = file_of(b"text");
    let file = rt.open(&path, &READ_WRITE).await.unwrap();
    let (result, buf) = within("a read", file.read_at(Vec::new(), 0)).await;
    assert_eq!((result.unwrap(), buf.capacity()), (0, 0));
    let (result, buf) = within("a write", file.write_at(Vec::with_capacity(10), 0)).await;
    assert_eq!((result.unwrap(), buf.len(), buf.capacity()), (0, 0, 10));
    assert_eq!(fs::read(&path).unwrap(), b"text");
}

/// Errors keep the number that the kernel gave; buffers come back all the same: from a read empty, from a write unchanged.
pub async fn errors_keep_their_number<R: Runtime>(rt: R) {
    let (_directory, path) = file_of(b"text");
    let only_writing = rt.open(&path, &OpenOptions { write: true, ..OpenOptions::default() }).await.unwrap();
    let (result, buf) = within("a read", only_writing.read_at(vec![7; 10], 0)).await;
    assert_eq!(result.unwrap_err().raw_os_error(), Some(Errno::BADF.raw_os_error()));
    assert!(buf.is_empty() && buf.capacity() == 10);

    let only_reading = rt.open(&path, &OpenOptions::reading()).await.unwrap();
    let (result, buf) = within("a write", only_reading.write_at(b"more".to_vec(), 0)).await;
    assert_eq!(result.unwrap_err().raw_os_error(), Some(Errno::BADF.raw_os_error()));
    assert_eq!(buf, b"more");
}

/// A full disk is ENOSPC, not something made of it.
pub async fn no_space_left<R: Runtime>(rt: R) {
    let full = rt.open(Path::new("/dev/full"), &OpenOptions { write: true, ..OpenOptions::default() }).await.unwrap();
    let (result, buf) = within("a write", full.write_at(b"text".to_vec(), 0)).await;
    assert_eq!(result.unwrap_err().raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
    assert_eq!(buf, b"text");
}

/// Each write to a file opened for appending goes to its end, whatever the offset.
pub async fn append<R: Runtime>(rt: R) {
    let (_directory, path) = file_of(b"0");
    let file = rt.open(&path, &OpenOptions::appending()).await.unwrap();
    for (text, offset) in [("1", 0), ("2", 0), ("3", 1000), ("4", 1)] {
        assert_eq!(within("a write", file.write_at(text.into(), offset)).await.0.unwrap(), 1);
    }
    assert_eq!(fs::read(&path).unwrap(), b"01234");
}

/// A big file, in one read after the other, and written so.
pub async fn big_reads_and_writes<R: Runtime>(rt: R) {
    const BIG: usize = 1 << 20;
    let (_directory, path) = file_of(b"");
    let file = rt.open(&path, &READ_WRITE).await.unwrap();
    let mut written = 0;
    while written < BIG {
        let n = within("a write", file.write_at(pattern(BIG)[written..].to_vec(), written as u64)).await.0.unwrap();
        assert_ne!(n, 0, "a write that writes nothing never ends");
        written += n;
    }
    assert_same(&fs::read(&path).unwrap(), &pattern(BIG));
    let mut read_back = Vec::new();
    while read_back.len() < BIG {
        let part = read(&file, BIG, read_back.len() as u64).await;
        assert!(!part.is_empty(), "the end came after {} bytes", read_back.len());
        read_back.extend(part);
    }
    assert_same(&read_back, &pattern(BIG));
}

/// A hundred reads of one file at once, each of its own part.
pub async fn a_hundred_reads_at_once<R: Runtime>(rt: R) {
    const PART: usize = 4096;
    let bytes: Rc<[u8]> = pattern(100 * PART).into();
    let (_directory, path) = file_of(&bytes);
    let file = Rc::new(rt.open(&path, &OpenOptions::reading()).await.unwrap());
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let (file, bytes) = (Rc::clone(&file), Rc::clone(&bytes));
            spawn_local(async move { assert_same(&read(&*file, PART, (n * PART) as u64).await, &bytes[n * PART..(n + 1) * PART]) })
        })
        .collect();
    for task in tasks {
        within("a read", task).await.unwrap();
    }
}

/// Reads that nobody waits for any more: the file may go too, the buffers are freed in time, and later reads are right.
pub async fn read_dropped_midway<R: Runtime>(rt: R) {
    let (_directory, path) = file_of(&pattern(64 * 1024));
    for n in 0..1000 {
        let file = rt.open(&path, &OpenOptions::reading()).await.unwrap();
        {
            // Ready already, if the loop is very fast.
            let _ = poll_once(pin!(file.read_at(Vec::with_capacity(64 * 1024), 0))).await;
        }
        if n % 2 == 0 {
            assert_eq!(read(&file, 10, 1000).await, &pattern(1010)[1000..]);
        }
    }
}

/// Writes, opens and syncs that nobody waits for any more: they happen or do not, and nothing else breaks.
pub async fn write_dropped_midway<R: Runtime>(rt: R) {
    let (_directory, path) = file_of(b"");
    let file = rt.open(&path, &READ_WRITE).await.unwrap();
    for n in 0..500 {
        let _ = poll_once(pin!(file.write_at(vec![b'x'; 100], n * 100))).await;
        let _ = poll_once(pin!(rt.open(&path, &OpenOptions::reading()))).await;
        let _ = poll_once(pin!(file.sync())).await;
    }
    assert_eq!(within("a write", file.write_at(b"end".to_vec(), 50_000)).await.0.unwrap(), 3);
    within("a sync", file.sync()).await.unwrap();
    let contents = fs::read(&path).unwrap();
    assert!(contents.ends_with(b"end") && contents[..50_000].iter().all(|byte| matches!(byte, 0 | b'x')));
}

/// The ambient file is the loop's: it reads, writes all, syncs, and its clones share it.
pub async fn the_ambient_file<R: Runtime>(_: R) {
    let (_directory, path) = file_of(b"");
    let file = File::open(&path, &READ_WRITE).await.unwrap();
    let (result, buf) = within("a write", file.write_all_at(pattern(300_000), 7)).await;
    result.unwrap();
    assert_same(&buf, &pattern(300_000));
    within("a sync", file.sync()).await.unwrap();
    assert_same(&fs::read(&path).unwrap()[7..], &pattern(300_000));
    let clone = file.clone();
    drop(file);
    let (result, buf) = within("a read", clone.read_at(Vec::with_capacity(10), 7)).await;
    assert_eq!(result.unwrap(), buf.len());
    assert_same(&buf, &pattern(10));

    let full = File::open("/dev/full", &OpenOptions { write: true, ..OpenOptions::default() }).await.unwrap();
    let (result, buf) = within("a write", full.write_all_at(b"text".to_vec(), 0)).await;
    assert_eq!(result.unwrap_err().raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
    assert_eq!(buf, b"text");
}

/// A file with these contents, in a directory of its own.
pub(crate) fn file_of(contents: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, contents).unwrap();
    (directory, path)
}

/// Reads at most `n` bytes, and looks at the buffer that comes back.
pub(crate) async fn read(file: &impl FileHandle, n: usize, offset: u64) -> Vec<u8> {
    let (result, buf) = within("a read", file.read_at(Vec::with_capacity(n), offset)).await;
    assert_eq!(result.unwrap(), buf.len());
    assert!(buf.len() <= n && buf.capacity() >= n);
    buf
}
