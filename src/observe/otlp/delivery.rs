//! What the exporter does: it waits for spans, sends them batch by batch, tries again what may be tried again, and says so when a collector is away.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use loopswap_rt::{deadline_after, now, sleep, timeout};
use tokio::sync::watch;
use tonic::Status;

use crate::client::Channel;
use crate::observe::otlp::message::{request, resource};
use crate::observe::otlp::proto::trace_service_client::TraceServiceClient;
use crate::observe::otlp::proto::{ExportTracePartialSuccess, Resource};
use crate::observe::otlp::spans::{Loss, Span};
use crate::observe::otlp::{Otlp, Spans, retry};

/// For how long a batch is tried again. Meanwhile others wait, as far as the queue has room.
const RETRIES_TIMEOUT: Duration = Duration::from_secs(60);

/// That the collector is away is logged so often at most.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(60);

/// A channel without calls closes as soon as its GOAWAY is sent.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Delivers until the other end of `stopped` is gone, and then what is left.
pub(super) async fn deliver_all(otlp: &Otlp, channel: Channel, spans: &Arc<Spans>, stopped: watch::Receiver<()>) {
    let delivery = Delivery {
        channel: channel.clone(),
        uri: otlp.endpoint.uri().to_owned(),
        resource: resource(otlp),
        spans: Arc::clone(spans),
        stopped: stopped.clone(),
        n_in_hand: Cell::new(0),
        complaints: RefCell::default(),
    };
    let limit = async {
        ended(stopped).await;
        sleep(otlp.flush_timeout).await;
    };
    select(pin!(delivery.run(otlp.delay)), pin!(limit)).await;
    spans.lose(Loss::Undelivered, delivery.n_in_hand.get() + spans.clear());
    for (why, n) in spans.lost().filter(|(_, n)| *n > 0) {
        tracing::warn!(n, "spans were dropped: {}", why.name());
    }
    let _ = timeout(CLOSE_TIMEOUT, channel.close()).await;
}

/// Waits until the sender is gone.
async fn ended(mut stopped: watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}

struct Delivery {
    channel: Channel,
    uri: String,
    resource: Resource,
    spans: Arc<Spans>,
    stopped: watch::Receiver<()>,
    /// Spans that were taken out of the queue and have not arrived.
    n_in_hand: Cell<usize>,
    complaints: RefCell<Complaints>,
}

/// What was logged of a collector that is away.
#[derive(Default)]
struct Complaints {
    last: Option<Instant>,
    /// It has not been said that it is back.
    is_away: bool,
}

impl Delivery {
    async fn run(&self, delay: Duration) {
        loop {
            let due = timeout(delay, self.spans.is_full());
            let is_last = matches!(select(pin!(ended(self.stopped.clone())), pin!(due)).await, Either::Left(_));
            loop {
                let batch = self.spans.take();
                if batch.is_empty() {
                    break;
                }
                self.n_in_hand.set(batch.len());
                self.deliver(&batch).await;
                self.n_in_hand.set(0);
            }
            if is_last {
                return;
            }
        }
    }

    /// Sends a batch, and counts what becomes of it. When the server has ended there is one attempt, and no other.
    async fn deliver(&self, batch: &[Span]) {
        let give_up = deadline_after(now(), RETRIES_TIMEOUT);
        let mut n_failures = 0;
        loop {
            let is_last = self.stopped.has_changed().is_err();
            let refusal = match TraceServiceClient::new(self.channel.clone()).export(request(&self.resource, batch)).await {
                Ok(answer) => return self.arrived(batch.len(), answer.into_inner().partial_success),
                Err(refusal) => refusal,
            };
            let pause = retry::pause(&refusal, n_failures);
            self.complain(&refusal);
            match pause {
                None => return self.spans.lose(Loss::Refused, batch.len()),
                Some(pause) if is_last || now() + pause > give_up => return self.spans.lose(Loss::Undelivered, batch.len()),
                Some(pause) => {
                    select(pin!(ended(self.stopped.clone())), pin!(sleep(pause))).await;
                }
            }
            n_failures += 1;
        }
    }

    /// The collector has taken a batch, or a part of it, which is not sent again.
    fn arrived(&self, n: usize, partial: Option<ExportTracePartialSuccess>) {
        let ExportTracePartialSuccess { rejected_spans, error_message } = partial.unwrap_or_default();
        let n_refused = usize::try_from(rejected_spans).unwrap_or(0).min(n);
        self.spans.arrived(n - n_refused);
        self.spans.lose(Loss::Refused, n_refused);
        if n_refused > 0 {
            self.complain(&Status::invalid_argument(format!("{n_refused} of {n}: {error_message}")));
        } else if std::mem::take(&mut self.complaints.borrow_mut().is_away) {
            tracing::info!("spans are exported to {} again", self.uri);
        }
    }

    /// Says that an export has failed, unless that was said a moment ago.
    fn complain(&self, refusal: &Status) {
        let mut complaints = self.complaints.borrow_mut();
        if complaints.last.is_none_or(|last| now().saturating_duration_since(last) >= COMPLAINT_PAUSE) {
            let n_dropped: u64 = self.spans.lost().map(|(_, n)| n).sum();
            tracing::warn!(n_dropped, "spans are not exported to {}: {}", self.uri, refusal.message());
            *complaints = Complaints { last: Some(now()), is_away: true };
        }
    }
}
