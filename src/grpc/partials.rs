//! How much is kept of messages that are not whole, of a connection and of all connections of a worker; and how much a connection does for them in one of its turns.
//!
//! Bytes of such a message are released as they come, so that a message may be larger than a window; so windows do not bound the sum of them, and this does.
//! A message that arrives in one piece is none of its business.

use std::cell::Cell;
use std::iter;
use std::rc::Rc;

use tonic::Status;

use crate::http2::Violation;

/// Steps of messages that are being [inflated](super::inflation), of all calls together, in one turn of their connection.
const INFLATION_STEPS_A_TURN_MAX: usize = 1;

/// What the calls of a connection keep of messages that are not whole, together.
#[derive(Debug)]
pub(crate) struct Partials {
    n_bytes: Cell<usize>,
    of_worker: Rc<WorkerPartials>,
    n_refused: Cell<Refused>,
    /// Outside the connection's turns, in tasks of handlers, there is no limit.
    n_steps_left: Cell<usize>,
}

/// The same of all connections of a worker, and the limits of both.
#[derive(Debug)]
pub(crate) struct WorkerPartials {
    n_bytes: Cell<usize>,
    n_bytes_max: usize,
    n_bytes_of_connection_max: usize,
}

/// Calls that were refused, by whose limit was reached.
#[derive(Clone, Copy, Debug, Default)]
struct Refused {
    by_connection: u32,
    by_worker: u32,
}

impl WorkerPartials {
    /// At most so many bytes ([`Overload::partial_messages_bytes_max`](crate::Overload::partial_messages_bytes_max)), and so many of each connection
    /// ([`Limits::partial_messages_bytes_max`](crate::Limits::partial_messages_bytes_max)).
    pub(crate) fn new(n_bytes_max: usize, n_bytes_of_connection_max: usize) -> Rc<Self> {
        Rc::new(Self { n_bytes: Cell::new(0), n_bytes_max, n_bytes_of_connection_max })
    }
}

impl Partials {
    /// Of a connection of this worker.
    pub(crate) fn new(of_worker: Rc<WorkerPartials>) -> Self {
        Self { n_bytes: Cell::new(0), of_worker, n_refused: Cell::default(), n_steps_left: Cell::new(usize::MAX) }
    }

    /// The limits for which calls were refused since this was last asked, one for each call.
    pub(crate) fn take_refused(&self) -> impl Iterator<Item = Violation> + use<> {
        let Refused { by_connection, by_worker } = self.n_refused.take();
        iter::repeat_n(Violation::PartialMessages, by_connection as usize)
            .chain(iter::repeat_n(Violation::WorkerPartialMessages, by_worker as usize))
    }

    /// Tells whether the connection has its turn.
    pub(crate) fn set_in_turn(&self, in_turn: bool) {
        self.n_steps_left.set(if in_turn { INFLATION_STEPS_A_TURN_MAX } else { usize::MAX });
    }

    /// Whether a message may be inflated a step further, which is counted.
    pub(super) fn take_step(&self) -> bool {
        let left = self.n_steps_left.get();
        self.n_steps_left.set(left.saturating_sub(1));
        left > 0
    }

    /// Counts so many bytes more.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED when they are too many; they are not counted then.
    pub(super) fn keep(&self, n_bytes: usize) -> Result<(), Status> {
        let sum = self.n_bytes.get() + n_bytes;
        let sum_of_worker = self.of_worker.n_bytes.get() + n_bytes;
        let mut refused = self.n_refused.get();
        let (whose, max) = if sum > self.of_worker.n_bytes_of_connection_max {
            refused.by_connection += 1;
            ("connection", self.of_worker.n_bytes_of_connection_max)
        } else if sum_of_worker > self.of_worker.n_bytes_max {
            refused.by_worker += 1;
            ("worker", self.of_worker.n_bytes_max)
        } else {
            self.n_bytes.set(sum);
            self.of_worker.n_bytes.set(sum_of_worker);
            return Ok(());
        };
        self.n_refused.set(refused);
        let text = format!("the {whose}'s messages that are not whole are larger than the limit of {max} bytes together");
        Err(Status::resource_exhausted(text))
    }

    /// So many of them are whole, or gone.
    pub(super) fn give_back(&self, n_bytes: usize) {
        self.n_bytes.set(self.n_bytes.get() - n_bytes);
        self.of_worker.n_bytes.set(self.of_worker.n_bytes.get() - n_bytes);
    }

    #[cfg(test)]
    pub(super) fn n_bytes(&self) -> usize {
        self.n_bytes.get()
    }
}
