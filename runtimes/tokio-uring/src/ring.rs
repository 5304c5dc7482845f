//! Operations on the ring: submitting them, and seeing each of them through to its completion.
//!
//! tokio-uring 0.5 leaves three holes that this file closes:
//!
//! * An operation that is dropped is forgotten, and what its completion brings is lost: a file descriptor, or the number of a buffer. Those that
//!   bring something are handed to [`Ring::see_through`] instead of being dropped.
//! * When its runtime is dropped, it frees the buffers of forgotten operations *before* the kernel has let go of them. [`Ring::finish`] waits
//!   until no operation is left, while the runtime still turns.
//! * Entries are handed to the kernel only when the thread is about to sleep, so tasks that are always ready would starve all I/O:
//!   [`Ring::submit_if_starved`].

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_util::stream::{FuturesUnordered, StreamExt};
use io_uring::{cqueue, opcode, squeue};
use tokio::runtime::{Handle, RuntimeMetrics};
use tokio_uring::{InFlightOneshot, OneshotOutputTransform, UnsubmittedOneshot};

use crate::buffers::Buffers;
use crate::timer::Timers;

/// Turns of the loop without a park after which waiting entries are handed over. A turn is up to 61 polls of tasks.
const TURNS_WITHOUT_PARK_MAX: u32 = 8;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Ring>>> = const { RefCell::new(None) };
}

/// The ring of the current worker: what its operations share.
pub(crate) struct Ring {
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) timers: Timers,
    /// Operations whose data the kernel may touch.
    under_way: Rc<UnderWay>,
    /// Futures of connections and descriptors that are being closed.
    closing: RefCell<FuturesUnordered<Pin<Box<dyn Future<Output = ()>>>>>,
    janitor: RefCell<Option<Waker>>,
    submissions: Submissions,
    metrics: RuntimeMetrics,
}

/// What [`Ring::submit_if_starved`] goes by.
#[derive(Default)]
struct Submissions {
    /// The ring's number of entries.
    capacity: u32,
    /// Whether entries may wait that no park has handed over.
    waiting: Cell<bool>,
    parks_seen: Cell<u64>,
    turns_without_park: Cell<u32>,
}

/// Leaves the ring when the worker ends.
pub(crate) struct Entered(Rc<Ring>);

impl std::ops::Deref for Entered {
    type Target = Rc<Ring>;

    fn deref(&self) -> &Rc<Ring> {
        &self.0
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.take();
    }
}

impl Ring {
    /// Makes the ring of the tokio-uring runtime that runs this thread the current one.
    pub(crate) fn enter(entries: u32, buffers: Rc<Buffers>) -> Entered {
        let ring = Rc::new(Self {
            buffers,
            timers: Timers::default(),
            under_way: Rc::default(),
            closing: RefCell::default(),
            janitor: RefCell::default(),
            submissions: Submissions { capacity: entries, ..Submissions::default() },
            metrics: Handle::current().metrics(),
        });
        CURRENT.set(Some(Rc::clone(&ring)));
        ring.buffers.provide_all();
        Entered(ring)
    }

    /// The ring of this thread's worker.
    pub(crate) fn current() -> Rc<Self> {
        Self::try_current().expect("tokio-uring's sockets, files and timers live on the worker that made them")
    }

    pub(crate) fn try_current() -> Option<Rc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Polls `future` until it is done, even when the worker ends.
    pub(crate) fn see_through(&self, future: impl Future<Output = ()> + 'static) {
        self.closing.borrow_mut().push(Box::pin(future));
        if let Some(janitor) = self.janitor.take() {
            janitor.wake();
        }
    }

    /// The task that polls what [`see_through`](Self::see_through) was given.
    pub(crate) fn janitor(self: &Rc<Self>) -> impl Future<Output = ()> + 'static {
        let ring = Rc::clone(self);
        poll_fn(move |cx| {
            ring.janitor.replace(Some(cx.waker().clone()));
            while let Poll::Ready(Some(())) = ring.closing.borrow_mut().poll_next_unpin(cx) {}
            Poll::Pending
        })
    }

    /// The task that fires this worker's timers.
    pub(crate) fn timekeeper(self: &Rc<Self>) -> impl Future<Output = ()> + 'static {
        let ring = Rc::clone(self);
        poll_fn(move |cx| ring.timers.poll(cx))
    }

    /// Waits until the kernel has let go of everything. The tasks have been dropped.
    pub(crate) async fn finish(&self) {
        poll_fn(|cx| {
            while let Poll::Ready(Some(())) = self.closing.borrow_mut().poll_next_unpin(cx) {}
            if self.closing.borrow().is_empty() { self.under_way.poll_none(cx) } else { Poll::Pending }
        })
        .await;
    }

    /// Called at each turn of the loop. When it has turned often without a park, which would have handed the entries over, the submission queue is
    /// filled up: that makes tokio-uring hand it over.
    pub(crate) fn submit_if_starved(&self) {
        let Submissions { capacity, waiting, parks_seen, turns_without_park } = &self.submissions;
        let parks = self.metrics.worker_park_count(0);
        if parks_seen.replace(parks) != parks {
            waiting.set(false);
        }
        if !waiting.get() {
            turns_without_park.set(0);
            return;
        }
        turns_without_park.set(turns_without_park.get() + 1);
        if turns_without_park.get() >= TURNS_WITHOUT_PARK_MAX {
            for _ in 0..=*capacity {
                drop(submit((), opcode::Nop::new().build()));
            }
            turns_without_park.set(0);
            waiting.set(false);
        }
    }

    fn begin(&self) -> Held {
        self.submissions.waiting.set(true);
        self.under_way.begin()
    }
}

/// Counts the operations that the kernel has not completed.
#[derive(Default)]
struct UnderWay {
    count: Cell<usize>,
    at_none: Cell<Option<Waker>>,
}

impl UnderWay {
    fn begin(self: &Rc<Self>) -> Held {
        self.count.set(self.count.get() + 1);
        Held(Rc::clone(self))
    }

    fn poll_none(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.count.get() == 0 {
            return Poll::Ready(());
        }
        self.at_none.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

/// One operation under way. It lives with the operation's data, which tokio-uring keeps until the completion.
struct Held(Rc<UnderWay>);

impl Drop for Held {
    fn drop(&mut self) {
        let left = self.0.count.get() - 1;
        self.0.count.set(left);
        if left == 0
            && let Some(waker) = self.0.at_none.take()
        {
            waker.wake();
        }
    }
}

/// An operation in the ring: a future of its completion. Dropping it forgets the completion; `D`, the data that the kernel works on, is kept
/// until then.
pub(crate) type Op<D> = InFlightOneshot<Data<D>, Complete<D>>;

/// The data of an operation.
pub(crate) struct Data<D> {
    data: D,
    _held: Option<Held>,
}

/// What the kernel says.
pub(crate) struct Completion<D> {
    pub(crate) result: io::Result<u32>,
    /// The buffer that the kernel chose, where it was asked to.
    pub(crate) buffer: Option<u16>,
    pub(crate) data: D,
}

/// Makes a [`Completion`] of a completion entry.
pub(crate) struct Complete<D>(PhantomData<D>);

impl<D> Unpin for Complete<D> {}

impl<D: 'static> OneshotOutputTransform for Complete<D> {
    type Output = Completion<D>;
    type StoredData = Data<D>;

    fn transform_oneshot_output(self, stored: Data<D>, entry: cqueue::Entry) -> Completion<D> {
        let result = match entry.result() {
            n if n >= 0 => Ok(n.unsigned_abs()),
            errno => Err(io::Error::from_raw_os_error(-errno)),
        };
        Completion { result, buffer: cqueue::buffer_select(entry.flags()), data: stored.data }
    }
}

/// Puts an operation into the ring. `entry` may point into what `data` owns on the heap, and nowhere else.
///
/// # Panics
///
/// Outside a worker.
pub(crate) fn submit<D: 'static>(data: D, entry: squeue::Entry) -> Op<D> {
    let held = Ring::current().begin();
    UnsubmittedOneshot::new(Data { data, _held: Some(held) }, Complete(PhantomData), entry).submit()
}

/// [`submit`], for an operation that the kernel may still hold when the worker ends: one without memory or descriptors.
pub(crate) fn submit_unawaited<D: 'static>(data: D, entry: squeue::Entry) -> Op<D> {
    Ring::current().submissions.waiting.set(true);
    UnsubmittedOneshot::new(Data { data, _held: None }, Complete(PhantomData), entry).submit()
}
