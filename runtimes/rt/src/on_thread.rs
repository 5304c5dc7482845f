//! The one `Send` wrapper of the project: a value that may be held anywhere, and used only where it was made.
#![allow(unsafe_code, reason = "the one place that vouches for `Send`, checked at run time")]

use std::mem::ManuallyDrop;
use std::thread::{self, ThreadId};

/// A value bound to the thread that made it.
///
/// Generated tonic services demand futures that are `Send`, although a worker never moves them. This wrapper gives them that, and checks on
/// each use that the promise was kept.
///
/// Dropped on another thread, the value is leaked: its destructor may touch its thread's loop.
#[derive(Debug)]
pub struct OnThread<T> {
    value: ManuallyDrop<T>,
    thread: ThreadId,
}

// SAFETY: the value is reached only by `get`, `get_mut` and `drop`, which check that they run on the thread that made it.
unsafe impl<T> Send for OnThread<T> {}
// SAFETY: a shared reference gives access to the value on the thread that made it alone, so no two threads ever share it.
unsafe impl<T> Sync for OnThread<T> {}

impl<T> OnThread<T> {
    /// Binds the value to the current thread.
    pub fn new(value: T) -> Self {
        Self { value: ManuallyDrop::new(value), thread: thread::current().id() }
    }

    /// The value; `None` on any other thread than its own.
    pub fn get(&self) -> Option<&T> {
        self.is_home().then(|| &*self.value)
    }

    /// The value, to change; `None` on any other thread than its own.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.is_home().then(|| &mut *self.value)
    }

    fn is_home(&self) -> bool {
        thread::current().id() == self.thread
    }
}

impl<T> Drop for OnThread<T> {
    fn drop(&mut self) {
        if self.is_home() {
            // SAFETY: dropped once, here, on the thread that made it.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn is_used_at_home_only() {
        let value = Rc::new(1);
        let mut held = OnThread::new(Rc::clone(&value));
        assert_eq!(held.get_mut().map(|value| **value), Some(1));
        let mut held = thread::spawn(move || {
            assert!(held.get_mut().is_none() && held.get().is_none());
            held
        })
        .join()
        .unwrap();
        assert!(held.get_mut().is_some() && held.get().is_some());
        drop(held);
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn is_leaked_when_dropped_elsewhere() {
        let value = Rc::new(());
        let held = OnThread::new(Rc::clone(&value));
        thread::spawn(move || drop(held)).join().unwrap();
        assert_eq!(Rc::strong_count(&value), 2);
    }
}
