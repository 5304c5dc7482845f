//! Tasks, and blocking work away from the loop.

use std::future::Future;

use loopswap_rt::{Offload, Spawn, contain};

use crate::Glommio;
use crate::tasks::{self, Local};

impl Spawn for Glommio {
    fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + 'static,
    {
        tasks::spawn(contain(task));
    }
}

impl Offload for Glommio {
    fn offload(&self, job: Box<dyn FnOnce() + Send>) {
        Local::current().pool.run(job);
    }
}
