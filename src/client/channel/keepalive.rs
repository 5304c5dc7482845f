//! Whether a silent server is still there: gRFC A8.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::{Duration, Instant};

use loopswap_rt::{Sleep, deadline_after, now, sleep};

use crate::client::channel::endpoint;

/// When a server was heard, and asked.
pub(super) struct Keepalive {
    wanted: Option<Watch>,
}

struct Watch {
    how: endpoint::Keepalive,
    /// When the server was last heard, or had last no reason to say anything.
    heard: Instant,
    asked: Option<Instant>,
    /// Left armed for too early a time rather than armed anew at each receive.
    timer: Option<Sleep>,
}

/// What is to be done.
pub(super) enum Asked {
    Nothing,
    /// Send a PING.
    IsItThere,
    /// It has not answered within this time.
    InVain(Duration),
}

impl Keepalive {
    pub(super) fn new(how: Option<endpoint::Keepalive>) -> Self {
        Self { wanted: how.map(|how| Watch { how, heard: now(), asked: None, timer: None }) }
    }

    /// Anything came: that is as good as an answer.
    pub(super) fn heard(&mut self) {
        if let Some(watch) = &mut self.wanted {
            watch.heard = now();
            // The timer was for the answer's lateness, which may be later than the next question.
            if watch.asked.take().is_some() {
                watch.timer = None;
            }
        }
    }

    /// What is due. `has_calls`: the server has something to do.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, has_calls: bool) -> Asked {
        let Some(watch) = &mut self.wanted else { return Asked::Nothing };
        if !has_calls && !watch.how.while_idle {
            watch.heard = now();
            (watch.asked, watch.timer) = (None, None);
            return Asked::Nothing;
        }
        loop {
            let due = match watch.asked {
                None => deadline_after(watch.heard, watch.how.interval),
                Some(asked) => deadline_after(asked, watch.how.timeout),
            };
            let timer = watch.timer.get_or_insert_with(|| sleep(due.saturating_duration_since(now())));
            if Pin::new(timer).poll(cx).is_pending() {
                return Asked::Nothing;
            }
            watch.timer = None;
            let now = now();
            if now < due {
                continue;
            }
            if watch.asked.is_some() {
                return Asked::InVain(watch.how.timeout);
            }
            watch.asked = Some(now);
            // Armed by the next look, which the caller takes before it sleeps.
            return Asked::IsItThere;
        }
    }
}
