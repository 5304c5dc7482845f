//! A plain HTTP server behind the engines, for tools that test HTTP/2 itself and know nothing of gRPC.
//!
//! It is part of the tests, not of the product: see `tests/foreign/run`. Whatever is asked for exists:
//!
//! * `/bytes/N` is N bytes long, the letters of the alphabet over and over.
//! * `/echo` is the request's body, sent back as it comes, with trailers that say how long it was: `x-bytes`.
//! * Any other path says how long the request's body was, and its FNV-1a checksum, once the body has ended.
//!
//!     cargo run --example plain_server -- --runtime tokio --http2 native

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as _, Frame};
use loopswap::{Http2, Loop, Router, Server};
use tonic::body::Body;

/// A DATA frame of the largest size that every peer accepts is this long.
const CHUNK_BYTES: usize = 16_384;

/// The service. It has no state.
#[derive(Clone, Copy)]
struct Plain;

impl tower_service::Service<Request<Body>> for Plain {
    type Response = Response<Page>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async { Ok(page(request).await) })
    }
}

async fn page(request: Request<Body>) -> Response<Page> {
    let path = request.uri().path();
    if path == "/echo" {
        return Response::new(Page::Echo { body: request.into_body(), n_bytes: 0 });
    }
    let n_bytes = path.strip_prefix("/bytes/").and_then(|n| n.parse().ok());
    let summary = summary(request.into_body()).await;
    match n_bytes {
        Some(left) => sized(left, Page::Letters { at: 0, left }),
        None => sized(summary.len(), Page::Text(summary.into())),
    }
}

fn sized(n_bytes: usize, page: Page) -> Response<Page> {
    let mut response = Response::new(page);
    response.headers_mut().insert(http::header::CONTENT_LENGTH, HeaderValue::from(n_bytes));
    response
}

/// Reads the body to its end.
async fn summary(body: Body) -> String {
    let mut body = pin!(body);
    let (mut n_bytes, mut checksum) = (0_usize, 0xcbf2_9ce4_8422_2325_u64);
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        match frame.map(Frame::into_data) {
            Ok(Ok(bytes)) => {
                n_bytes += bytes.len();
                checksum = bytes.iter().fold(checksum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
            }
            // Trailers.
            Ok(Err(_)) => {}
            Err(error) => return format!("the body broke off after {n_bytes} bytes: {error}\n"),
        }
    }
    format!("{n_bytes} bytes, FNV-1a {checksum:016x}\n")
}

/// An answer's body.
enum Page {
    Text(Bytes),
    Letters { at: usize, left: usize },
    Echo { body: Body, n_bytes: usize },
    End,
}

impl http_body::Body for Page {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let page = self.get_mut();
        let frame = match page {
            Self::End => return Poll::Ready(None),
            Self::Text(text) => {
                let text = std::mem::take(text);
                *page = Self::End;
                Frame::data(text)
            }
            Self::Letters { left: 0, .. } => return Poll::Ready(None),
            Self::Letters { at, left } => {
                let n = CHUNK_BYTES.min(*left);
                let letters: Bytes = (*at..*at + n).map(|i| b'a' + (i % 26) as u8).collect();
                (*at, *left) = (*at + n, *left - n);
                Frame::data(letters)
            }
            Self::Echo { body, n_bytes } => match std::task::ready!(Pin::new(body).poll_frame(cx)) {
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) if frame.is_data() => {
                    *n_bytes += frame.data_ref().map_or(0, Bytes::len);
                    frame
                }
                // The end, or trailers, which are the end too.
                _ => {
                    let trailers = HeaderMap::from_iter([("x-bytes".parse().expect("a name"), HeaderValue::from(*n_bytes))]);
                    *page = Self::End;
                    Frame::trailers(trailers)
                }
            },
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::End | Self::Letters { left: 0, .. })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut runtime, mut http2, mut addr) = ("auto".to_owned(), Http2::default(), "127.0.0.1:0".to_owned());
    let mut words = env::args().skip(1);
    while let Some(flag) = words.next() {
        let value = words.next().ok_or_else(|| format!("{flag} wants a value"))?;
        match &*flag {
            "--runtime" => runtime = value,
            "--http2" => http2 = value.parse()?,
            "--addr" => addr = value,
            _ => return Err(format!("{flag}? usage: plain_server [--runtime LOOP] [--http2 ENGINE] [--addr ADDR]").into()),
        }
    }
    let server = Server::builder().listen(addr).workers(1).http2(http2);
    let mut server = server.start(Loop::choose(&runtime)?, |_worker| Router::new().fallback_plain(Plain))?;
    server.drain_on_signals()?;
    println!("listening on {}", server.local_addr());
    Ok(server.wait()?)
}
