//! What is logged about peers, who can cause as many lines as they like: of each kind a few a minute, and then how many more there were. Counters count all.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, Instant};

/// Lines of a kind that a worker logs in [`MINUTE`], which begins with the first of them.
const LINES_A_MINUTE_MAX: u32 = 10;

const MINUTE: Duration = Duration::from_secs(60);

/// Of what there may be many lines.
#[derive(Clone, Copy, Debug)]
pub(crate) enum About {
    /// Connections without a handshake.
    NoHandshake,
    /// Connections that broke off, or were.
    Broken,
    /// Calls that were refused: a worker had enough, or pages of their origin may not call.
    Refused,
}

impl About {
    const ALL: [Self; 3] = [Self::NoHandshake, Self::Broken, Self::Refused];

    fn name(self) -> &'static str {
        match self {
            Self::NoHandshake => "connections without a handshake",
            Self::Broken => "connections that broke off",
            Self::Refused => "calls refused",
        }
    }
}

/// The lines of one worker.
#[derive(Debug, Default)]
pub(crate) struct PeerLog {
    kinds: [Cell<Window>; About::ALL.len()],
}

/// What there was of a kind since its minute began.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    since: Option<Instant>,
    n_lines: u32,
    n_untold: u64,
}

impl PeerLog {
    /// Logs a line, if the minute has room for one.
    pub(crate) fn say(&self, about: About, now: Instant, log: impl FnOnce()) {
        let cell = &self.kinds[about as usize];
        if is_over(cell.get(), now) {
            tell(about, cell.take(), now);
        }
        let mut window = cell.get();
        window.since = window.since.or(Some(now));
        if window.n_lines < LINES_A_MINUTE_MAX {
            window.n_lines += 1;
            log();
        } else {
            window.n_untold += 1;
        }
        cell.set(window);
    }

    /// Tells what minutes that are over had more. To be called now and then.
    pub(super) fn tell_minutes(&self, now: Instant) {
        self.tell(now, |window| is_over(window, now));
    }

    /// Tells all that was not told, at the end.
    pub(super) fn tell_rest(&self, now: Instant) {
        self.tell(now, |_| true);
    }

    fn tell(&self, now: Instant, which: impl Fn(Window) -> bool) {
        for about in About::ALL {
            let cell = &self.kinds[about as usize];
            if which(cell.get()) {
                tell(about, cell.take(), now);
            }
        }
    }
}

fn is_over(window: Window, now: Instant) -> bool {
    window.since.is_some_and(|since| now.saturating_duration_since(since) >= MINUTE)
}

fn tell(about: About, window: Window, now: Instant) {
    if let Window { since: Some(since), n_untold: n @ 1.., .. } = window {
        let seconds = now.saturating_duration_since(since).as_secs().max(1);
        tracing::info!("{about}: … and {n} more of these in the last {seconds} s");
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_so_many_lines_of_a_kind_and_the_next_begins_anew() {
        let log = PeerLog::default();
        let start = Instant::now();
        let n_lines = Cell::new(0);
        let say = |about, seconds: u64| log.say(about, start + Duration::from_secs(seconds), || n_lines.set(n_lines.get() + 1));
        (0..1000).for_each(|_| say(About::Broken, 0));
        assert_eq!(n_lines.take(), LINES_A_MINUTE_MAX);
        // Kinds do not take each other's room.
        say(About::NoHandshake, 0);
        assert_eq!(n_lines.take(), 1);
        say(About::Broken, 59);
        assert_eq!((n_lines.take(), log.kinds[About::Broken as usize].get().n_untold), (0, 991));
        log.tell_minutes(start + Duration::from_secs(59));
        assert_eq!(log.kinds[About::Broken as usize].get().n_untold, 991, "not before the minute is over");
        (0..1000).for_each(|_| say(About::Broken, 60));
        assert_eq!((n_lines.take(), log.kinds[About::Broken as usize].get().n_untold), (LINES_A_MINUTE_MAX, 990));
        log.tell_minutes(start + Duration::from_secs(120));
        assert!(log.kinds[About::Broken as usize].get().since.is_none(), "told by the tick");
        log.tell_rest(start + Duration::from_secs(120));
        assert!(log.kinds.iter().all(|window| window.get().since.is_none()));
    }
}
