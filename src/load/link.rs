//! A connection that is opened anew when it breaks, shared by the tasks that call over it.

use std::time::Duration;

use bytes::Bytes;
use loopswap_rt::{Runtime, sleep};
use tokio::sync::Mutex;
use tonic::Status;

use crate::Error;
use crate::client::{Channel, Failure, Prepared, Target};

/// How long to wait between attempts to reconnect; after the last the link is given up. 3 s in all: a server that is restarted is back by then.
const RECONNECT_PAUSES_MS: [u64; 6] = [50, 100, 200, 400, 800, 1600];

/// How often one call moves on to a new connection, because the one before took no calls.
const MOVES_MAX: usize = 3;

/// A connection, and its successors.
#[derive(Debug)]
pub(super) struct Link<R> {
    runtime: R,
    target: Target,
    /// Locked while it is replaced, so that only one task does it and the others wait.
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    channel: Channel,
    /// How many came before it.
    generation: u64,
    /// Why there will be no other.
    given_up: Option<Status>,
}

/// A task's hold on a link.
#[derive(Debug)]
pub(super) struct Caller<'a, R> {
    link: &'a Link<R>,
    channel: Channel,
    generation: u64,
}

/// How a call over a link ended.
pub(super) enum Called {
    /// It was made, and ended so.
    Ended(Result<Bytes, Status>),
    /// It could not be made: the link is given up.
    GivenUp(Status),
}

impl<R: Runtime> Link<R> {
    /// Connects.
    ///
    /// # Errors
    ///
    /// Nobody answers; there is one attempt.
    pub(super) async fn open(runtime: R, target: Target) -> Result<Self, Error> {
        let channel = Channel::open(&runtime, &target).await?;
        let current = Current { channel, generation: 0, given_up: None };
        Ok(Self { runtime, target, current: Mutex::new(current) })
    }

    /// For one task.
    pub(super) async fn caller(&self) -> Caller<'_, R> {
        let current = self.current.lock().await;
        Caller { link: self, channel: current.channel.clone(), generation: current.generation }
    }
}

impl<R: Runtime> Caller<'_, R> {
    /// Makes a call, on a new connection where the old one takes none.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call.
    pub(super) async fn call(&mut self, call: &Prepared) -> Called {
        let mut n_moves = 0;
        loop {
            match self.channel.call(call).await {
                Ok(reply) => return Called::Ended(Ok(reply)),
                Err(Failure::NotSent(_)) if n_moves < MOVES_MAX => {
                    n_moves += 1;
                    if let Err(status) = self.renew().await {
                        return Called::GivenUp(status);
                    }
                }
                Err(failure) => return Called::Ended(Err(failure.into_status())),
            }
        }
    }

    /// Takes the link's next connection, and opens it if no other task has.
    async fn renew(&mut self) -> Result<(), Status> {
        let mut current = self.link.current.lock().await;
        if let Some(status) = &current.given_up {
            return Err(status.clone());
        }
        if current.generation == self.generation {
            match reconnect(&self.link.runtime, &self.link.target).await {
                Ok(channel) => {
                    current.channel = channel;
                    current.generation += 1;
                }
                Err(error) => {
                    let status = Status::unavailable(error.to_string());
                    current.given_up = Some(status.clone());
                    return Err(status);
                }
            }
        }
        self.channel = current.channel.clone();
        self.generation = current.generation;
        Ok(())
    }
}

async fn reconnect<R: Runtime>(runtime: &R, target: &Target) -> Result<Channel, Error> {
    let mut pauses = RECONNECT_PAUSES_MS.into_iter().map(Duration::from_millis);
    loop {
        match (Channel::open(runtime, target).await, pauses.next()) {
            (Err(_), Some(pause)) => sleep(pause).await,
            (ended, _) => return ended,
        }
    }
}
