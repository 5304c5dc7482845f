//! Tasks, and blocking work away from the loop.

use std::future::Future;

use loopswap_rt::{Offload, Spawn, contain};

use crate::TokioUring;

impl Spawn for TokioUring {
    fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + 'static,
    {
        tokio::task::spawn_local(contain(task));
    }
}

impl Offload for TokioUring {
    fn offload(&self, job: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(job);
    }
}
