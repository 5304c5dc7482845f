//! How much a connection keeps of messages that are not whole, and how much it does for them in one of its turns.
//!
//! Bytes of such a message are released as they come, so that a message may be larger than a window; so windows do not bound the sum of them, and this does.
//! A message that arrives in one piece is none of its business.

use std::cell::Cell;

use tonic::Status;

/// Steps of messages that are being [inflated](super::inflation), of all calls together, in one turn of their connection.
const INFLATION_STEPS_A_TURN_MAX: usize = 1;

/// What the calls of a connection keep of messages that are not whole, together.
#[derive(Debug)]
pub(crate) struct Partials {
    n_bytes: Cell<usize>,
    n_bytes_max: usize,
    n_refused: Cell<usize>,
    /// Outside the connection's turns, in tasks of handlers, there is no limit.
    n_steps_left: Cell<usize>,
}

impl Partials {
    /// At most so many bytes ([`Limits::partial_messages_bytes_max`](crate::Limits::partial_messages_bytes_max)).
    pub(crate) fn new(n_bytes_max: usize) -> Self {
        Self { n_bytes: Cell::new(0), n_bytes_max, n_refused: Cell::new(0), n_steps_left: Cell::new(usize::MAX) }
    }

    /// How often a call was refused since this was last asked.
    pub(crate) fn take_refused(&self) -> usize {
        self.n_refused.take()
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
        if sum > self.n_bytes_max {
            self.n_refused.set(self.n_refused.get() + 1);
            let text = format!("the connection's messages that are not whole are larger than the limit of {} together", self.n_bytes_max);
            return Err(Status::resource_exhausted(text));
        }
        self.n_bytes.set(sum);
        Ok(())
    }

    /// So many of them are whole, or gone.
    pub(super) fn give_back(&self, n_bytes: usize) {
        self.n_bytes.set(self.n_bytes.get() - n_bytes);
    }

    #[cfg(test)]
    pub(super) fn n_bytes(&self) -> usize {
        self.n_bytes.get()
    }
}
