//! One call on a connection of its own, and a loop of one's own to make it on.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use loopswap_rt::{Runtime, Worker, deadline_after, timeout};
use tonic::Status;

use crate::Error;
use crate::client::{Ended, Prepared, PreparedChannel, Target, Ticket, late};

/// The path of the Greeter's one method.
pub(crate) const SAY_HELLO: &str = "/helloworld.Greeter/SayHello";

/// Runs a client's future on a loop of its own, on this thread.
///
/// # Errors
///
/// The loop cannot run here; and what the future ends with.
pub(crate) fn run_on<R, F, T>(runtime: &R, main: impl FnOnce() -> F) -> Result<T, Error>
where
    R: Runtime,
    F: Future<Output = Result<T, Error>> + 'static,
    T: 'static,
{
    runtime.probe().and_then(|()| runtime.run(&Worker::new(0), main)).map_err(|why| Error::unavailable(R::NAME, why))?
}

/// Makes one call on a connection of its own, and says how long it took once there was a connection.
///
/// # Errors
///
/// Nobody answers at the target. How the call ended is no error of this.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub(crate) async fn call_once<R: Runtime>(
    runtime: &R,
    target: &Target,
    call: Prepared,
) -> Result<(Result<Vec<u8>, Status>, Duration), Error> {
    let allowed = call.timeout();
    let mut channel = PreparedChannel::open(runtime, target, Rc::new(call)).await?;
    let start = runtime.now();
    channel.begin(Ticket { due: start, until: deadline_after(start, allowed), n_moves: 0 });
    let reply = poll_fn(|cx| {
        let mut ended = None;
        loop {
            let mut told = |_, end, _| ended = Some(end);
            let received = channel.poll(cx, &|| runtime.now(), &mut told);
            channel.flush(cx, runtime.now(), &mut told);
            match ended.take() {
                Some(Ended::Message(message)) => return Poll::Ready(Ok(message)),
                Some(Ended::AsExpected | Ended::Stream { .. }) => return Poll::Ready(Err(Status::internal("no such reply was expected"))),
                Some(Ended::Failed(status) | Ended::Unprocessed(status)) => return Poll::Ready(Err(status)),
                None if received => {}
                None => return Poll::Pending,
            }
        }
    });
    let reply = timeout(allowed, reply).await.unwrap_or_else(|_| Err(late(allowed)));
    let took = runtime.now().saturating_duration_since(start);
    channel.close().await;
    Ok((reply, took))
}
