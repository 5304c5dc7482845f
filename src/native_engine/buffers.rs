//! Send buffers of a worker. A connection holds one only while it has something to send.

use std::cell::RefCell;

/// What a worker keeps of them, in bytes of capacity.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A buffer that has grown beyond this is given up. A burst of a hundred answers of 4 KiB makes one of 512 KiB; grown anew for each burst, it is copied once
/// more than it is sent.
const BUFFER_BYTES_MAX: usize = 1024 * 1024;

/// A new buffer: the answers of a small batch.
const BUFFER_BYTES: usize = 4 * 1024;

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { buffers: Vec::new(), n_bytes: 0 }) };
}

#[derive(Default)]
struct Kept {
    buffers: Vec<Vec<u8>>,
    /// Their capacities.
    n_bytes: usize,
}

impl Kept {
    fn take(&mut self) -> Vec<u8> {
        let Some(buffer) = self.buffers.pop() else { return Vec::with_capacity(BUFFER_BYTES) };
        self.n_bytes -= buffer.capacity();
        buffer
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        let n = buffer.capacity();
        if (1..=BUFFER_BYTES_MAX).contains(&n) && self.n_bytes + n <= KEPT_BYTES_MAX {
            buffer.clear();
            self.n_bytes += n;
            self.buffers.push(buffer);
        }
    }
}

/// An empty buffer with some capacity.
pub(super) fn take() -> Vec<u8> {
    KEPT.with_borrow_mut(Kept::take)
}

/// Takes a buffer back.
pub(super) fn give(buffer: Vec<u8>) {
    KEPT.with_borrow_mut(|kept| kept.give(buffer));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_no_more_than_its_bounds() {
        let mut kept = Kept::default();
        kept.give(Vec::new());
        kept.give(Vec::with_capacity(2 * BUFFER_BYTES_MAX));
        assert!(kept.buffers.is_empty(), "one without capacity and one too large");
        for _ in 0..100 {
            kept.give(Vec::with_capacity(BUFFER_BYTES_MAX));
        }
        assert_eq!((kept.buffers.len(), kept.n_bytes), (KEPT_BYTES_MAX / BUFFER_BYTES_MAX, KEPT_BYTES_MAX));
        assert_eq!(kept.take().capacity(), BUFFER_BYTES_MAX);
        kept.give(b"text".to_vec());
        assert!(kept.take().is_empty(), "it is empty when it is taken again");
        while !kept.buffers.is_empty() {
            drop(kept.take());
        }
        assert_eq!((kept.n_bytes, kept.take().capacity()), (0, BUFFER_BYTES));
    }
}
