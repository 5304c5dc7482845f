//! The client's channel on each loop, against either engine.
//!
//! * `calls`: all kinds of methods, metadata, statuses, cancellation, deadlines, back-pressure.
//! * `nested`: calls that handlers make, and the example that relays.
//!
//! And against a server in raw frames, `peer`, which does what no good server does:
//!
//! * `leaving`: one that goes away, or refuses calls; `lost`: one that is gone in the middle, or never there.
//! * `limits`: its streams at a time; `keepalive`: whether it is there; `ends`: how it is told of calls and channels that end here.
//! * `requests`: one that takes what goes on, and says nothing; `misbehaving`: one that breaks HTTP/2 or gRPC.

mod calls;
mod ends;
mod keepalive;
mod leaving;
mod limits;
mod lost;
mod misbehaving;
pub(crate) mod nested;
mod peer;
mod requests;

use loopswap::client::{Channel, Endpoint};
use loopswap::rt::{Runtime, Worker, timeout};
use loopswap::{EventLoop as _, Loop, UseLoop};

use crate::support::PATIENCE;

/// Runs a client on this loop, in this thread, with an end to its patience; and sees that it leaves no task.
pub(crate) fn on_loop<T: 'static>(runtime: &str, client: impl AsyncFnOnce() -> T + 'static) -> T {
    struct Client<F>(F);
    impl<T: 'static, F: AsyncFnOnce() -> T + 'static> UseLoop for Client<F> {
        type Output = T;
        fn with<R: Runtime>(self, runtime: R) -> T {
            let main = move || async move {
                let done = timeout(PATIENCE, (self.0)()).await.expect("the client need not wait so long");
                // Connections that nobody has closed close by themselves once their channels are gone.
                let none_left = async {
                    while loopswap::rt::live_tasks() > 0 {
                        loopswap::rt::sleep(std::time::Duration::from_millis(1)).await;
                    }
                };
                timeout(PATIENCE, none_left).await.expect("no task of a channel outlives it");
                done
            };
            runtime.run(&Worker::new(0), main).expect("the loop runs here")
        }
    }
    Loop::choose(runtime).expect("it is built in").with(Client(client))
}

/// To be changed, and connected, on a loop.
fn endpoint(addr: impl std::fmt::Display) -> Endpoint {
    Endpoint::new(&format!("http://{addr}")).expect("an address makes a URI")
}

fn channel(addr: impl std::fmt::Display) -> Channel {
    endpoint(addr).connect_lazy().expect("a loop runs")
}
