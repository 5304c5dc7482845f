//! Time: sleeps are never early, forgotten when dropped, and as many and as long as one likes.

use std::cell::{Cell, RefCell};
use std::fs;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use loopswap_rt::{Elapsed, Runtime, Sleep, Worker, sleep, timeout};

use crate::peer::peer;
use crate::support::{BOUND, Signal, panic_of, poll_once, within, yield_now};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// No sleep is shorter than asked for, by std's clock.
pub async fn never_early<R: Runtime>(rt: R) {
    let below_a_millisecond = [0, 1, 999, 1_000, 50_000, 100_000, 500_000, 999_999, 1_000_001, 1_999_999].map(Duration::from_nanos);
    let durations = below_a_millisecond.into_iter().chain((1..=20).map(ms));
    for duration in durations {
        let started = Instant::now();
        sleep(duration).await;
        assert!(started.elapsed() >= duration, "{duration:?} took {:?}", started.elapsed());

        let deadline = Instant::now() + duration;
        within("a short sleep", rt.sleep_until(deadline)).await;
        assert!(Instant::now() >= deadline, "{duration:?} was over {:?} early", deadline - Instant::now());
    }
}

/// The first sleep of a fresh loop is as good as any: 10 ms take less than 25, at least where the machine is not too busy.
pub fn first_sleep<R: Runtime>(rt: R) {
    let first_sleep = || async {
        let started = Instant::now();
        sleep(ms(10)).await;
        started.elapsed()
    };
    let took: Vec<_> = (0..10).map(|_| rt.run(&Worker::new(0), first_sleep).unwrap()).collect();
    assert!(took.iter().any(|took| *took < ms(25)), "on fresh loops, 10 ms took {took:?}");
}

/// A sleep of no time is over soon.
pub async fn zero_sleep<R: Runtime>(_: R) {
    for _ in 0..100 {
        within("no time at all", sleep(Duration::ZERO)).await;
    }
}

/// A deadline that has passed is ready at the first poll.
pub async fn past_deadline<R: Runtime>(rt: R) {
    let now = rt.now();
    for ago in [Duration::ZERO, ms(1), ms(1000)] {
        let deadline = now.checked_sub(ago).unwrap();
        // By the loop's own clock it has passed, be it by a nanosecond.
        while rt.now() <= deadline {
            std::hint::spin_loop();
        }
        assert!(poll_once(pin!(rt.sleep_until(deadline))).await.is_ready(), "{ago:?} ago");
    }
}

/// Sleeps end in the order of their deadlines, not of their making.
pub async fn in_the_order_of_deadlines<R: Runtime>(rt: R) {
    let ended = Rc::new(RefCell::new(Vec::new()));
    let all = Signal::default();
    let now = rt.now();
    for wanted in [60_u64, 20, 100, 40, 80] {
        let (ended, all, deadline) = (Rc::clone(&ended), all.clone(), now + ms(wanted));
        let sleep = rt.sleep_until(deadline);
        rt.spawn(async move {
            sleep.await;
            ended.borrow_mut().push(wanted);
            if ended.borrow().len() == 5 {
                all.raise();
            }
        });
    }
    within("the sleeps", all.wait()).await;
    assert_eq!(*ended.borrow(), [20, 40, 60, 80, 100]);
}

/// A thousand sleeps at once, none of them early, all of them over in the end.
pub async fn a_thousand_at_once<R: Runtime>(rt: R) {
    const SLEEPS: u64 = 1000;
    let left = Rc::new(Cell::new(SLEEPS));
    let all = Signal::default();
    for n in 0..SLEEPS {
        let (left, all, deadline) = (Rc::clone(&left), all.clone(), Instant::now() + ms(n % 50));
        let sleep = rt.sleep_until(deadline);
        rt.spawn(async move {
            sleep.await;
            assert!(Instant::now() >= deadline);
            left.set(left.get() - 1);
            if left.get() == 0 {
                all.raise();
            }
        });
    }
    within("a thousand sleeps", all.wait()).await;
}

/// Dropped sleeps leave nothing behind: no memory while the loop goes on, no waiting when it ends.
pub fn dropped_sleeps<R: Runtime>(rt: R) {
    const LONG: Duration = Duration::from_secs(600);
    let started = Instant::now();
    rt.run(&Worker::new(0), || async {
        drop_sleeps(LONG, 10_000).await;
        let _ballast = use_up_free_memory();
        let before = resident_kib();
        drop_sleeps(LONG, 200_000).await;
        let grown = resident_kib().saturating_sub(before);
        assert!(grown < 4096, "200,000 dropped sleeps left {grown} KiB behind");
    })
    .unwrap();
    assert!(started.elapsed() < LONG, "the loop waited for sleeps that were dropped");
}

async fn drop_sleeps(duration: Duration, sleeps: usize) {
    for n in 0..sleeps {
        assert!(poll_once(pin!(sleep(duration))).await.is_pending());
        if n % 100 == 0 {
            yield_now().await;
        }
    }
    sleep(ms(1)).await;
}

/// Allocates until the process must grow. Before that, what leaks would go unseen into memory that earlier cases gave back to the allocator.
fn use_up_free_memory() -> Vec<Vec<u8>> {
    let before = resident_kib();
    let mut ballast = Vec::new();
    while resident_kib() < before + 8192 {
        ballast.extend((0..10_000).map(|_| vec![1; 64]));
    }
    ballast
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says how much is resident");
    resident.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Deadlines that are ages away are neither an overflow nor over.
pub async fn far_future<R: Runtime>(rt: R) {
    let mut ages = pin!(sleep(Duration::MAX));
    let mut century = pin!(rt.sleep_until(Instant::now() + Duration::from_secs(100 * 365 * 86_400)));
    assert!(poll_once(ages.as_mut()).await.is_pending());
    assert!(poll_once(century.as_mut()).await.is_pending());
    sleep(ms(5)).await;
    assert!(poll_once(ages).await.is_pending());
    assert!(poll_once(century).await.is_pending());
    assert_eq!(timeout(Duration::MAX, async { 7 }).await, Ok(7));
}

/// A sleep that moves to another task wakes that one.
pub async fn wakes_who_polled_last<R: Runtime>(rt: R) {
    let mut sleep = Box::pin(rt.sleep_until(Instant::now() + ms(10)));
    assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(poll_once(sleep.as_mut()).await.is_pending());
    let ended = Signal::default();
    let moved = ended.clone();
    rt.spawn(async move {
        sleep.await;
        moved.raise();
    });
    within("the sleep in its new task", ended.wait()).await;
}

/// A short sleep that begins while the loop is parked for a long one is not delayed by that.
pub async fn short_beside_long<R: Runtime>(rt: R) {
    const LONG: Duration = Duration::from_secs(3600);
    let mut long: Vec<_> = (0..100).map(|n| Box::pin(rt.sleep_until(Instant::now() + LONG + ms(n)))).collect();
    for long in &mut long {
        assert!(poll_once(long.as_mut()).await.is_pending());
    }
    for wanted in [1, 5, 20] {
        within("a peer", peer(|| ())).await;
        within("a short sleep", sleep(ms(wanted))).await;
    }
    for long in &mut long {
        assert!(poll_once(long.as_mut()).await.is_pending());
    }
}

/// The loop's clock never goes back, and keeps up with its sleeps.
pub async fn now_goes_on<R: Runtime>(rt: R) {
    let mut last = rt.now();
    for _ in 0..1000 {
        let now = rt.now();
        assert!(now >= last);
        last = now;
    }
    sleep(ms(3)).await;
    assert!(loopswap_rt::now() >= last + ms(3));
}

/// A timeout gives the value when that is there in time, and otherwise says that the time is over.
pub async fn timeouts<R: Runtime>(_: R) {
    assert_eq!(timeout(BOUND, async { 1 }).await, Ok(1));
    assert_eq!(timeout(Duration::ZERO, async { 2 }).await, Ok(2), "the value comes first");
    assert_eq!(timeout(BOUND, async { sleep(ms(1)).await }).await, Ok(()));
    let started = Instant::now();
    assert_eq!(timeout(ms(5), std::future::pending::<()>()).await, Err(Elapsed));
    assert!(started.elapsed() >= ms(5));
}

/// A sleep may be held by futures that are `Send`; polled on another thread it says what is wrong.
pub async fn a_sleep_is_send_and_stays_at_home<R: Runtime>(_: R) {
    fn sent<T: Send>(value: T) -> T {
        value
    }
    sent(timeout(ms(1), std::future::ready(()))).await.unwrap();
    let mut sleep = sent(sleep(ms(1)));
    let elsewhere = move || {
        let poll = |sleep: &mut Sleep| Pin::new(sleep).poll(&mut Context::from_waker(Waker::noop()));
        (panic_of(|| poll(&mut sleep)), sleep)
    };
    let (message, sleep) = thread::spawn(elsewhere).join().unwrap();
    assert!(message.contains("loopswap::rt::sleep was polled on another thread"), "{message}");
    within("the sleep, at home again", sleep).await;
}
