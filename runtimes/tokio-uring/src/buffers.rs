//! The receive buffers of a worker: a group from which the kernel takes one when bytes arrive, so that connections which wait own none.
#![allow(unsafe_code, reason = "the kernel writes into the buffers; completions say when it has done so")]

use std::cell::{RefCell, UnsafeCell};

use io_uring::opcode;

use crate::ring::submit;

/// One burst of a hundred small calls fits. It is also what one receive lends at most.
pub(crate) const BUFFER_BYTES: usize = 16 * 1024;

/// The group's number. The ring has one group.
pub(crate) const GROUP: u16 = 0;

/// The buffers. They outlive the ring: see `run`.
pub(crate) struct Buffers {
    memory: Box<[UnsafeCell<[u8; BUFFER_BYTES]>]>,
    /// Buffers that were lent and are to be given back to the kernel.
    returned: RefCell<Vec<u16>>,
}

impl Buffers {
    /// `n` buffers, which the kernel does not know yet.
    pub(crate) fn new(n: u16) -> Self {
        let memory = (0..n).map(|_| UnsafeCell::new([0; BUFFER_BYTES])).collect();
        Self { memory, returned: RefCell::new(Vec::with_capacity(n.into())) }
    }

    fn len(&self) -> u16 {
        self.memory.len() as u16
    }

    /// Gives all buffers to the kernel, when the ring is new.
    pub(crate) fn provide_all(&self) {
        self.provide(0, self.len());
    }

    /// Lends the first `len` bytes of a buffer that the kernel has filled, then takes the buffer back.
    ///
    /// `buffer` comes from the completion of a receive, and is passed here once.
    pub(crate) fn lend<T>(&self, buffer: u16, len: usize, lend: impl FnOnce(&[u8]) -> T) -> T {
        /// Gives the buffer back even when `lend` panics.
        struct Returned<'a>(&'a Buffers, u16);
        impl Drop for Returned<'_> {
            fn drop(&mut self) {
                self.0.give_back(self.1);
            }
        }
        let _returned = Returned(self, buffer);
        // SAFETY: the kernel chose this buffer for one receive and has completed it, so it does not write until it is given the buffer again, which
        // happens after `lend`. Nobody else reads it: each number is passed here once a completion.
        let bytes = unsafe { &*self.memory[usize::from(buffer)].get() };
        lend(&bytes[..len])
    }

    /// Gives a buffer back to the kernel, soon: numbers are collected, so that one operation returns a run of them.
    pub(crate) fn give_back(&self, buffer: u16) {
        let mut returned = self.returned.borrow_mut();
        returned.push(buffer);
        if returned.len() < usize::from(self.len().div_ceil(4)) {
            return;
        }
        let mut numbers = std::mem::take(&mut *returned);
        drop(returned);
        numbers.sort_unstable();
        for run in numbers.chunk_by(|a, b| a + 1 == *b) {
            self.provide(run[0], run.len() as u16);
        }
        numbers.clear();
        self.returned.replace(numbers);
    }

    /// The kernel takes buffers in the order in which they are provided, so that runs stay long.
    fn provide(&self, first: u16, n: u16) {
        let start = self.memory[usize::from(first)].get().cast();
        let entry = opcode::ProvideBuffers::new(start, BUFFER_BYTES as i32, n, GROUP, first).build();
        // Where the kernel has no memory for it, receives find no buffer and bring their own.
        drop(submit((), entry));
    }
}
