//! gRPC-Web, where it is not built in: the feature `grpc-web`. HTTP/2 is spoken, and no request is another's.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, request};
use hyper::rt::{Read, Write};
use loopswap_rt::Runtime;
use tonic::Status;

use super::exchange::Exchange;
use super::{Beside, Calls, speak_http2};
use crate::server::{Closed, PeerLog, PhaseWatch};

/// Nobody makes one.
#[derive(Debug)]
pub(crate) struct Origins(Infallible);

pub(super) struct Web(Infallible);

pub(super) struct Direct(Infallible);

impl Origins {
    pub(super) fn admit(&self, _: &mut request::Parts) -> Result<Option<Web>, Box<Direct>> {
        match self.0 {}
    }
}

impl Direct {
    pub(super) fn answer(&self, _: &Exchange, _: &PeerLog) {
        match self.0 {}
    }
}

impl Web {
    pub(super) fn heard(&self, _: Bytes, _: bool) -> Result<Bytes, Status> {
        match self.0 {}
    }

    pub(super) fn head(&self, _: &mut HeaderMap) {
        match self.0 {}
    }

    pub(super) fn data(&self, _: Vec<u8>) -> Bytes {
        match self.0 {}
    }

    pub(super) fn trailers(&self, _: &HeaderMap) -> Bytes {
        match self.0 {}
    }
}

pub(super) async fn serve<R: Runtime, I: Read + Write + Unpin>(
    beside: Beside,
    runtime: &R,
    phases: PhaseWatch,
    io: I,
    calls: Calls,
) -> Closed {
    let serving = speak_http2(&beside.house.limits, io, calls, beside.streams.executor());
    beside.serve(runtime, phases, serving).await
}
