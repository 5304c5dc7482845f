//! A connection to a server, and the calls on it.

use std::future::poll_fn;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use loopswap_rt::{Runtime, timeout};
use tonic::Status;

use crate::client::{Prepared, Target, reply};
use crate::hyper_io::HyperIo;
use crate::{Error, ErrorKind};

/// The flow-control window of a stream and of the connection, in bytes. 1 MiB, as the server has it.
const WINDOW_BYTES: u32 = 1024 * 1024;

/// Bytes of a reply's headers, decoded. 16 KiB, as the server allows for a call's.
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;

/// A connection on the current loop. Clones share it; it closes when the last of them is gone.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    calls: SendRequest<Bytes>,
}

/// Why a call has no reply.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The connection takes no more calls: it broke, or the server closes it. The server has not seen this one, so it may be made on another.
    NotSent(Status),
    /// The call was made, and ended so.
    Ended(Status),
}

impl Failure {
    /// What its caller is told.
    pub(crate) fn into_status(self) -> Status {
        match self {
            Self::NotSent(status) | Self::Ended(status) => status,
        }
    }
}

impl Channel {
    /// Connects. The server's SETTINGS are not waited for: the first call goes out with ours.
    ///
    /// # Errors
    ///
    /// Nobody answers there.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
    pub(crate) async fn open<R: Runtime>(runtime: &R, target: &Target) -> Result<Self, Error> {
        let connection = target.connect(runtime).await?;
        let io = TokioIo::new(HyperIo::new(connection, |_: &[u8]| ()));
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_header_list_size(HEADER_LIST_BYTES_MAX);
        let (calls, driver) = builder.handshake::<_, Bytes>(io).await.map_err(|error| {
            Error::new(ErrorKind::Connect, format!("the connection to {} broke at once: {error}", target.text())).with_source(error)
        })?;
        runtime.spawn(async move {
            if let Err(error) = driver.await {
                // Each of its calls is told too.
                tracing::debug!("connection closed: {error}");
            }
        });
        Ok(Self { calls })
    }

    /// Makes a call, and waits for its reply: the encoded message.
    ///
    /// # Errors
    ///
    /// DEADLINE_EXCEEDED when its time is over; otherwise see [`Failure`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call.
    pub(crate) async fn call(&mut self, call: &Prepared) -> Result<Bytes, Failure> {
        let late = |_| Err(Failure::Ended(Status::deadline_exceeded(format!("no reply within {:?}", call.timeout))));
        timeout(call.timeout, self.exchange(call)).await.unwrap_or_else(late)
    }

    async fn exchange(&mut self, call: &Prepared) -> Result<Bytes, Failure> {
        let closed = |error: h2::Error| Failure::NotSent(Status::unavailable(format!("the connection is closed: {error}")));
        poll_fn(|cx| self.calls.poll_ready(cx)).await.map_err(closed)?;
        let (response, mut body) = self.calls.send_request(call.head.clone(), false).map_err(closed)?;
        // Refused only when the stream has ended already, which the response tells better.
        let _ = body.send_data(call.body.clone(), true);
        reply::read(response).await.map_err(Failure::Ended)
    }
}
