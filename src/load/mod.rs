//! The load generator: many calls at a time, each reply checked, and a report of how they went.
//!
//! * [`Plan`] says what to do; [`run`] does it, on one loop and one thread.
//! * `session` is one series of calls: its tickets, and the tasks that use them up; `link` is a connection that is opened anew when it breaks.
//! * `tally` counts as the calls end; `report` is what it comes to.
//! * `workload` is what every call is, and which replies are right; `data` reads a HelloRequest from JSON.

mod data;
mod link;
mod plan;
mod report;
mod session;
mod tally;
#[cfg(all(test, feature = "tokio"))]
mod tests;
mod workload;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use loopswap_rt::Runtime;
use tokio::sync::watch;

use crate::Error;
use crate::client::run_on;

pub(crate) use data::parse_data;
use link::Link;
pub(crate) use plan::{Amount, Plan};
#[cfg(test)]
pub(crate) use report::Bucket;
pub(crate) use report::{Early, Latencies, Report};
pub(crate) use workload::Workload;

/// How a run is watched, and ended early, from another thread.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    /// Written by the run, read by whoever shows it.
    pub(crate) progress: Arc<Progress>,
    /// `true` ends the run; so does a sender that is gone.
    pub(crate) stop: watch::Receiver<bool>,
}

/// Calls that have ended, and those of them that went wrong; warm-up calls not counted.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) n_ended: AtomicU64,
    pub(crate) n_failed: AtomicU64,
}

/// Connects, warms up, makes the calls, and reports.
///
/// # Errors
///
/// The plan means nothing, the loop cannot run here, or a first connection cannot be made: no call was made. What happens later is in the report.
pub(crate) fn run<R: Runtime>(runtime: R, plan: Plan, mut watch: Watch) -> Result<Report, Error> {
    plan.check()?;
    let call = plan.workload.prepare(&plan.target, plan.timeout)?;
    let on = runtime.clone();
    run_on(&runtime, move || async move {
        let mut links = Vec::with_capacity(plan.connections);
        for _ in 0..plan.connections {
            links.push(Rc::new(Link::open(on.clone(), plan.target.clone()).await?));
        }
        let (call, judge) = (Rc::new(call), Rc::new(plan.workload.judge()));
        if plan.warmup > 0 {
            let warmup = Plan { amount: Amount::Calls(plan.warmup), rps: 0, ..plan.clone() };
            session::run(&on, &links, &warmup, &call, &judge, Arc::default(), &mut watch.stop).await;
        }
        Ok(session::run(&on, &links, &plan, &call, &judge, watch.progress, &mut watch.stop).await)
    })
}
