//! The calls of a connection, in the slots of their streams.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use crate::grpc::Call;
use crate::http2::StreamKey;

use crate::ready::Ready;

/// The calls under way. Without one, and after [`shrink`](Self::shrink), it has no memory.
#[derive(Default)]
pub(super) struct Calls {
    slots: Vec<Slot>,
    n: usize,
    /// Slots whose calls have something new, in the order in which it came.
    fresh: Vec<u32>,
    /// No call's deadline is before this.
    deadline: Option<Instant>,
}

#[derive(Default)]
struct Slot {
    call: Option<Call>,
    /// The stream of the slot's last call.
    owner: Option<StreamKey>,
    /// Made for the slot's first call, and kept for the next ones.
    waker: Option<Waker>,
    is_fresh: bool,
}

impl Calls {
    pub(super) fn len(&self) -> usize {
        self.n
    }

    pub(super) fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Opens a call, in the slot where it stays, and returns it unless it was refused. Its handler may want to run.
    #[inline]
    pub(super) fn open(&mut self, stream: StreamKey, open: impl FnOnce() -> Option<Call>) -> Option<&mut Call> {
        let slot = stream.slot();
        if slot >= self.slots.len() {
            self.slots.reserve_exact(slot + 1 - self.slots.len());
            self.slots.resize_with(slot + 1, Slot::default);
        }
        let entry = &mut self.slots[slot];
        // The stream that had the slot is gone, and with it whoever waits for its call.
        if entry.call.is_some() {
            entry.call = None;
            self.n -= 1;
        }
        entry.call = open();
        let call = entry.call.as_mut()?;
        self.n += 1;
        entry.owner = Some(stream);
        if let Some(deadline) = call.deadline() {
            self.deadline = Some(self.deadline.map_or(deadline, |other| other.min(deadline)));
        }
        if !mem::replace(&mut entry.is_fresh, true) {
            self.fresh.push(slot as u32);
        }
        Some(call)
    }

    /// The call of a stream, if it is not over, for which something has come: it is polled at the next [`poll`](Self::poll).
    pub(super) fn freshen(&mut self, stream: StreamKey) -> Option<&mut Call> {
        let entry = self.slots.get_mut(stream.slot()).filter(|entry| entry.owner == Some(stream))?;
        let call = entry.call.as_mut()?;
        if !mem::replace(&mut entry.is_fresh, true) {
            self.fresh.push(stream.slot() as u32);
        }
        Some(call)
    }

    /// Drops the stream's call.
    pub(super) fn cancel(&mut self, stream: StreamKey) {
        if let Some(entry) = self.slots.get_mut(stream.slot()).filter(|entry| entry.owner == Some(stream) && entry.call.is_some()) {
            entry.call = None;
            self.n -= 1;
        }
    }

    /// Drops all calls.
    pub(super) fn cancel_all(&mut self) {
        self.deadline = None;
        self.slots = Vec::new();
        self.fresh = Vec::new();
        self.n = 0;
    }

    /// Polls the calls that have something new, and those that were woken. Returns whether there were any.
    pub(super) fn poll(&mut self, ready: &Arc<Ready>) -> bool {
        ready.take(|slot| {
            if let Some(entry) = self.slots.get_mut(slot)
                && !entry.is_fresh
            {
                entry.is_fresh = true;
                self.fresh.push(slot as u32);
            }
        });
        // Nothing is added meanwhile: that takes `&mut self`.
        let n = self.fresh.len();
        for place in 0..n {
            self.poll_slot(self.fresh[place] as usize, ready);
        }
        self.fresh.clear();
        n > 0
    }

    /// When [`expire`](Self::expire) is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Ends the calls whose deadlines have passed, and finds out when to look again.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        self.deadline = None;
        for entry in &mut self.slots {
            let Some(call) = &mut entry.call else { continue };
            match call.deadline() {
                Some(deadline) if deadline <= now => {
                    call.expire();
                    entry.call = None;
                    self.n -= 1;
                }
                Some(deadline) => self.deadline = Some(self.deadline.map_or(deadline, |other| other.min(deadline))),
                None => {}
            }
        }
    }

    /// Gives the slots back.
    pub(super) fn shrink(&mut self) {
        if self.is_empty() {
            self.cancel_all();
        }
    }

    fn poll_slot(&mut self, slot: usize, ready: &Arc<Ready>) {
        let Some(entry) = self.slots.get_mut(slot) else { return };
        entry.is_fresh = false;
        let Some(call) = &mut entry.call else { return };
        let waker = entry.waker.get_or_insert_with(|| ready.waker(slot));
        if call.poll(&mut Context::from_waker(waker)).is_ready() {
            entry.call = None;
            self.n -= 1;
        }
    }
}
