//! A queue that is nearly always empty: without memory until its first item, and a pointer large, because every idle connection has some.

use std::collections::VecDeque;

/// Items, first in, first out.
#[derive(Debug)]
#[allow(clippy::box_collection, reason = "the point is to be small while there is none")]
pub(super) struct Queue<T>(Option<Box<VecDeque<T>>>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Queue<T> {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|items| items.is_empty())
    }

    pub(super) fn push(&mut self, item: T) {
        self.0.get_or_insert_default().push_back(item);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        self.0.as_mut()?.pop_front()
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        if let Some(items) = &mut self.0 {
            items.retain(keep);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |items| items.len())
    }

    /// All of them, and the memory.
    #[inline]
    pub(super) fn take(&mut self) -> VecDeque<T> {
        self.0.take().map_or_else(VecDeque::new, |items| *items)
    }

    /// Gives its memory back if there is no item.
    pub(super) fn shrink(&mut self) {
        if self.is_empty() {
            self.0 = None;
        }
    }
}
