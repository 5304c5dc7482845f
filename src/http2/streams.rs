//! The open streams of a connection, found by their id or by the key that the application holds.

use std::time::Instant;

use super::fields::OwnedField;

/// A stream, as the application knows it. It outlives the stream: what is done to a stream that is gone does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamKey {
    slot: u32,
    id: u32,
}

impl StreamKey {
    /// The stream's place, below the greatest number of streams that were open at once. A place is used again when its stream is gone.
    pub fn slot(self) -> usize {
        self.slot as usize
    }

    /// The stream's identifier (RFC 9113, 5.1.1).
    pub fn id(self) -> u32 {
        self.id
    }

    /// Slot and identifier in one number.
    pub fn to_bits(self) -> u64 {
        u64::from(self.slot) << 32 | u64::from(self.id)
    }

    /// The key that [`to_bits`](Self::to_bits) made the number of.
    pub fn from_bits(bits: u64) -> Self {
        Self { slot: (bits >> 32) as u32, id: bits as u32 }
    }
}

/// A stream that is open or half-closed.
#[derive(Debug)]
pub(super) struct Stream {
    /// 0 while the slot is free.
    id: u32,
    /// What the peer may still send. Below 0 after it made use of a window that has shrunk.
    pub(super) recv_window: i32,
    /// Received, and not yet released by the application.
    pub(super) unreleased: u32,
    /// Released, and not yet told to the peer.
    pub(super) unannounced: u32,
    /// What we may still send. Below 0 after the peer lowered SETTINGS_INITIAL_WINDOW_SIZE (6.9.2).
    pub(super) send_window: i32,
    /// What is missing of the body that `content-length` promised.
    pub(super) content_left: Option<u64>,
    /// The peer has sent END_STREAM.
    pub(super) remote_closed: bool,
    /// The application has ended its answer; the end may still wait in `pending`.
    pub(super) answered: bool,
    /// It stands in the queue of those that can send.
    pub(super) queued: bool,
    /// The application waits for room.
    pub(super) wants_room: bool,
    /// What waits for the peer's windows.
    pub(super) pending: Option<Box<Pending>>,
}

/// What is left to do for a stream that is gone.
pub(super) struct Closed {
    /// Bytes that the application had not released.
    pub(super) unreleased: u32,
    /// Those that can send have it in their queue.
    pub(super) was_queued: bool,
}

/// The part of an answer that waits for the peer.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) bytes: Vec<u8>,
    /// Sent so far.
    pub(super) at: usize,
    pub(super) end: End,
    /// When it began to wait, or had last made enough progress.
    pub(super) since: Instant,
    /// Sent since then.
    pub(super) progress: usize,
}

/// How an answer ends.
#[derive(Debug)]
pub(super) enum End {
    /// Not known yet.
    Open,
    /// With its last byte.
    WithData,
    /// With these trailers.
    Trailers(Vec<OwnedField>),
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.at
    }
}

/// The streams.
#[derive(Debug)]
pub(super) struct Streams {
    slots: Vec<Stream>,
    /// The identifiers of the slots, side by side: they are searched as they stand, eight in an instruction or two. For as many streams as a connection
    /// may have, that is cheaper than keeping a table of them.
    ids: Vec<u32>,
    /// The slot that was left last, whose `unreleased` names the one before; or [`NO_SLOT`].
    free: u32,
    n_open: u32,
    /// The stream that was looked up or opened last: DATA comes behind its HEADERS.
    last: Option<StreamKey>,
}

/// More than there are slots.
const NO_SLOT: u32 = u32::MAX;

impl Default for Streams {
    fn default() -> Self {
        Self { slots: Vec::new(), ids: Vec::new(), free: NO_SLOT, n_open: 0, last: None }
    }
}

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.n_open as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Opens a stream.
    pub(super) fn open(
        &mut self,
        id: u32,
        recv_window: i32,
        send_window: i32,
        remote_closed: bool,
        content_left: Option<u64>,
    ) -> StreamKey {
        let stream = Stream {
            id,
            recv_window,
            unreleased: 0,
            unannounced: 0,
            send_window,
            content_left,
            remote_closed,
            answered: false,
            queued: false,
            wants_room: false,
            pending: None,
        };
        self.n_open += 1;
        let slot = match self.slots.get_mut(self.free as usize) {
            Some(free) => {
                let next = free.unreleased;
                *free = stream;
                let slot = std::mem::replace(&mut self.free, next);
                self.ids[slot as usize] = id;
                slot
            }
            None => {
                if self.slots.is_empty() {
                    // Many connections never have more than one stream at a time.
                    self.slots.reserve_exact(1);
                }
                self.slots.push(stream);
                self.ids.push(id);
                (self.slots.len() - 1) as u32
            }
        };
        let key = StreamKey { slot, id };
        self.last = Some(key);
        key
    }

    /// The stream of an identifier that came from the peer.
    pub(super) fn find(&mut self, id: u32) -> Option<StreamKey> {
        if let Some(key) = self.last
            && key.id == id
            && self.ids.get(key.slot()) == Some(&id)
        {
            return Some(key);
        }
        let slot = self.beside_last(id).or_else(|| position(&self.ids, id))?;
        let key = StreamKey { slot: slot as u32, id };
        self.last = Some(key);
        Some(key)
    }

    /// The same, and what is known of it.
    #[inline]
    pub(super) fn find_mut(&mut self, id: u32) -> Option<(StreamKey, &mut Stream)> {
        let key = self.find(id)?;
        self.get_mut(key).map(|stream| (key, stream))
    }

    /// Streams that were opened one after the other often have slots side by side, and their DATA comes in the same order.
    fn beside_last(&self, id: u32) -> Option<usize> {
        let slot = self.last?.slot();
        [slot.wrapping_sub(1), slot + 1].into_iter().find(|slot| self.ids.get(*slot) == Some(&id))
    }

    pub(super) fn get(&self, key: StreamKey) -> Option<&Stream> {
        self.slots.get(key.slot()).filter(|stream| stream.id == key.id)
    }

    pub(super) fn get_mut(&mut self, key: StreamKey) -> Option<&mut Stream> {
        self.slots.get_mut(key.slot()).filter(|stream| stream.id == key.id)
    }

    /// Forgets a stream.
    pub(super) fn close(&mut self, key: StreamKey) -> Option<Closed> {
        let next = self.free;
        let stream = self.get_mut(key)?;
        stream.id = 0;
        stream.pending = None;
        let closed = Closed { unreleased: stream.unreleased, was_queued: stream.queued };
        stream.unreleased = next;
        self.ids[key.slot()] = 0;
        self.free = key.slot;
        self.n_open -= 1;
        Some(closed)
    }

    /// Gives memory back when no stream is open.
    pub(super) fn shrink(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Every open stream.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (StreamKey, &mut Stream)> {
        let open = self.slots.iter_mut().zip(0..).filter(|(stream, _)| stream.id != 0);
        open.map(|(stream, slot)| (StreamKey { slot, id: stream.id }, stream))
    }
}

/// Where `id` stands. In steps of eight without a branch, so that the compiler makes vectors of it.
fn position(ids: &[u32], id: u32) -> Option<usize> {
    let (chunks, rest) = ids.as_chunks::<8>();
    let found = chunks.iter().position(|chunk| chunk.iter().fold(false, |found, other| found | (*other == id)));
    let (from, among) = match found {
        Some(i) => (i * 8, &chunks[i][..]),
        None => (chunks.len() * 8, rest),
    };
    Some(from + among.iter().position(|other| *other == id)?)
}

/// Streams that are gone, as far as we remember them: frames for them may still be on their way.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// Reset streams and who did it, the newest last. Most connections have none.
    #[allow(clippy::box_collection, reason = "small while there is none")]
    reset: Option<Box<Vec<(u32, Resetter)>>>,
    reset_at: u8,
    done_at: u8,
    /// Streams that ended in order.
    done: [u32; Self::DONE_MAX],
}

/// Who reset a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resetter {
    Us,
    Peer,
}

/// How a stream that is gone went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Went {
    Reset(Resetter),
    Done,
    /// It was never opened, or is forgotten.
    Unknown,
}

impl Gone {
    /// More than a peer can have opened before it learns of our resets: `concurrent_streams_max`'s default.
    const RESET_MAX: usize = 200;
    const DONE_MAX: usize = 8;

    pub(super) fn remember_reset(&mut self, id: u32, by: Resetter) {
        let reset = self.reset.get_or_insert_default();
        if reset.len() < Self::RESET_MAX {
            reset.push((id, by));
        } else {
            reset[usize::from(self.reset_at)] = (id, by);
            self.reset_at = ((usize::from(self.reset_at) + 1) % Self::RESET_MAX) as u8;
        }
    }

    pub(super) fn remember_done(&mut self, id: u32) {
        self.done[usize::from(self.done_at)] = id;
        self.done_at = (self.done_at + 1) % Self::DONE_MAX as u8;
    }

    pub(super) fn find(&self, id: u32) -> Went {
        if let Some((_, by)) = self.reset.iter().flat_map(|reset| reset.iter()).find(|(known, _)| *known == id) {
            return Went::Reset(*by);
        }
        if self.done.contains(&id) { Went::Done } else { Went::Unknown }
    }
}
