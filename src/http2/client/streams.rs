//! The open streams of a client, found by their identifier or by key.

use bytes::Bytes;

/// A stream, as the client's driver knows it. A slot is used again when its stream is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamKey {
    slot: u32,
    id: u32,
}

impl StreamKey {
    /// The stream's place, below the greatest number of streams that were open at once.
    pub(crate) fn slot(self) -> usize {
        self.slot as usize
    }

    /// The stream's identifier (RFC 9113, 5.1.1).
    pub(crate) fn id(self) -> u32 {
        self.id
    }
}

/// A stream whose answer has not ended.
#[derive(Debug)]
pub(super) struct Stream {
    /// 0 while the slot is free.
    id: u32,
    /// What the server may still send.
    pub(super) recv_window: i32,
    /// Received, and not yet given back to the server's window.
    pub(super) unannounced: u32,
    /// What we may still send. Below 0 after the server lowered SETTINGS_INITIAL_WINDOW_SIZE (6.9.2).
    pub(super) send_window: i32,
    /// What is missing of the body that `content-length` promised.
    pub(super) content_left: Option<u64>,
    /// The answer's head has come.
    pub(super) has_head: bool,
    /// The server has sent END_STREAM, in a DATA frame that is still arriving.
    pub(super) remote_closed: bool,
    /// More of the request's body will come, behind what is pending.
    pub(super) goes_on: bool,
    /// It stands in the queue of those that can send.
    pub(super) queued: bool,
    /// The part of the request's body that waits for the server's windows.
    pub(super) pending: Option<Bytes>,
}

/// The streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    slots: Vec<Stream>,
    free: Vec<u32>,
    /// Slots, plus one, by half of their identifier; 0 where there is none. Identifiers follow one another, so that those that are open
    /// hardly ever meet. At least twice as long as there are slots, a power of two; one that is taken stands further on.
    index: Vec<u32>,
}

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Opens a stream.
    pub(super) fn open(&mut self, id: u32, recv_window: i32, send_window: i32) -> StreamKey {
        let stream = Stream {
            id,
            recv_window,
            unannounced: 0,
            send_window,
            content_left: None,
            has_head: false,
            remote_closed: false,
            goes_on: false,
            queued: false,
            pending: None,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = stream;
                slot
            }
            None => {
                self.slots.push(stream);
                self.widen();
                (self.slots.len() - 1) as u32
            }
        };
        self.enter(slot);
        StreamKey { slot, id }
    }

    /// The stream of an identifier that came from the server.
    #[inline]
    pub(super) fn find(&self, id: u32) -> Option<StreamKey> {
        let mut place = self.home(id)?;
        while self.index[place] != 0 {
            let slot = self.index[place] - 1;
            if self.slots[slot as usize].id == id {
                return Some(StreamKey { slot, id });
            }
            place = self.behind(place);
        }
        None
    }

    #[inline]
    pub(super) fn get_mut(&mut self, key: StreamKey) -> Option<&mut Stream> {
        self.slots.get_mut(key.slot()).filter(|stream| stream.id == key.id)
    }

    /// Forgets a stream. Returns whether it was there.
    pub(super) fn close(&mut self, key: StreamKey) -> bool {
        if self.get_mut(key).is_none() {
            return false;
        }
        self.leave(key);
        let stream = &mut self.slots[key.slot()];
        stream.id = 0;
        stream.pending = None;
        self.free.push(key.slot);
        true
    }

    /// Every open stream.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (StreamKey, &mut Stream)> {
        let open = self.slots.iter_mut().zip(0..).filter(|(stream, _)| stream.id != 0);
        open.map(|(stream, slot)| (StreamKey { slot, id: stream.id }, stream))
    }

    /// Where an identifier stands, if nothing else does.
    #[inline]
    fn home(&self, id: u32) -> Option<usize> {
        let mask = self.index.len().checked_sub(1)?;
        Some((id / 2) as usize & mask)
    }

    #[inline]
    fn behind(&self, place: usize) -> usize {
        (place + 1) & (self.index.len() - 1)
    }

    fn enter(&mut self, slot: u32) {
        let mut place = self.home(self.slots[slot as usize].id).expect("the index has room for every slot");
        while self.index[place] != 0 {
            place = self.behind(place);
        }
        self.index[place] = slot + 1;
    }

    /// Closes the gap: whoever stands behind it and would rather stand in it moves up.
    fn leave(&mut self, key: StreamKey) {
        let mask = self.index.len() - 1;
        let mut gap = self.home(key.id).expect("the stream is there");
        while self.index[gap] != key.slot + 1 {
            gap = self.behind(gap);
        }
        let mut place = self.behind(gap);
        while self.index[place] != 0 {
            let id = self.slots[self.index[place] as usize - 1].id;
            let home = (id / 2) as usize & mask;
            if place.wrapping_sub(home) & mask >= place.wrapping_sub(gap) & mask {
                self.index[gap] = self.index[place];
                gap = place;
            }
            place = self.behind(place);
        }
        self.index[gap] = 0;
    }

    /// Keeps the index twice as long as there are slots. The slot that was added is not in it yet.
    fn widen(&mut self) {
        let n = (self.slots.len() * 2).next_power_of_two().max(16);
        if n <= self.index.len() {
            return;
        }
        self.index = vec![0; n];
        for slot in 0..self.slots.len() - 1 {
            if self.slots[slot].id != 0 {
                self.enter(slot as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Against a map, with streams that end in another order than they were opened in, and some that stay.
    #[test]
    fn finds_what_is_open_and_nothing_else() {
        let mut streams = Streams::default();
        let mut model: BTreeMap<u32, StreamKey> = BTreeMap::new();
        let mut id = 1;
        for i in 0..20_000_u32 {
            let n_open_max = 1 + (i / 700 * 37 % 300) as usize;
            while model.len() >= n_open_max {
                let place = (i as usize * 7919) % model.len();
                let (&gone, &key) = model.iter().nth(place).expect("it is below the length");
                assert!(streams.close(key) && !streams.close(key));
                assert!(streams.get_mut(key).is_none());
                model.remove(&gone);
            }
            let key = streams.open(id, 1, 1);
            model.insert(id, key);
            id += 2;
            assert_eq!(streams.len(), model.len());
            if i % 50 == 0 {
                for id in (1..id + 4).step_by(2) {
                    assert_eq!(streams.find(id), model.get(&id).copied());
                }
                assert_eq!(streams.iter_mut().count(), model.len());
            }
        }
        assert!(streams.index.len() <= 1024, "{}", streams.index.len());
    }
}
