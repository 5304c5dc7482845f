//! A unary call as bytes: made once, sent any number of times.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Version, header};

use crate::Error;
use crate::client::Target;

/// The prefix of a message: whether it is compressed, and its length in four bytes (gRPC, PROTOCOL-HTTP2.md).
pub(super) const PREFIX_BYTES: usize = 5;

/// A call, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(super) head: Request<()>,
    pub(super) body: Bytes,
    pub(super) timeout: Duration,
}

impl Prepared {
    /// A call of the method at `path`. `timeout` is told to the server, and kept by the client too.
    ///
    /// # Errors
    ///
    /// The target's name cannot stand in `:authority`; the timeout leaves no time.
    pub(crate) fn new(target: &Target, path: &'static str, message: &impl prost::Message, timeout: Duration) -> Result<Self, Error> {
        if timeout.is_zero() {
            return Err(Error::usage("a timeout of 0 leaves a call no time; write it as in 10s"));
        }
        let uri = http::Uri::builder().scheme("http").authority(target.authority()).path_and_query(path).build();
        let uri = uri.map_err(|error| Error::usage(format!("bad address `{}`: {error}", target.text())).with_source(error))?;
        let mut head = Request::new(());
        *head.method_mut() = Method::POST;
        *head.version_mut() = Version::HTTP_2;
        *head.uri_mut() = uri;
        *head.headers_mut() = headers(timeout);
        Ok(Self { head, body: framed(message), timeout })
    }
}

fn headers(timeout: Duration) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert("grpc-timeout", grpc_timeout(timeout));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("grpc-rust-loopswap/", env!("CARGO_PKG_VERSION"))));
    headers
}

fn framed(message: &impl prost::Message) -> Bytes {
    let len = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + len);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(len).expect("prost bounds a message by 2 GiB"));
    message.encode(&mut framed).expect("a BytesMut grows");
    framed.freeze()
}

/// `grpc-timeout`: at most eight digits and a unit; the finest that fits, rounded up (gRPC, PROTOCOL-HTTP2.md).
fn grpc_timeout(timeout: Duration) -> HeaderValue {
    const DIGITS_MAX: u128 = 99_999_999;
    let units = [("n", 1), ("u", 1_000), ("m", 1_000_000), ("S", 1_000_000_000), ("M", 60_000_000_000), ("H", 3_600_000_000_000)];
    let fitting = units.iter().map(|(unit, ns)| (unit, timeout.as_nanos().div_ceil(*ns))).find(|(_, n)| *n <= DIGITS_MAX);
    let text = fitting.map_or_else(|| format!("{DIGITS_MAX}H"), |(unit, n)| format!("{n}{unit}"));
    HeaderValue::try_from(text).expect("digits and a letter")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::greeter::HelloRequest;

    #[test]
    fn tells_the_timeout_in_the_finest_unit_that_fits() {
        let of = |timeout| grpc_timeout(timeout).to_str().unwrap().to_owned();
        assert_eq!(of(Duration::from_nanos(1)), "1n");
        assert_eq!(of(Duration::from_millis(10)), "10000000n");
        assert_eq!(of(Duration::from_millis(100)), "100000u");
        assert_eq!(of(Duration::from_secs(20)), "20000000u");
        assert_eq!(of(Duration::new(100, 1)), "100001m");
        assert_eq!(of(Duration::MAX), "99999999H");
    }

    #[test]
    fn frames_the_message() {
        let message = HelloRequest { name: "Joe".into(), sleep_millisecond: 10 };
        assert_eq!(&framed(&message)[..], b"\0\0\0\0\x07\x0a\x03Joe\x10\x0a");
    }

    #[test]
    fn refuses_a_timeout_of_nothing() {
        let target = Target::resolve("127.0.0.1:9999").unwrap();
        assert!(Prepared::new(&target, "/a/b", &HelloRequest::default(), Duration::ZERO).is_err());
    }
}
