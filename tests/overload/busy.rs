//! A Greeter whose handlers compute, for a server that is to be overloaded: of the tests and of the bench `goodput`.

use std::thread;
use std::time::Duration;

use loopswap::greeter::{Greeter, HelloReply, HelloRequest};
use loopswap::{Request, Response, Status};
use rustix::time::{ClockId, clock_gettime};

/// Computes for so long before each reply.
#[derive(Clone, Copy)]
pub(crate) struct Busy {
    pub(crate) compute: Duration,
}

impl Greeter for Busy {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let HelloRequest { name, sleep_millisecond } = request.into_inner();
        if name == "block" {
            // What no handler should do.
            thread::sleep(Duration::from_millis(sleep_millisecond.unsigned_abs().into()));
        } else {
            compute(self.compute);
        }
        Ok(Response::new(HelloReply { message: format!("Hello, {name}!") }))
    }
}

/// Takes so much of the CPU, however many others want it.
fn compute(time: Duration) {
    let used = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("it counts upwards from 0");
    let end = used() + time;
    while used() < end {
        (0..100).for_each(std::hint::black_box(|_| ()));
    }
}
