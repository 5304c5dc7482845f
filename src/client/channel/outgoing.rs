//! A request on its way: its head as header fields, its body piece by piece, and what is kept of it in case it must be sent again.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TE, USER_AGENT};
use http::{HeaderName, request};
use http_body::Body as _;
use tonic::Status;
use tonic::body::Body;

use crate::client::channel::Endpoint;
use crate::client::timeout::grpc_timeout;
use crate::grpc::without_connection_fields;
use crate::http2::{Field, Indexing, Visitor};

/// How much of a body is kept, so that a call which the server has not looked at can be sent to another. 256 KiB, as in grpc-go.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// How often a call is made again by itself that the server has not looked at: once, as gRFC A6 has it for what has reached a server.
const REPEATS_MAX: u32 = 1;

pub(super) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// A request.
pub(super) struct Outgoing {
    head: request::Parts,
    body: Body,
    /// What the body gave while it was asked whether it had ended.
    peeked: Option<Bytes>,
    /// The body has given its last piece.
    is_over: bool,
    /// What was sent may have to be sent again.
    keeps: bool,
    /// What was sent.
    kept: Vec<Bytes>,
    n_kept_bytes: usize,
    /// How many of `kept` were sent on this connection.
    at: usize,
    n_repeats: u32,
}

/// A piece of a body; `end`: the last.
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    pub(super) end: bool,
}

impl Outgoing {
    pub(super) fn new(mut head: request::Parts, body: Body) -> Self {
        head.headers = without_connection_fields(head.headers);
        let is_over = body.is_end_stream();
        Self { head, body, peeked: None, is_over, keeps: true, kept: Vec::new(), n_kept_bytes: 0, at: 0, n_repeats: 0 }
    }

    /// Whether the request is nothing but its head.
    pub(super) fn has_no_body(&self) -> bool {
        self.is_over && self.kept.is_empty() && self.peeked.is_none()
    }

    /// Shows the fields of the request, in the order that HTTP/2 and gRPC want (PROTOCOL-HTTP2.md, "Requests").
    pub(super) fn fields(&self, endpoint: &Endpoint, time_left: Option<Duration>, see: Visitor<'_>) {
        let mut field = |name: &[u8], value: &[u8], indexing| see(Field { name, value, indexing });
        let path = self.head.uri.path_and_query().map_or("/", |path| path.as_str());
        field(b":method", self.head.method.as_str().as_bytes(), Indexing::Common);
        field(b":scheme", endpoint.scheme().as_bytes(), Indexing::Common);
        field(b":path", path.as_bytes(), Indexing::Common);
        field(b":authority", endpoint.authority().as_bytes(), Indexing::Common);
        field(b"te", b"trailers", Indexing::Common);
        if let Some(left) = time_left {
            field(b"grpc-timeout", grpc_timeout(left).as_bytes(), Indexing::Plain);
        }
        if !self.head.headers.contains_key(USER_AGENT) {
            field(b"user-agent", endpoint.user_agent_value().as_bytes(), Indexing::Common);
        }
        for (name, value) in &self.head.headers {
            if [TE, HOST, CONTENT_LENGTH, GRPC_TIMEOUT].contains(name) {
                continue;
            }
            let indexing = match name.as_str() {
                _ if value.is_sensitive() => Indexing::Never,
                "content-type" | "user-agent" | "grpc-encoding" | "grpc-accept-encoding" => Indexing::Common,
                _ => Indexing::Plain,
            };
            field(name.as_str().as_bytes(), value.as_bytes(), indexing);
        }
    }

    /// The next piece of the body, what was sent before included where it is sent again. Not to be asked again after the last.
    ///
    /// # Errors
    ///
    /// The body's own.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Status>> {
        if let Some(bytes) = self.kept.get(self.at).cloned() {
            self.at += 1;
            let end = self.is_over && self.at == self.kept.len() && self.peeked.is_none();
            if !self.keeps && self.at == self.kept.len() {
                self.forget();
            }
            return Poll::Ready(Ok(Piece { bytes, end }));
        }
        let bytes = match self.peeked.take() {
            Some(bytes) => bytes,
            None if self.is_over => Bytes::new(),
            None => match self.poll_body(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(status)) => return Poll::Ready(Err(status)),
                Poll::Ready(Ok(next)) => next.unwrap_or_default(),
            },
        };
        // A body that has one message says that it was the last when it is asked again: END_STREAM then needs no frame of its own.
        if !self.is_over
            && let Poll::Ready(next) = self.poll_body(cx)
        {
            self.peeked = next?;
        }
        self.keep(&bytes);
        Poll::Ready(Ok(Piece { bytes, end: self.is_over && self.peeked.is_none() }))
    }

    /// The next bytes of the body; `None`, and `is_over` set, at its end.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Status>> {
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Err(status))) => return Poll::Ready(Err(status)),
                // Trailers of a request mean nothing in gRPC.
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) if bytes.is_empty() => {}
                    Ok(bytes) => {
                        self.is_over = self.body.is_end_stream();
                        return Poll::Ready(Ok(Some(bytes)));
                    }
                    Err(_) => {}
                },
                Poll::Ready(None) => {
                    self.is_over = true;
                    return Poll::Ready(Ok(None));
                }
            }
        }
    }

    fn keep(&mut self, bytes: &Bytes) {
        if !self.keeps {
            return;
        }
        self.n_kept_bytes += bytes.len();
        if self.n_kept_bytes > KEPT_BYTES_MAX {
            self.keeps = false;
            self.forget();
        } else if !bytes.is_empty() {
            self.kept.push(bytes.clone());
            self.at = self.kept.len();
        }
    }

    fn forget(&mut self) {
        self.kept = Vec::new();
        self.at = 0;
    }

    /// The server has begun to answer: nothing will have to be sent again.
    pub(super) fn commit(&mut self) {
        self.keeps = false;
        if self.at == self.kept.len() {
            self.forget();
        }
    }

    /// Makes it ready to be sent from its beginning, on another stream. `false`: what was sent is not kept, or it was made again often enough.
    pub(super) fn rewind(&mut self) -> bool {
        if !self.keeps || self.n_repeats == REPEATS_MAX {
            return false;
        }
        self.n_repeats += 1;
        self.at = 0;
        true
    }
}
