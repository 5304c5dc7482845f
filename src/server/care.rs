//! How long a connection may be idle, and how old it may grow (gRFC A9): the same for both engines. It knows times alone; what is to be done, the engine does.

use std::time::Instant;

use loopswap_rt::deadline_after;

use crate::http2::{Limits, Violation};
use crate::jitter::{jittered, random};

/// By how much a connection's age differs from [`Limits::connection_age_max`], either way: gRFC A9 asks for a tenth.
const AGE_JITTER: f64 = 0.1;

/// What is known of one connection's times.
#[derive(Debug)]
pub(crate) struct Care {
    /// Boxed, because few servers limit it.
    age: Option<Box<Age>>,
}

#[derive(Clone, Copy, Debug)]
enum Age {
    /// It is too old then.
    Young(Instant),
    /// It is too old, and its calls have had their time then.
    Old(Instant),
}

/// What is to be done with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Its peer is asked to go elsewhere: [`Violation::Idle`] or [`Violation::Age`].
    Drain(Violation),
    /// It is closed, whatever is under way: [`Violation::AgeGrace`].
    Cut(Violation),
}

impl Care {
    /// For a connection that begins now.
    pub(crate) fn new(limits: &Limits, now: Instant) -> Self {
        Self::with_chance(limits, now, random())
    }

    /// `random` is between 0 and 1.
    fn with_chance(limits: &Limits, now: Instant, random: f64) -> Self {
        let young = |age| Box::new(Age::Young(deadline_after(now, jittered(age, AGE_JITTER, random))));
        Self { age: limits.connection_age_max.map(young) }
    }

    /// What is due now. `idle_since`: since when it has had no call; `None` when it has some, or is drained already.
    pub(crate) fn due(&mut self, limits: &Limits, now: Instant, idle_since: Option<Instant>) -> Option<Due> {
        match self.age.as_deref() {
            Some(Age::Young(until)) if *until <= now => {
                self.age = limits.connection_age_grace.map(|grace| Box::new(Age::Old(deadline_after(now, grace))));
                return Some(Due::Drain(Violation::Age));
            }
            Some(Age::Old(until)) if *until <= now => return Some(Due::Cut(Violation::AgeGrace)),
            _ => {}
        }
        let is_idle_too_long = idle_since.is_some() && Self::idle_at(limits, now, idle_since).is_some_and(|at| at <= now);
        is_idle_too_long.then_some(Due::Drain(Violation::Idle))
    }

    /// When something may be due next: not later, perhaps earlier.
    pub(crate) fn next(&self, limits: &Limits, now: Instant, idle_since: Option<Instant>) -> Option<Instant> {
        let age_at = self.age.as_deref().map(|(Age::Young(until) | Age::Old(until))| *until);
        [age_at, Self::idle_at(limits, now, idle_since)].into_iter().flatten().min()
    }

    /// When it has been idle for too long; of one with calls, when that could be if they ended now.
    fn idle_at(limits: &Limits, now: Instant, idle_since: Option<Instant>) -> Option<Instant> {
        limits.connection_idle_max.map(|time| deadline_after(idle_since.unwrap_or(now), time))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn limits(idle_max: Option<Duration>, age_max: Option<Duration>, age_grace: Option<Duration>) -> Limits {
        Limits { connection_idle_max: idle_max, connection_age_max: age_max, connection_age_grace: age_grace, ..Limits::default() }
    }

    #[test]
    fn by_default_nothing_is_ever_due() {
        let (limits, now) = (Limits::default(), Instant::now());
        let mut care = Care::new(&limits, now);
        assert_eq!(care.next(&limits, now, Some(now)), None);
        assert_eq!(care.due(&limits, now + MINUTE * 1_000_000, Some(now)), None);
    }

    #[test]
    fn ages_differ_by_a_tenth_either_way() {
        let (limits, now) = (limits(None, Some(MINUTE), None), Instant::now());
        let age = |care: Care| care.next(&limits, now, None).map(|at| at - now);
        let ages = [0.0, 0.5, 1.0].map(|random| age(Care::with_chance(&limits, now, random)).map(|age| age.as_millis()));
        assert_eq!(ages, [Some(54_000), Some(60_000), Some(66_000)]);
        let drawn: Vec<_> = (0..1000).map(|_| age(Care::new(&limits, now)).unwrap()).collect();
        assert!(drawn.iter().all(|age| (MINUTE * 9 / 10..=MINUTE * 11 / 10).contains(age)));
        assert!(drawn.iter().min() < drawn.iter().max());
    }

    #[test]
    fn an_old_connection_is_drained_and_cut_when_its_grace_is_over() {
        let (limits, start) = (limits(None, Some(MINUTE), Some(MINUTE / 2)), Instant::now());
        let mut care = Care::with_chance(&limits, start, 0.5);
        assert_eq!(care.due(&limits, start + MINUTE * 99 / 100, None), None);
        // The worker was late; the grace is whole none the less.
        let old = start + MINUTE * 2;
        assert_eq!(care.due(&limits, old, Some(start)), Some(Due::Drain(Violation::Age)));
        assert_eq!(care.next(&limits, old, None), Some(old + MINUTE / 2));
        assert_eq!(care.due(&limits, old + MINUTE / 3, None), None);
        assert_eq!(care.due(&limits, old + MINUTE / 2, None), Some(Due::Cut(Violation::AgeGrace)));
    }

    #[test]
    fn without_a_grace_calls_have_all_the_time() {
        let (limits, start) = (limits(None, Some(MINUTE), None), Instant::now());
        let mut care = Care::with_chance(&limits, start, 0.5);
        assert_eq!(care.due(&limits, start + MINUTE, None), Some(Due::Drain(Violation::Age)));
        assert_eq!(care.next(&limits, start + MINUTE, None), None);
        assert_eq!(care.due(&limits, start + MINUTE * 1_000_000, None), None);
    }

    #[test]
    fn idleness_counts_from_the_last_call() {
        let (limits, start) = (limits(Some(MINUTE), None, None), Instant::now());
        let mut care = Care::new(&limits, start);
        assert_eq!(care.next(&limits, start, Some(start)), Some(start + MINUTE));
        // Busy: it could have ended just now.
        let later = start + MINUTE * 3;
        assert_eq!(care.due(&limits, later, None), None);
        assert_eq!(care.next(&limits, later, None), Some(later + MINUTE));
        assert_eq!(care.due(&limits, later + MINUTE * 2 / 3, Some(later)), None);
        assert_eq!(care.due(&limits, later + MINUTE, Some(later)), Some(Due::Drain(Violation::Idle)));
    }
}
