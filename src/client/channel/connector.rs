//! The task that connects: one address after the other, as often as calls wait for it; and then drives the connection.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use loopswap_rt::{Address, AnyConnection, Connection as _, connect, now, sleep, timeout};
use tonic::Status;

use crate::client::channel::driver::Driver;
use crate::client::channel::endpoint::Endpoint;
use crate::client::channel::link::Link;
use crate::client::channel::shared::{OfTask, Shared};
use crate::client::hint::hint;
use crate::http2::client::Connection;
use crate::socket::Socket;

/// Connects, and serves the calls that wait until the connection ends, or nobody waits.
pub(super) async fn run(mut task: OfTask) {
    let shared = task.shared.clone();
    let (connection, http2) = loop {
        if let Some(at) = shared.retry_at() {
            let left = at.saturating_duration_since(now());
            if unless_abandoned(&shared, sleep(left)).await.is_none() {
                return;
            }
        }
        match unless_abandoned(&shared, attempt(&shared.endpoint)).await {
            None => return,
            Some(Ok(connected)) => break connected,
            Some(Err(why)) => {
                tracing::debug!(uri = shared.endpoint.uri(), "{}", why.message());
                if !shared.failed(why) {
                    return;
                }
            }
        }
    };
    let link = Link::new();
    shared.connected(&link);
    task.has_connected();
    let driver = Driver::new(connection, http2, shared, link);
    driver.await;
}

/// The future's value, or `None` when the channel was closed first and nobody waits.
async fn unless_abandoned<F: Future>(shared: &Shared, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if shared.poll_abandoned(cx).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Tries each address of the server, in order.
async fn attempt(endpoint: &Endpoint) -> Result<(Socket<AnyConnection>, Connection), Status> {
    let failed = |why: String| Status::unavailable(format!("cannot connect to {}: {why}", endpoint.uri()));
    let addresses = endpoint.resolve().await.map_err(|error| failed(error.to_string()))?;
    let allowed = endpoint.connect_timeout;
    let open = async |address: &Address| {
        timeout(allowed, open(endpoint, address)).await.unwrap_or_else(|_| Err(format!("no answer within {allowed:?}")))
    };
    first_of(&addresses, open).await.map_err(failed)
}

/// What the first address gives that can be opened; or why the last could not.
async fn first_of<T>(addresses: &[Address], open: impl AsyncFn(&Address) -> Result<T, String>) -> Result<T, String> {
    let mut last = None;
    for address in addresses {
        match open(address).await {
            Ok(opened) => return Ok(opened),
            Err(why) => last = Some(format!("{address}: {why}")),
        }
    }
    Err(last.expect("`resolve` finds an address"))
}

/// Connects, and waits for the server's first SETTINGS: before them no call is sent, so that none is lost to a server that speaks something else or is not
/// ready, and the server's limit of streams is known.
async fn open(endpoint: &Endpoint, address: &Address) -> Result<(Socket<AnyConnection>, Connection), String> {
    let said = |error: io::Error| error.to_string();
    let connection = connect(address).await.map_err(said)?;
    let mut connection = endpoint.security.put_on(connection).await.map_err(said)?;
    let mut http2 = Connection::with_readers();
    let (sent, spare) = connection.send(http2.take_output(Vec::new())).await;
    sent.map_err(said)?;
    drop(spare);
    let hint = |first: &[u8]| if endpoint.security.is_on() { "" } else { hint(first) };
    let mut first = Vec::new();
    while !http2.is_open() {
        let n_bytes = connection
            .receive(|bytes| {
                let missing = 5_usize.saturating_sub(first.len()).min(bytes.len());
                first.extend_from_slice(&bytes[..missing]);
                let mut input = bytes;
                while http2.receive(&mut input).is_some() {}
                bytes.len()
            })
            .await
            .map_err(said)?;
        if let Some(fault) = http2.fault() {
            return Err(format!("{fault}{}", hint(&first)));
        }
        if n_bytes == 0 {
            return Err(format!("the server closed the connection before it said anything{}", hint(&first)));
        }
    }
    Ok((connection, http2))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn addresses_are_tried_in_turn() {
        let addresses = ["[::1]:1", "127.0.0.1:2", "127.0.0.1:3"].map(|address| address.parse::<Address>().unwrap());
        let open = |good: &'static str| {
            let (tried, addresses) = (RefCell::new(Vec::new()), &addresses);
            let opened = first_of(addresses, async |address| {
                tried.borrow_mut().push(address.to_string());
                if address.to_string() == good { Ok(()) } else { Err("refused".to_owned()) }
            })
            .now_or_never();
            (tried.take(), opened.expect("nothing to wait for"))
        };
        assert_eq!(open("127.0.0.1:2"), (vec!["[::1]:1".to_owned(), "127.0.0.1:2".to_owned()], Ok(())));
        let (tried, failed) = open("none");
        assert_eq!((tried.len(), failed), (3, Err("127.0.0.1:3: refused".to_owned())));
    }
}
