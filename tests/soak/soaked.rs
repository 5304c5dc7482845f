//! One server's soak: deeds at a rate, samples beside them, and what is left when the clients are gone.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::deeds::{Clients, Deed, Random};
use crate::gauges::{Sample, Trend};
use crate::server::{Child, PATIENCE};

/// Deeds under way at once. When a server is that far behind, the rate falls.
const AT_ONCE_MAX: usize = 64;
/// Of the deeds that went wrong, as many are shown.
const SHOWN_MAX: usize = 10;
const A_SECOND: Duration = Duration::from_secs(1);
const BETWEEN_WORDS: Duration = Duration::from_secs(60);

/// How deeds ended.
#[derive(Default)]
struct Tally {
    done: BTreeMap<&'static str, u64>,
    wrong: Vec<String>,
}

/// What a soak came to.
pub(crate) struct Soaked {
    name: String,
    tally: Tally,
    trends: [Trend; 3],
    /// What is not as it should be, but deeds and trends.
    faults: Vec<String>,
}

impl Soaked {
    pub(crate) fn is_well(&self) -> bool {
        self.tally.wrong.is_empty() && self.faults.is_empty() && self.trends.iter().all(Trend::is_flat)
    }
}

impl fmt::Display for Soaked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { done, wrong } = &self.tally;
        writeln!(f, "{}: {} deeds, {} of them wrong", self.name, done.values().sum::<u64>(), wrong.len())?;
        let kinds: Vec<_> = done.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
        writeln!(f, "  {}", kinds.join(", "))?;
        for trend in &self.trends {
            writeln!(f, "  {trend}")?;
        }
        for why in wrong.iter().take(SHOWN_MAX).chain(&self.faults) {
            writeln!(f, "  FAIL  {why}")?;
        }
        write!(f, "  {}", if self.is_well() { "ok" } else { "FAILED" })
    }
}

/// Soaks a server.
pub(crate) async fn soak(server: Child, time: Duration, rate: u32, seed: u64) -> Soaked {
    let name = server.name.clone();
    let tally = Rc::<RefCell<Tally>>::default();
    let mut samples = Vec::new();
    let mut faults = Vec::new();
    if let Err(error) = run(&server, time, rate, seed, &tally, &mut samples).await {
        faults.push(error.to_string());
    }
    match server.stop().await {
        Ok(status) if status.code() == Some(0) => {}
        Ok(status) => faults.push(format!("after SIGTERM it ended with {status}")),
        Err(error) => faults.push(error.to_string()),
    }
    if samples.is_empty() {
        samples.push(Sample::default());
    }
    let tally = tally.take();
    Soaked { name, tally, trends: Trend::all(&samples), faults }
}

async fn run(
    server: &Child,
    time: Duration,
    rate: u32,
    seed: u64,
    tally: &Rc<RefCell<Tally>>,
    samples: &mut Vec<Sample>,
) -> Result<(), crate::Error> {
    // The first call makes what is made once and stays.
    drop(Clients::connect(server.addr).await?);
    sleep(2 * A_SECOND).await;
    let before = server.sample()?;

    let clients = Rc::new(Clients::connect(server.addr).await?);
    let mut random = Random::new(seed);
    let places = Arc::new(Semaphore::new(AT_ONCE_MAX));
    let mut due = interval(A_SECOND / rate);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let start = Instant::now();
    let (mut sampled, mut told) = (start, start);
    while start.elapsed() < time {
        due.tick().await;
        let place = Arc::clone(&places).acquire_owned().await?;
        let (deed, clients, into) = (Deed::any(&mut random), Rc::clone(&clients), Rc::clone(tally));
        let mut random = Random::new(random.next());
        spawn_local(async move {
            let ended = tokio::time::timeout(PATIENCE, deed.run(&clients, &mut random)).await;
            let mut tally = into.borrow_mut();
            *tally.done.entry(deed.name()).or_default() += 1;
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(why)) => tally.wrong.push(format!("{}: {why}", deed.name())),
                Err(_) => tally.wrong.push(format!("{}: has not ended after {PATIENCE:?}", deed.name())),
            }
            drop(place);
        });
        if sampled.elapsed() >= A_SECOND {
            sampled = Instant::now();
            samples.push(server.sample()?);
        }
        if told.elapsed() >= BETWEEN_WORDS {
            told = Instant::now();
            let (Tally { done, wrong }, last) = (&*tally.borrow(), samples.last());
            println!("{:4.0?} {}: {} deeds, {} wrong, {last:?}", start.elapsed(), server.name, done.values().sum::<u64>(), wrong.len());
        }
    }
    // All deeds have ended when all places are free.
    let _ = places.acquire_many(AT_ONCE_MAX as u32).await?;
    drop(clients);
    at_rest(server, before).await
}

/// Waits until there are no more descriptors and tasks than before.
async fn at_rest(server: &Child, before: Sample) -> Result<(), crate::Error> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let after = server.sample()?;
        if after.n_fds <= before.n_fds && after.n_tasks <= before.n_tasks {
            return Ok(());
        }
        if Instant::now() > give_up {
            return Err(format!("{PATIENCE:?} after the last client went: {after:?}; before the first came: {before:?}").into());
        }
        sleep(A_SECOND / 5).await;
    }
}
