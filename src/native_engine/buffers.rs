//! Send buffers of a worker. A connection holds one only while it has something to send.

use std::cell::RefCell;

/// Buffers that are kept; a worker's memory for them is at most their product with [`BUFFER_BYTES_MAX`].
const BUFFERS_MAX: usize = 64;

/// A buffer that has grown beyond this is given up.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// A new buffer: the answers of a small batch.
const BUFFER_BYTES: usize = 4 * 1024;

thread_local! {
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with some capacity.
pub(super) fn take() -> Vec<u8> {
    BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES))
}

/// Takes a buffer back.
pub(super) fn give(mut buffer: Vec<u8>) {
    if (1..=BUFFER_BYTES_MAX).contains(&buffer.capacity()) {
        buffer.clear();
        BUFFERS.with_borrow_mut(|buffers| {
            if buffers.len() < BUFFERS_MAX {
                buffers.push(buffer);
            }
        });
    }
}
