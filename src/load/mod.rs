//! The load generator: many calls at a time, each reply checked, and a report of how they went.
//!
//! * [`Plan`] says what to do; [`run`] does it, on one loop and one thread.
//! * `workload` is what every call is: its bytes, and which replies are right.
//! * `session` is one series of calls: its tickets, and how they end; `link` uses them up, on a connection that is opened anew when it breaks.
//! * `tally` counts as the calls end; `report` is what it comes to.
//! * `data` reads a HelloRequest from JSON; `method` finds a method of any service in a .proto file, and its requests in JSON;
//!   `promise` is what is known of the replies to them.

mod data;
mod link;
mod method;
mod plan;
mod promise;
mod report;
mod session;
mod tally;
#[cfg(all(test, feature = "tokio"))]
mod tests;
mod workload;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use loopswap_rt::Runtime;
use tokio::sync::watch;

use crate::Error;
use crate::client::run_on;

pub(crate) use data::{pad_name, parse_data};
use link::Link;
pub(crate) use method::{Method, MethodCall};
pub(crate) use plan::{Amount, Plan};
#[cfg(test)]
pub(crate) use report::Bucket;
pub(crate) use report::{Early, Latencies, Messages, Report};
use workload::Judge;
pub(crate) use workload::Workload;

/// How many connections may wait for the server to accept them while more are opened. A listener's queue is often 100 or 128 long, and Linux drops a SYN for
/// which there is no room, to be sent anew after a second.
const UNACCEPTED_MAX: usize = 64;

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
    let (judge, call) = Judge::new(&plan)?;
    let on = runtime.clone();
    run_on(&runtime, move || async move {
        let (judge, call) = (Rc::new(judge), Rc::new(call));
        let mut links = Vec::with_capacity(plan.connections);
        for opened in 1..=plan.connections {
            let mut link = Link::open(on.clone(), plan.target.clone(), Rc::clone(&call)).await?;
            if opened % UNACCEPTED_MAX == 0 {
                link.accepted().await;
            }
            links.push(Rc::new(RefCell::new(link)));
        }
        if plan.warmup > 0 {
            let warmup = Plan { amount: Amount::Calls(plan.warmup), rps: 0, ..plan.clone() };
            session::run(&on, &links, &warmup, &judge, Arc::default(), &mut watch.stop).await;
        }
        Ok(session::run(&on, &links, &plan, &judge, watch.progress, &mut watch.stop).await)
    })
}
