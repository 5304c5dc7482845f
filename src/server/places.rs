//! The connections that are open: how many each worker has, and how many all may have together.
//!
//! What a connection takes of the process is a descriptor, so the limit is the process's. While there is no place, no listener accepts, and who comes waits in the
//! kernel. A place that is given back goes to whoever has waited longest, on whichever worker.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::http2::Violation;
use crate::server::Counters;

/// Clients come and go at a server that is full; it is logged no more often than this.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// The places of a server.
#[derive(Debug)]
pub(super) struct Places {
    max: usize,
    free: Semaphore,
    counters: Arc<Counters>,
    /// From when the last place was taken until a tenth of all are free again.
    is_full: AtomicBool,
    logged: Mutex<Option<Instant>>,
}

impl Places {
    /// So many. That they are all taken is counted.
    pub(super) fn new(max: usize, counters: Arc<Counters>) -> Arc<Self> {
        let max = max.min(Semaphore::MAX_PERMITS / 2);
        Arc::new(Self { max, free: Semaphore::new(max), counters, is_full: AtomicBool::new(false), logged: Mutex::default() })
    }

    /// Waits until there is a place, and leaves it.
    ///
    /// # Cancel safety
    ///
    /// Who comes back waits anew, behind all others.
    pub(super) async fn room(&self) {
        drop(self.free.acquire().await.expect("it is never closed"));
    }

    fn taken(&self) {
        if self.free.available_permits() > 0 || self.is_full.swap(true, Ordering::Relaxed) {
            return;
        }
        self.counters.count(Violation::Connections);
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if logged.is_none_or(|last| now.duration_since(last) >= LOG_PAUSE) {
            *logged = Some(now);
            tracing::warn!(
                "{} connections are open, which is the maximum: more clients wait in the kernel until one of them ends",
                self.max
            );
        }
    }

    fn given_back(&self) {
        self.free.add_permits(1);
        if self.free.available_permits() >= self.max.div_ceil(10) {
            self.is_full.store(false, Ordering::Relaxed);
        }
    }
}

/// The open connections of one worker, those that wait to be handed over to it among them.
#[derive(Debug)]
pub(super) struct Share {
    places: Arc<Places>,
    n_open: AtomicUsize,
}

impl Share {
    /// A worker's, of these places.
    pub(super) fn new(places: &Arc<Places>) -> Arc<Self> {
        Arc::new(Self { places: Arc::clone(places), n_open: AtomicUsize::new(0) })
    }

    /// Those of all workers.
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// How many there are.
    pub(super) fn n_open(&self) -> usize {
        self.n_open.load(Ordering::Relaxed)
    }

    /// A place for one more, when there is one.
    ///
    /// # Cancel safety
    ///
    /// As [`Places::room`].
    pub(super) async fn take(self: &Arc<Self>) -> Place {
        self.places.free.acquire().await.expect("it is never closed").forget();
        self.places.taken();
        self.take_beyond()
    }

    /// A place for one more, if there is one.
    pub(super) fn try_take(self: &Arc<Self>) -> Option<Place> {
        self.places.free.try_acquire().ok()?.forget();
        self.places.taken();
        Some(self.take_beyond())
    }

    /// A place more than there are: at a drain those who have connected are told to go elsewhere, and not refused. When it is given back it is there for others, who
    /// do not come any more.
    pub(super) fn take_beyond(self: &Arc<Self>) -> Place {
        self.n_open.fetch_add(1, Ordering::Relaxed);
        Place { share: Arc::clone(self) }
    }
}

/// The place of one connection. Dropped with it, however it ends.
#[derive(Debug)]
pub(super) struct Place {
    share: Arc<Share>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.share.n_open.fetch_sub(1, Ordering::Relaxed);
        self.share.places.given_back();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread;

    use futures_util::FutureExt as _;

    use super::*;

    fn shares<const N: usize>(max: usize) -> (Arc<Counters>, [Arc<Share>; N]) {
        let counters = Arc::new(Counters::new());
        let places = Places::new(max, Arc::clone(&counters));
        (counters, [(); N].map(|()| Share::new(&places)))
    }

    #[test]
    fn workers_share_the_places_and_each_counts_its_own() {
        let (_, [one, other]) = shares(3);
        let first = one.try_take().unwrap();
        let rest = [other.try_take().unwrap(), other.try_take().unwrap()];
        assert_eq!((one.n_open(), other.n_open()), (1, 2));
        assert!(one.try_take().is_none() && other.take().now_or_never().is_none() && one.places().room().now_or_never().is_none());
        drop(first);
        assert_eq!((one.n_open(), other.n_open()), (0, 2));
        // To look whether there is room takes none.
        (0..3).for_each(|_| other.places().room().now_or_never().unwrap());
        let _last = other.take().now_or_never().unwrap();
        assert_eq!((one.try_take().is_none(), other.n_open()), (true, 3));
        drop(rest);
        assert_eq!(other.n_open(), 1);
    }

    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn who_waits_is_woken_from_other_threads_one_for_each_place() {
        let (_, [one, other]) = shares(2);
        let held = [one.try_take().unwrap(), one.try_take().unwrap()];
        let woken = [(); 3].map(|()| Arc::new(Woken(AtomicBool::new(false))));
        let wakers = woken.clone().map(Waker::from);
        let mut contexts = wakers.each_ref().map(Context::from_waker);
        let (mut looks, mut takes, mut waits) = (pin!(other.places().room()), pin!(other.take()), pin!(one.take()));
        assert!(looks.as_mut().poll(&mut contexts[0]).is_pending());
        assert!(takes.as_mut().poll(&mut contexts[1]).is_pending());
        assert!(waits.as_mut().poll(&mut contexts[2]).is_pending());
        let [first, second] = held;
        thread::spawn(move || drop(first)).join().unwrap();
        let is_woken = || woken.each_ref().map(|woken| woken.0.load(Ordering::SeqCst));
        assert_eq!(is_woken(), [true, false, false], "in the order in which they came");
        // The place goes on to the next.
        assert!(looks.as_mut().poll(&mut contexts[0]).is_ready());
        assert_eq!(is_woken(), [true, true, false]);
        let Poll::Ready(taken) = takes.as_mut().poll(&mut contexts[1]) else { panic!("it has a place") };
        assert!(waits.as_mut().poll(&mut contexts[2]).is_pending());
        thread::spawn(move || drop(second)).join().unwrap();
        assert!(waits.as_mut().poll(&mut contexts[2]).is_ready());
        drop(taken);
    }

    #[test]
    fn there_are_never_more_than_places_however_many_threads_take_them() {
        const MAX: usize = 3;
        let (_, shares) = shares::<4>(MAX);
        let n_open = Arc::new(AtomicUsize::new(0));
        let threads = shares.map(|share| {
            let n_open = Arc::clone(&n_open);
            thread::spawn(move || {
                let mut n_taken = 0;
                while n_taken < 2000 {
                    let Some(place) = share.try_take() else { continue };
                    assert!(n_open.fetch_add(1, Ordering::SeqCst) < MAX);
                    n_taken += 1;
                    n_open.fetch_sub(1, Ordering::SeqCst);
                    drop(place);
                }
                share
            })
        });
        let shares = threads.map(|thread| thread.join().unwrap());
        assert!(shares.iter().all(|share| share.n_open() == 0));
        let all: Vec<_> = (0..MAX).map(|_| shares[0].try_take().expect("all were given back")).collect();
        assert!(shares[1].try_take().is_none() && all.len() == MAX);
    }

    #[test]
    fn that_all_are_taken_is_counted_once_until_a_tenth_is_free() {
        let (counters, [share]) = shares(20);
        let mut places: Vec<_> = (0..20).map(|_| share.try_take().unwrap()).collect();
        let n_full = || counters.get(Violation::Connections);
        assert_eq!(n_full(), 1);
        for _ in 0..10 {
            places.pop();
            places.push(share.try_take().unwrap());
        }
        assert_eq!(n_full(), 1, "one goes, and the next one comes");
        places.truncate(18);
        places.extend([share.try_take().unwrap(), share.try_take().unwrap()]);
        assert_eq!(n_full(), 2);
    }

    #[test]
    fn a_drain_has_a_place_for_everyone() {
        let (counters, [share]) = shares(1);
        let all = [share.take_beyond(), share.take_beyond(), share.take_beyond()];
        assert_eq!(share.n_open(), 3);
        drop(all);
        assert_eq!((share.n_open(), counters.get(Violation::Connections)), (0, 0));
    }
}
