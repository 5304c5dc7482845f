//! What comes on a connection, taken to its calls: events of HTTP/2 become heads, bytes, trailers and ends.

use std::rc::Rc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tonic::Status;

use crate::client::channel::driver::{Slot, late};
use crate::client::channel::exchange::Exchange;
use crate::client::channel::refusal::Refusal;
use crate::client::foreign::foreign;
use crate::client::reset::from_reset;
use crate::http2::ErrorCode;
use crate::http2::client::{AnswerHead, Event, StreamKey};

/// The calls of a connection, while it receives.
pub(super) struct Intake<'a> {
    pub(super) calls: &'a mut Vec<Slot>,
    pub(super) n_calls: &'a mut usize,
    pub(super) refusal: &'a mut Refusal,
    /// Calls that the server has not looked at, and what they end with if they cannot be made again.
    pub(super) moved: &'a mut Vec<(Rc<Exchange>, Status)>,
}

impl Intake<'_> {
    /// Returns a stream that is to be reset.
    pub(super) fn event(&mut self, event: Event<'_>) -> Option<StreamKey> {
        match event {
            Event::Head { stream, head, end } => {
                let exchange = &self.calls[stream.slot()].call.as_ref()?.exchange;
                let Ok(status) = StatusCode::from_u16(head.status()) else {
                    self.end(stream, Err(Status::internal("the answer has no HTTP status that is one")));
                    return (!end).then_some(stream);
                };
                let told = told(&head);
                if let Some(why) = &told.foreign {
                    self.end(stream, Err(why.clone()));
                    return (!end).then_some(stream);
                }
                exchange.commit();
                exchange.head(status, told.fields.clone());
                if end {
                    self.end(stream, Ok(()));
                }
            }
            Event::Data { stream, bytes, end } => {
                self.calls[stream.slot()].call.as_ref()?.exchange.data(bytes);
                if end {
                    self.end(stream, Ok(()));
                }
            }
            Event::Trailers { stream, head } => {
                let exchange = self.take(stream)?;
                exchange.trailers(told(&head).fields.clone());
            }
            Event::Reset { stream, code: ErrorCode::REFUSED_STREAM } => {
                // 8.7: nothing was done.
                let exchange = self.take(stream)?;
                self.refusal.came();
                self.moved.push((exchange, from_reset(ErrorCode::REFUSED_STREAM)));
            }
            Event::Reset { stream, code } => {
                let exchange = self.take(stream)?;
                // A server that keeps to our deadline is a moment before us, or behind.
                let status = if code == ErrorCode::CANCEL && exchange.is_late() { late() } else { from_reset(code) };
                exchange.end(Err(status));
            }
            Event::Refused { stream, why } => {
                self.end(stream, Err(Status::internal(format!("the answer breaks the protocol: {why}"))));
            }
            Event::Unprocessed { stream } => {
                let exchange = self.take(stream)?;
                self.moved.push((exchange, Status::unavailable("the server goes away, and has not looked at the call")));
            }
        }
        None
    }

    fn end(&mut self, stream: StreamKey, how: Result<(), Status>) {
        if let Some(exchange) = self.take(stream) {
            exchange.end(how);
        }
    }

    fn take(&mut self, stream: StreamKey) -> Option<Rc<Exchange>> {
        let call = self.calls[stream.slot()].call.take()?;
        *self.n_calls -= 1;
        self.refusal.has_room();
        Some(call.exchange)
    }
}

/// What a header block tells, made once for all blocks that are the same.
struct Told {
    fields: HeaderMap,
    /// What a head ends its call with that is not gRPC's.
    foreign: Option<Status>,
}

fn told(head: &AnswerHead) -> &Told {
    head.memo(|head| {
        let mut fields = HeaderMap::new();
        for (name, value) in head.fields() {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                fields.append(name, value);
            }
        }
        Told { fields, foreign: foreign(head) }
    })
}
