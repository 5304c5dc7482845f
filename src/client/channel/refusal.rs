//! What a connection does whose server has refused a stream (REFUSED_STREAM; RFC 9113, 8.7): it opens no other until one of its streams has ended, which makes
//! room, or a moment has passed. So a server that has no room is not asked again and again for it, and one that had none for a moment is asked soon.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use loopswap_rt::{Sleep, sleep};

/// The moment. 20 ms: gRFC A6 wants the call made again at once, and this is little beside a call to a server that is full; and of a server that refuses
/// everything it asks fifty times a second at most.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether a refusal still stands.
#[derive(Default)]
pub(super) struct Refusal {
    pause: Option<Sleep>,
}

impl Refusal {
    /// A stream was refused.
    pub(super) fn came(&mut self) {
        self.pause = Some(sleep(PAUSE));
    }

    /// A stream has ended otherwise.
    pub(super) fn has_room(&mut self) {
        self.pause = None;
    }

    /// Whether no stream is to be opened, as far as is known.
    pub(super) fn stands(&self) -> bool {
        self.pause.is_some()
    }

    /// Whether no stream is to be opened now; the task is woken when that is over.
    pub(super) fn poll_stands(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(pause) = &mut self.pause
            && Pin::new(pause).poll(cx).is_ready()
        {
            self.pause = None;
        }
        self.stands()
    }
}
