//! The receive buffer of a worker, shared by all its connections: loops that read when a socket is ready lend from it.

use std::cell::Cell;

/// Its size in bytes: one `read` takes what a burst of a hundred calls brings, and it fits a core's L2 cache with room to spare.
const SCRATCH_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Calls `f` with the worker's buffer, 64 KiB of it. Its contents are those of its last use. A nested call gets a buffer of its own.
pub fn with_scratch<T>(f: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut buffer = SCRATCH.take();
    buffer.resize(SCRATCH_BYTES, 0);
    let value = f(&mut buffer);
    SCRATCH.set(buffer);
    value
}
