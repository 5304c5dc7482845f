//! Opening files: what the options mean, and the errors of `open(2)`.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use loopswap_rt::{File, FileHandle, OpenOptions, Runtime};
use rustix::io::Errno;
use tempfile::tempdir;

use crate::descriptors;
use crate::files::{file_of, read};
use crate::support::within;

/// A file that is not there is `NotFound`, with its number, from the loop and from the ambient call.
pub async fn a_missing_file<R: Runtime>(rt: R) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("missing");
    let error = within("an answer", rt.open(&path, &OpenOptions::reading())).await.map(drop).unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::NotFound, Some(Errno::NOENT.raw_os_error())));
    let error = within("an answer", File::open(&path, &OpenOptions::reading())).await.unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::NotFound, Some(Errno::NOENT.raw_os_error())));
}

/// Options and paths that mean nothing are `InvalidInput`, and create nothing.
pub async fn invalid_options<R: Runtime>(rt: R) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("file");
    let nothing = OpenOptions::default();
    let invalid = [
        nothing.clone(),
        OpenOptions { create: true, ..nothing.clone() },
        OpenOptions { read: true, create: true, ..nothing.clone() },
        OpenOptions { read: true, truncate: true, ..nothing.clone() },
        OpenOptions { append: true, truncate: true, create: true, ..nothing },
    ];
    for options in invalid {
        assert_eq!(error(&rt, &path, &options).await, ErrorKind::InvalidInput, "{options:?}");
    }
    assert_eq!(error(&rt, Path::new("a\0b"), &OpenOptions::reading()).await, ErrorKind::InvalidInput);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// `create_new` creates, and fails where something is.
pub async fn create_new<R: Runtime>(rt: R) {
    let (_directory, path) = file_of(b"text");
    let options = OpenOptions { write: true, create_new: true, ..OpenOptions::default() };
    assert_eq!(error(&rt, &path, &options).await, ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"text");
    fs::remove_file(&path).unwrap();
    rt.open(&path, &options).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"");
}

/// A created file has mode 0666 less the umask, as std's has.
pub async fn the_mode_of_a_created_file<R: Runtime>(rt: R) {
    let directory = tempdir().unwrap();
    let (ours, stds) = (directory.path().join("ours"), directory.path().join("stds"));
    rt.open(&ours, &OpenOptions::creating()).await.unwrap();
    fs::File::create(&stds).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&stds));
}

/// `truncate` cuts, and its absence does not.
pub async fn truncate<R: Runtime>(rt: R) {
    let (_directory, path) = file_of(b"text");
    let kept = rt.open(&path, &OpenOptions { write: true, create: true, ..OpenOptions::default() }).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"text");
    rt.open(&path, &OpenOptions::creating()).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"");
    assert_eq!(kept.write_at(b"more".to_vec(), 0).await.0.unwrap(), 4);
    assert_eq!(fs::read(&path).unwrap(), b"more");
}

/// Reading and appending together is reading and appending.
pub async fn read_and_append<R: Runtime>(rt: R) {
    let (_directory, path) = file_of(b"text");
    let file = rt.open(&path, &OpenOptions { read: true, append: true, ..OpenOptions::default() }).await.unwrap();
    assert_eq!(file.write_at(b"!".to_vec(), 0).await.0.unwrap(), 1);
    assert_eq!(read(&file, 10, 0).await, b"text!");
}

/// A directory that stands where a file should is an error, with its number.
pub async fn a_directory<R: Runtime>(rt: R) {
    let directory = tempdir().unwrap();
    let error = rt.open(directory.path(), &OpenOptions { write: true, ..OpenOptions::default() }).await.map(drop).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::ISDIR.raw_os_error()));
}

/// No file of the loop is inherited by the programs that the process starts.
pub async fn files_are_close_on_exec<R: Runtime>(rt: R) {
    let (_directory, path) = file_of(b"text");
    let file = rt.open(&path, &OpenOptions::reading()).await.unwrap();
    let answers = descriptors::close_on_exec(|link| Path::new(link) == path);
    assert_eq!(answers, [true]);
    assert_eq!(read(&file, 10, 0).await, b"text");
}

async fn error<R: Runtime>(rt: &R, path: &Path, options: &OpenOptions) -> ErrorKind {
    match within("an answer", rt.open(path, options)).await {
        Ok(_) => panic!("{options:?} opened {}", path.display()),
        Err(error) => error.kind(),
    }
}
