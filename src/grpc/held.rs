//! A transport for the inner of two that answer a call: a method behind interceptors. What the method sends goes out at once; what the interceptors have for its
//! head goes along; its end is held back, for them to see and to change.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll};

use http::{HeaderMap, StatusCode};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::grpc::answer::Stage;
use crate::grpc::{Answer, CallId, Partials, Peer, ResponseHead, Trailers, Transport, fields};
use crate::http2::ErrorCode;

/// How an answer ended: well, with these trailers, or with an error.
pub(crate) type Ending = Result<MetadataMap, Status>;

/// The transport. A call has one, however many interceptors there are.
pub(crate) struct Held {
    outer: Answer,
    /// What the interceptors send ahead of the messages.
    metadata: RefCell<MetadataMap>,
    ending: Cell<Option<Ending>>,
}

impl Held {
    /// In front of this answer.
    pub(crate) fn new(outer: Answer) -> Rc<Self> {
        Rc::new(Self { outer, metadata: RefCell::default(), ending: Cell::default() })
    }

    /// What the method answers with.
    pub(crate) fn inner(self: &Rc<Self>) -> Answer {
        self.outer.on(Rc::clone(self) as Rc<dyn Transport>)
    }

    /// What is sent ahead of the messages besides the method's own metadata. It has no effect once the answer has begun.
    pub(crate) fn metadata(&self) -> &RefCell<MetadataMap> {
        &self.metadata
    }

    /// How the method's answer ended.
    pub(crate) fn take_ending(&self) -> Ending {
        self.ending.take().unwrap_or_else(|| Err(Status::internal("the answer has no end")))
    }

    /// Ends the answer.
    pub(crate) fn end(&self, ending: Ending) {
        let metadata = self.metadata.take();
        // An error that has something ahead of it needs a head of its own.
        if !metadata.is_empty() {
            self.outer.head(Some(metadata));
        }
        match ending {
            Ok(trailers) => self.outer.ok_with(Some(trailers)),
            Err(status) => self.outer.status(&status),
        }
    }
}

/// The end that these fields tell.
fn ending_of(fields: &HeaderMap) -> Ending {
    match Status::from_header_map(fields) {
        Some(status) if status.code() == Code::Ok => Ok(status.metadata().clone()),
        Some(status) => Err(status),
        None => Err(Status::internal("the service ended its answer without a status")),
    }
}

impl Transport for Held {
    fn poll_room(&self, _: CallId, cx: &mut Context<'_>) -> Poll<()> {
        self.outer.poll_room(cx)
    }

    /// The call has done it before anything was dispatched.
    fn go_ahead(&self, _: CallId) {}

    fn head(&self, _: CallId, head: ResponseHead<'_>, end: bool) {
        match head {
            ResponseHead::Fields(status, fields) if end => self.ending.set(Some(match status {
                StatusCode::OK => ending_of(fields),
                status => Err(Status::internal(format!("the service answered HTTP {status}"))),
            })),
            ResponseHead::Fields(status, fields) if self.outer.stage() == Stage::Awaited => {
                let mut fields = fields.clone();
                fields::add_metadata(&mut fields, self.metadata.take());
                self.outer.plain_head(status, &fields, false);
            }
            ResponseHead::Fields(..) => {}
            // The same opening as the outer answer's.
            ResponseHead::Grpc(_) => self.outer.head(Some(self.metadata.take())),
        }
    }

    fn data(&self, _: CallId, write: &mut dyn FnMut(&mut Vec<u8>), end: bool) {
        self.outer.pass_data(write);
        if end {
            self.ending.set(Some(Err(Status::internal("the service ended its answer without a status"))));
        }
    }

    fn trailers(&self, _: CallId, trailers: Trailers<'_>) {
        self.ending.set(Some(match trailers {
            Trailers::Ok => Ok(MetadataMap::new()),
            Trailers::Fields(fields) => ending_of(fields),
        }));
    }

    fn reset(&self, _: CallId, code: ErrorCode) {
        self.outer.reset(code);
    }

    fn release(&self, _: CallId, n_bytes: usize) {
        self.outer.release(n_bytes);
    }

    fn partials(&self) -> &Partials {
        self.outer.partials()
    }

    fn peer(&self) -> Option<Rc<Peer>> {
        self.outer.peer()
    }
}
