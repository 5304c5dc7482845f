//! Calls of the Greeter as bytes: good ones in every shape that is allowed, and such with one fault.

use proptest::prelude::*;
use proptest::sample::Index;

/// The largest frame that a server must accept (RFC 9113, 4.2).
const FRAME_BYTES_MAX: usize = 16_384;

/// A call, before it is bytes.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    name: String,
    /// Name and value; pseudo-header fields first.
    fields: Vec<(String, Vec<u8>)>,
    /// What the DATA frames carry, in all.
    body: Vec<u8>,
    /// Where the body is cut into frames.
    cuts: Vec<usize>,
    /// A DATA frame's padding, in all frames.
    padding: Option<u8>,
    /// Fields behind the body; END_STREAM is theirs then.
    trailers: Option<Vec<(String, Vec<u8>)>>,
    /// The header block is cut into HEADERS and CONTINUATION here.
    block_cut: Option<usize>,
    /// END_STREAM comes with a frame of its own.
    ends_apart: bool,
    /// The client takes the call back.
    resets: bool,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What is wrong with a call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

faults! {
    FlagTwo,
    CompressedWithoutEncoding,
    UnknownEncoding,
    TruncatedMessage,
    TruncatedPrefix,
    NoMessage,
    TwoMessages,
    OctetsBehindTheMessage,
    AnnouncesTooMuch,
    BadProtobuf,
    UnknownMethod,
    UnknownService,
    PathWithoutSlash,
    PathWithQuery,
    EmptyPath,
    NoPath,
    PathTwice,
    Get,
    NoMethod,
    WrongContentType,
    NoContentType,
    ContentTypeOfGrpcWeb,
    NoTe,
    TeGzip,
    TimeoutGarbage,
    TimeoutTooLong,
    TimeoutZero,
    TimeoutTwice,
    UpperCaseName,
    NameWithSpace,
    ConnectionField,
    TransferEncoding,
    PseudoBehindField,
    UnknownPseudo,
    PseudoInTrailers,
    SpaceAtValuesEnd,
    ControlInValue,
    TwoHosts,
    HostIsNotAuthority,
    ContentLengthTooLarge,
    ContentLengthTooSmall,
    ContentLengthNoNumber,
    BadBase64,
    ListTooLarge,
    TooManyFields,
    TrailersWithoutEnd,
    SleepsTooLong,
    DeadlinePasses,
    ResetByClient,
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, id: u32, payload: &[u8]) {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    out.extend_from_slice(&[a, b, c, kind, flags]);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(payload);
}

/// The preface, SETTINGS and their acknowledgement.
pub(crate) fn opening() -> Vec<u8> {
    let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut out, 4, 0, 0, &[]);
    frame(&mut out, 4, 1, 0, &[]);
    out
}

/// HelloRequest.
fn hello(name: &str, sleep_ms: u32) -> Vec<u8> {
    let mut out = vec![0x0a];
    varint(&mut out, name.len() as u32);
    out.extend_from_slice(name.as_bytes());
    if sleep_ms > 0 {
        out.push(0x10);
        varint(&mut out, sleep_ms);
    }
    out
}

fn varint(out: &mut Vec<u8>, mut n: u32) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn message(flag: u8, payload: &[u8]) -> Vec<u8> {
    [&[flag][..], &(payload.len() as u32).to_be_bytes(), payload].concat()
}

/// Literals that enter no table: what a block means does not depend on another.
fn block(fields: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let string = |out: &mut Vec<u8>, octets: &[u8]| {
        if octets.len() < 127 {
            out.push(octets.len() as u8);
        } else {
            out.push(127);
            varint(out, octets.len() as u32 - 127);
        }
        out.extend_from_slice(octets);
    };
    for (name, value) in fields {
        out.push(0);
        string(&mut out, name.as_bytes());
        string(&mut out, value);
    }
    out
}

impl Call {
    /// The plainest.
    pub(crate) fn good() -> Self {
        let fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/helloworld.Greeter/SayHello"),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        ];
        Self {
            name: "you".to_owned(),
            fields: fields.map(|(name, value)| (name.to_owned(), value.into())).into(),
            body: message(0, &hello("you", 0)),
            cuts: Vec::new(),
            padding: None,
            trailers: None,
            block_cut: None,
            ends_apart: false,
            resets: false,
        }
    }

    /// The message of a good call's answer.
    pub(crate) fn expected_reply(&self) -> Vec<u8> {
        message(0, &hello(&format!("Hello, {}!", self.name), 0))
    }

    /// Its header block has CONTINUATION.
    pub(crate) fn is_in_parts(&self) -> bool {
        self.block_cut.is_some()
    }

    /// The call's frames.
    pub(crate) fn bytes(&self, id: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let block_of_fields = block(&self.fields);
        let at = self.block_cut.unwrap_or(FRAME_BYTES_MAX).min(block_of_fields.len()).min(FRAME_BYTES_MAX);
        let (head, rest) = block_of_fields.split_at(at);
        let fragments: Vec<_> = [head].into_iter().chain(rest.chunks(FRAME_BYTES_MAX)).collect();
        for (i, fragment) in fragments.iter().enumerate() {
            let end_headers = if i + 1 == fragments.len() { 4 } else { 0 };
            frame(&mut out, if i == 0 { 1 } else { 9 }, end_headers, id, fragment);
        }
        let mut cuts: Vec<_> = self.cuts.iter().map(|cut| cut % (self.body.len() + 1)).collect();
        cuts.extend([0, self.body.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|pair| &self.body[pair[0]..pair[1]]).collect();
        let ends_with_data = self.trailers.is_none() && !self.ends_apart;
        for (i, piece) in pieces.iter().enumerate() {
            let end = u8::from(ends_with_data && i + 1 == pieces.len());
            match self.padding {
                None => frame(&mut out, 0, end, id, piece),
                Some(n) => frame(&mut out, 0, end | 8, id, &[&[n][..], piece, &vec![0; usize::from(n)]].concat()),
            }
        }
        if self.resets {
            frame(&mut out, 3, 0, id, &8_u32.to_be_bytes());
        } else if let Some(fields) = &self.trailers {
            frame(&mut out, 1, if self.ends_apart { 4 } else { 5 }, id, &block(fields));
        } else if self.ends_apart {
            frame(&mut out, 0, 1, id, &[]);
        }
        out
    }

    /// The same, with a fault.
    pub(crate) fn with(mut self, fault: Fault) -> Self {
        let good = hello(&self.name, 0);
        match fault {
            Fault::FlagTwo => self.body[0] = 2,
            Fault::CompressedWithoutEncoding => self.body[0] = 1,
            Fault::UnknownEncoding => {
                self.body[0] = 1;
                self.put("grpc-encoding", "lzma");
            }
            Fault::TruncatedMessage => self.body.truncate(self.body.len() - 1),
            Fault::TruncatedPrefix => self.body.truncate(3),
            Fault::NoMessage => self.body.clear(),
            Fault::TwoMessages => self.body.extend(message(0, &good)),
            Fault::OctetsBehindTheMessage => self.body.extend([0, 0]),
            Fault::AnnouncesTooMuch => self.body[1] = 0x7f,
            Fault::BadProtobuf => self.body = message(0, &[0x0a, 0x7f, 1]),
            Fault::UnknownMethod => self.set(":path", "/helloworld.Greeter/SayGoodbye"),
            Fault::UnknownService => self.set(":path", "/helloworld.Nobody/SayHello"),
            Fault::PathWithoutSlash => self.set(":path", "helloworld.Greeter/SayHello"),
            Fault::PathWithQuery => self.set(":path", "/helloworld.Greeter/SayHello?a=b"),
            Fault::EmptyPath => self.set(":path", ""),
            Fault::NoPath => self.remove(":path"),
            Fault::PathTwice => self.fields.insert(0, (":path".to_owned(), b"/".to_vec())),
            Fault::Get => self.set(":method", "GET"),
            Fault::NoMethod => self.remove(":method"),
            Fault::WrongContentType => self.set("content-type", "application/json"),
            Fault::NoContentType => self.remove("content-type"),
            Fault::ContentTypeOfGrpcWeb => self.set("content-type", "application/grpc-web"),
            Fault::NoTe => self.remove("te"),
            Fault::TeGzip => self.set("te", "gzip"),
            Fault::TimeoutGarbage => self.put("grpc-timeout", "1x"),
            Fault::TimeoutTooLong => self.put("grpc-timeout", "123456789m"),
            Fault::TimeoutZero => self.put("grpc-timeout", "0n"),
            Fault::TimeoutTwice => {
                self.put("grpc-timeout", "1S");
                self.add("grpc-timeout", "x");
            }
            Fault::UpperCaseName => self.add("X-Upper", "x"),
            Fault::NameWithSpace => self.add("x y", "x"),
            Fault::ConnectionField => self.add("connection", "close"),
            Fault::TransferEncoding => self.add("transfer-encoding", "chunked"),
            Fault::PseudoBehindField => {
                self.remove(":path");
                self.add(":path", "/helloworld.Greeter/SayHello");
            }
            Fault::UnknownPseudo => self.fields.insert(0, (":version".to_owned(), b"2".to_vec())),
            Fault::PseudoInTrailers => self.trailers = Some(vec![(":path".to_owned(), b"/".to_vec())]),
            Fault::SpaceAtValuesEnd => self.add("x-space", "x "),
            Fault::ControlInValue => self.add("x-control", "a\nb"),
            Fault::TwoHosts => {
                self.add("host", "localhost");
                self.add("host", "localhost");
            }
            Fault::HostIsNotAuthority => self.add("host", "elsewhere"),
            Fault::ContentLengthTooLarge => self.add("content-length", "1000"),
            Fault::ContentLengthTooSmall => self.add("content-length", "2"),
            Fault::ContentLengthNoNumber => self.add("content-length", "two"),
            Fault::BadBase64 => self.put("x-a-bin", "*"),
            Fault::ListTooLarge => (0..6).for_each(|_| self.add("x-large", &"x".repeat(3000))),
            Fault::TooManyFields => (0..130).for_each(|_| self.add("x", "")),
            Fault::TrailersWithoutEnd => {
                self.trailers = Some(vec![("x".to_owned(), b"y".to_vec())]);
                self.ends_apart = true;
            }
            Fault::SleepsTooLong => self.body = message(0, &hello("", 60_001)),
            Fault::DeadlinePasses => {
                self.put("grpc-timeout", "10m");
                self.body = message(0, &hello("", 500));
            }
            Fault::ResetByClient => {
                self.body.truncate(4);
                self.ends_apart = true;
                self.resets = true;
            }
        }
        self
    }

    fn put(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.add(name, value);
    }

    fn add(&mut self, name: &str, value: &str) {
        self.fields.push((name.to_owned(), value.into()));
    }

    fn remove(&mut self, name: &str) {
        self.fields.retain(|(known, _)| known != name);
    }

    fn set(&mut self, name: &str, value: &str) {
        let field = self.fields.iter_mut().find(|(known, _)| known == name).expect("a good call has it");
        field.1 = value.into();
    }
}

/// Good calls of every shape.
pub(crate) fn good() -> impl Strategy<Value = Call> {
    let metadata = prop_oneof![
        Just(("user-agent", "grpc-test/1")),
        Just(("grpc-timeout", "1H")),
        Just(("grpc-encoding", "identity")),
        Just(("grpc-accept-encoding", "gzip,identity")),
        Just(("x-trace-bin", "AAEC")),
        Just(("cookie", "a=b")),
        Just(("x-empty", "")),
    ];
    let shape = (
        prop::option::of(any::<Index>()),
        prop::option::of(0..20_u8),
        prop::option::of(Just(vec![("x-trailer".to_owned(), b"t".to_vec())])),
        any::<bool>(),
        0..3_u32,
    );
    ("[a-zé]{0,40}", prop::collection::vec(metadata, 0..4), prop::collection::vec(0..200_usize, 0..5), shape).prop_map(
        |(name, metadata, cuts, (block_cut, padding, trailers, ends_apart, sleep_ms))| {
            let mut call = Call::good();
            // Twice the same is another matter.
            let mut seen = Vec::new();
            for (name, value) in metadata {
                if !seen.contains(&name) {
                    seen.push(name);
                    call.add(name, value);
                }
            }
            let body = message(0, &hello(&name, sleep_ms * 10));
            let block_cut = block_cut.map(|cut| cut.index(100));
            let ends_apart = ends_apart && trailers.is_none();
            Call { name, body, cuts, padding, trailers, block_cut, ends_apart, ..call }
        },
    )
}

/// Calls with one fault each, but for it of every shape.
pub(crate) fn with_a_fault() -> impl Strategy<Value = (Call, Fault)> {
    (good(), prop::sample::select(Fault::ALL)).prop_map(|(call, fault)| (call.with(fault), fault))
}
