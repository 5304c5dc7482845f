//! The context of a call in a trace: the field `traceparent` of W3C Trace Context, level 2, version 00.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use http::HeaderValue;

use crate::grpc::Head;
use crate::observe::trace::state;

/// `00-` and three more parts: trace-id of 32 digits, parent-id of 16, flags of 2.
const PARENT_BYTES: usize = 55;

/// The caller may have recorded the call ("sampled flag").
const SAMPLED: u8 = 0b01;

/// At least the last seven bytes of the trace's number are random ("random trace ID flag").
const RANDOM: u8 = 0b10;

/// The place of a call in a trace that goes through several services: which trace, which span of it, and whether that is recorded.
///
/// It is read from the field `traceparent` of a call, and written into those of the calls that its handler makes by a
/// [`Channel`](crate::client::Channel). [`current_trace`](crate::current_trace) has the one of the call whose handler is running. Its `Display` form is that field's value.
#[derive(Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
    /// The value of `tracestate`, if there is any.
    state: Option<Arc<str>>,
}

impl TraceContext {
    /// Reads the value of a `traceparent` field. `None`, as if there were no such field, where it is not valid: then a new trace begins.
    ///
    /// Of versions that are not known yet, the parts that version 00 has are read, as it demands.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, beyond) = value.split_at_checked(PARENT_BYTES)?;
        let [version] = bytes(&known[..2])?;
        let is_whole = match version {
            0 => beyond.is_empty(),
            0xff => false,
            _ => matches!(beyond, [] | [b'-', ..]),
        };
        if !is_whole || [2, 35, 52].iter().any(|dash| known[*dash] != b'-') {
            return None;
        }
        let (trace_id, span_id) = (bytes(&known[3..35])?, bytes(&known[36..52])?);
        let [flags] = bytes(&known[53..])?;
        if trace_id == [0; 16] || span_id == [0; 8] {
            return None;
        }
        Some(Self { trace_id, span_id, flags: flags & (SAMPLED | RANDOM), state: None })
    }

    /// What a request says of its trace. `None` where it says nothing, several things, or nothing valid.
    pub(in crate::observe) fn of(head: &Head) -> Option<Self> {
        let (mut parent, mut n_parents) = (None, 0);
        let mut states = Vec::new();
        head.for_each_field(|name, value| match name {
            b"traceparent" => (parent, n_parents) = (Self::parse(value), n_parents + 1),
            b"tracestate" => states.push(value.to_vec()),
            _ => {}
        });
        let parent = parent.filter(|_| n_parents == 1)?;
        Some(Self { state: state::joined(&states).map(Arc::from), ..parent })
    }

    /// A span of a trace that begins with it, whose numbers were made by chance.
    #[cfg(feature = "otel")]
    pub(in crate::observe) fn root(trace_id: [u8; 16], span_id: [u8; 8], is_sampled: bool) -> Self {
        Self { trace_id, span_id, flags: RANDOM | if is_sampled { SAMPLED } else { 0 }, state: None }
    }

    /// Another span of its trace, of which it is the parent. What it says besides goes on.
    #[cfg(feature = "otel")]
    pub(in crate::observe) fn child(&self, span_id: [u8; 8]) -> Self {
        Self { span_id, ..self.clone() }
    }

    /// The number of the trace.
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The number of the span within it that is this call's, where this server tells a collector of its calls; otherwise of its caller's span.
    pub fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// Whether the trace is recorded, by those who record a part of all traces.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The flags, of which two are known: 1 for sampled, 2 for a random trace number.
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// What tracing systems have added: the value of `tracestate`, at most 512 bytes of it. It goes on as it came.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Its value of `traceparent`, for a request.
    pub(crate) fn traceparent(&self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).expect("digits and dashes")
    }

    /// Its value of `tracestate`, if there is one.
    pub(crate) fn tracestate(&self) -> Option<HeaderValue> {
        self.state().map(|state| HeaderValue::from_str(state).expect("it was a field's"))
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", Hex(&self.trace_id), Hex(&self.span_id), self.flags)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceContext({self})")
    }
}

/// Bytes in digits, as traces are written.
pub(in crate::observe) struct Hex<'a>(pub(in crate::observe) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            for digit in [byte >> 4, byte & 0xf] {
                f.write_char(char::from(b"0123456789abcdef"[usize::from(digit)]))?;
            }
        }
        Ok(())
    }
}

/// The bytes that are written so; in lower case alone.
fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "12345678901234567890123456789012";
    const SPAN: &str = "1234567890123456";

    fn read(value: &str) -> Option<String> {
        TraceContext::parse(value.as_bytes()).map(|context| context.to_string())
    }

    /// The cases of the specification's own test suite (w3c/trace-context, test/test.py), and its examples.
    #[test]
    fn reads_what_is_valid() {
        let example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = TraceContext::parse(example.as_bytes()).unwrap();
        assert_eq!(context.trace_id(), 0x4bf92f3577b34da6a3ce929d0e0e4736_u128.to_be_bytes());
        assert_eq!(context.span_id(), 0x00f067aa0ba902b7_u64.to_be_bytes());
        assert!(context.is_sampled());
        assert_eq!(context.to_string(), example);
        assert!(!TraceContext::parse(format!("00-{TRACE}-{SPAN}-00").as_bytes()).unwrap().is_sampled());
        // Flags that nobody knows are not passed on.
        assert_eq!(read(&format!("00-{TRACE}-{SPAN}-ff")), Some(format!("00-{TRACE}-{SPAN}-03")));
        // Versions to come, whose first parts are those of this one.
        for future in ["cc", "01", "fe"] {
            for beyond in ["", "-what-the-future-will-be-like", "-"] {
                assert_eq!(read(&format!("{future}-{TRACE}-{SPAN}-01{beyond}")), Some(format!("00-{TRACE}-{SPAN}-01")), "{future}{beyond}");
            }
        }
    }

    #[test]
    fn takes_nothing_else() {
        let bad = [
            String::new(),
            "00".into(),
            // Version.
            format!("ff-{TRACE}-{SPAN}-01"),
            format!(".0-{TRACE}-{SPAN}-01"),
            format!("0.-{TRACE}-{SPAN}-01"),
            format!("000-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01."),
            format!("00-{TRACE}-{SPAN}-01-what-the-future-will-be-like"),
            format!("cc-{TRACE}-{SPAN}-01.what-the-future-will-not-be-like"),
            // Trace.
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-.{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{}.-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}3-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{}-{SPAN}-01", "ABCDEFABCDEFABCDEFABCDEFABCDEFAB"),
            // Parent.
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-.{}-01", &SPAN[1..]),
            format!("00-{TRACE}-{}.-01", &SPAN[1..]),
            format!("00-{TRACE}-{SPAN}7-01"),
            format!("00-{TRACE}-{}-01", &SPAN[1..]),
            // Flags.
            format!("00-{TRACE}-{SPAN}-.0"),
            format!("00-{TRACE}-{SPAN}-0."),
            format!("00-{TRACE}-{SPAN}-001"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-0A"),
            // Dashes.
            format!("00_{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}_{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}_01"),
        ];
        for value in bad {
            assert_eq!(read(&value), None, "{value}");
        }
    }
}
