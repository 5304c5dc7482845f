//! The files that the servers read and append to.
//!
//! They lie where cargo builds, which mostly is a disk, because a sync in memory costs nothing. They have no name, so none is left behind, however this
//! process ends: servers find them by this process's descriptor.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use loopswap::blocks::{BLOCK_BYTES, contents};

/// Blocks of a file, at most: 64 MiB, more than most CPUs' caches hold, and little enough to be made for each cell.
const N_BLOCKS_MAX: u32 = 16 * 1024;

/// A file of blocks, in the page cache.
pub(crate) struct Blocks {
    file: File,
}

impl Blocks {
    /// A file for so many calls: it has no more blocks than they can read.
    pub(crate) fn new(n_calls: u32) -> Result<Self, String> {
        let n_blocks = n_calls.clamp(1, N_BLOCKS_MAX);
        let make = || {
            let mut writer = BufWriter::with_capacity(256 * BLOCK_BYTES, tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR"))?);
            for block in 0..n_blocks {
                writer.write_all(&contents(block.into()))?;
            }
            writer.into_inner().map_err(std::io::IntoInnerError::into_error)
        };
        let file = make().map_err(|error: std::io::Error| format!("no file of blocks in {}: {error}", env!("CARGO_TARGET_TMPDIR")))?;
        Ok(Self { file })
    }

    /// Where a child finds it, for as long as this value lives.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into()
    }
}
