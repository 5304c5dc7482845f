//! A method of any .proto file, called with messages from JSON: for those who ask which loop suits their own service.
//!
//! The messages are known at run time only. The requests are encoded once; a reply is right when it decodes as what the method returns, and when it is what
//! was promised (`promise`), where that is known.

use std::fmt;
use std::path::{Path, PathBuf};

use prost::Message;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, MethodDescriptor, ReflectMessage, ServiceDescriptor, Value};
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};

use crate::Error;
use crate::load::data::missing;
use crate::load::promise::{self, Promise};

/// The most bytes that a call's messages may have together: they are held encoded, once. 64 MiB.
const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct MethodCall<'a> {
    /// The file, and the folders beside its own in which its imports are found.
    pub(crate) proto: &'a Path,
    pub(crate) includes: &'a [PathBuf],
    /// `pkg.Service/Method`, or `pkg.Service.Method` as ghz has it.
    pub(crate) call: &'a str,
    /// The request by protobuf's JSON mapping; for a method that takes a stream also a list of them.
    pub(crate) json: &'a str,
    /// How many messages a call sends, those of `json` over and over; without it each once.
    pub(crate) n_messages: Option<usize>,
    /// How many messages are expected of each answer; without it what the requests promise, or any number.
    pub(crate) n_replies: Option<u64>,
    /// A field that is padded to so many bytes in each message.
    pub(crate) padding: Option<(&'a str, usize)>,
}

/// A method, and the requests that it is called with.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    /// As `:path` has it.
    pub(super) path: String,
    /// Encoded; exactly one, unless the method takes a stream.
    pub(super) requests: Vec<Vec<u8>>,
    pub(super) reply: MessageDescriptor,
    /// Whether an answer is a stream.
    pub(super) streams_replies: bool,
    /// Whether a request is one.
    pub(super) streams_requests: bool,
    /// How many messages each answer is to have, where that is known.
    pub(super) n_replies: Option<u64>,
    /// What each of them is to be, in their order, where that is known.
    pub(super) promises: Option<Vec<Promise>>,
}

impl Method {
    /// Reads the file, finds the method, and reads its requests.
    ///
    /// # Errors
    ///
    /// The file cannot be read or does not parse, there is no such method, the JSON does not fit (which field, and where), or what is asked for is for methods
    /// that stream and this one does not.
    pub(crate) fn read(of: &MethodCall<'_>) -> Result<Self, Error> {
        let method = find(&services(of.proto, of.includes)?, of.proto, of.call)?;
        let (streams_requests, streams_replies) = (method.is_client_streaming(), method.is_server_streaming());
        let misplaced = [
            ("--stream-call-count", "takes no stream: a call sends one message", of.n_messages.is_some() && !streams_requests),
            ("--replies", "answers with one message, not with a stream", of.n_replies.is_some() && !streams_replies),
        ];
        if let Some((flag, why, _)) = misplaced.into_iter().find(|(_, _, is_misplaced)| *is_misplaced) {
            return Err(Error::usage(format!("{flag} is for methods that stream; {} {why}; leave {flag} out", method.full_name())));
        }
        let mut messages = if streams_requests { messages(method.input(), of.json)? } else { vec![message(method.input(), of.json)?] };
        if let Some((field, n_bytes)) = of.padding {
            for message in &mut messages {
                pad(message, field, n_bytes)?;
            }
        }
        let messages = repeated(messages, of.n_messages)?;
        let promises = promise::of(&method, &messages);
        Ok(Self {
            path: format!("/{}/{}", method.parent_service().full_name(), method.name()),
            requests: messages.iter().map(Message::encode_to_vec).collect(),
            reply: method.output(),
            streams_replies,
            streams_requests,
            n_replies: of.n_replies.or(promises.as_ref().map(|promises| promises.len() as u64)),
            promises,
        })
    }

    /// Why the bytes are not the reply at this place of an answer, if so.
    pub(super) fn reject(&self, place: u64, reply: &[u8]) -> Option<String> {
        match DynamicMessage::decode(self.reply.clone(), reply) {
            Err(error) => Some(format!("wrong reply: not a {}: {error}", self.reply.full_name())),
            Ok(reply) => self.promise(place)?.broken_by(&reply),
        }
    }

    /// What the reply at this place is to be, where that is known.
    pub(super) fn promise(&self, place: u64) -> Option<Promise> {
        self.promises.as_ref()?.get(usize::try_from(place).ok()?).copied()
    }
}

/// All services of the file and of what it imports.
fn services(proto: &Path, includes: &[PathBuf]) -> Result<Vec<ServiceDescriptor>, Error> {
    // Its debug form is the one with line and column.
    let bad = |error: protox::Error| {
        let hint = if error.is_file_not_found() { "; name the folders that imports are found in with --import-path" } else { "" };
        Error::usage(format!("bad --proto {}: {error:?}{hint}", proto.display()))
    };
    let folder = proto.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A file is imported by its name within one of these folders; the more particular ones come last.
    let folders = includes.iter().map(PathBuf::as_path).chain([folder]);
    let mut compiler = protox::Compiler::new(folders).map_err(bad)?;
    compiler.include_imports(true).open_file(proto).map_err(bad)?;
    Ok(compiler.descriptor_pool().services().collect())
}

fn find(services: &[ServiceDescriptor], proto: &Path, call: &str) -> Result<MethodDescriptor, Error> {
    let (service_name, name) = call.rsplit_once(['/', '.']).unwrap_or((call, ""));
    let Some(service) = services.iter().find(|service| service.full_name() == service_name.trim_start_matches('/')) else {
        let known = list(services.iter().map(ServiceDescriptor::full_name));
        let file = proto.display();
        return Err(Error::usage(format!(
            "bad --call {call}: no service `{service_name}` in {file}; it has: {known}. Write it as in pkg.Service/Method"
        )));
    };
    let method = service.methods().find(|method| method.name() == name);
    method.ok_or_else(|| {
        let methods: Vec<_> = service.methods().collect();
        let known = list(methods.iter().map(MethodDescriptor::name));
        Error::usage(format!("bad --call {call}: {service_name} has no method `{name}`; it has: {known}"))
    })
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// The one message of a method that takes no stream.
fn message(descriptor: MessageDescriptor, json: &str) -> Result<DynamicMessage, Error> {
    if is_list(json) {
        let name = descriptor.full_name();
        return Err(Error::usage(format!(
            "--data is no {name}: a list of messages is for methods that take a stream; this one takes one message"
        )));
    }
    from_json(descriptor.full_name(), descriptor.clone(), json)
}

/// The messages of a method that takes a stream: one, or a list of them.
fn messages(descriptor: MessageDescriptor, json: &str) -> Result<Vec<DynamicMessage>, Error> {
    if is_list(json) {
        return from_json(&format!("list of {}", descriptor.full_name()), Messages(descriptor), json);
    }
    Ok(vec![from_json(descriptor.full_name(), descriptor.clone(), json)?])
}

fn is_list(json: &str) -> bool {
    json.trim_start().starts_with('[')
}

/// Reads `what` from JSON.
fn from_json<T>(what: &str, seed: impl for<'de> DeserializeSeed<'de, Value = T>, json: &str) -> Result<T, Error> {
    let mut json = serde_json::Deserializer::from_str(json);
    let mut track = serde_path_to_error::Track::new();
    let read = seed.deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track));
    let value = read.map_err(|error| match track.path().to_string() {
        path if path == "." => Error::usage(format!("--data is no {what}: {error}")),
        path => Error::usage(format!("--data is no {what}: `{path}`: {error}")),
    })?;
    json.end().map_err(|error| Error::usage(format!("--data is no {what}: {error}")))?;
    Ok(value)
}

/// Reads a list of messages.
struct Messages(MessageDescriptor);

impl<'de> DeserializeSeed<'de> for Messages {
    type Value = Vec<DynamicMessage>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Messages {
    type Value = Vec<DynamicMessage>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", self.0.full_name())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut messages = Vec::new();
        while let Some(message) = list.next_element_seed(self.0.clone())? {
            messages.push(message);
        }
        Ok(messages)
    }
}

/// So many messages, these over and over.
fn repeated(messages: Vec<DynamicMessage>, n: Option<usize>) -> Result<Vec<DynamicMessage>, Error> {
    let n = n.unwrap_or(messages.len());
    if messages.is_empty() && n > 0 {
        return Err(Error::usage(format!("--stream-call-count {n} asks for messages, and --data has none; give it at least one")));
    }
    // Each has a prefix of five bytes. Whole turns through the list are counted.
    let n_bytes_a_turn: usize = messages.iter().map(|message| 5 + message.encoded_len()).sum();
    let n_bytes = n_bytes_a_turn.saturating_mul(n.div_ceil(messages.len().max(1)));
    if n_bytes > REQUEST_BYTES_MAX {
        return Err(Error::usage(format!(
            "a call's {n} messages have more than the {REQUEST_BYTES_MAX} bytes that a call may; ask for fewer, or for smaller ones"
        )));
    }
    Ok(messages.into_iter().cycle().take(n).collect())
}

/// Pads a text or bytes, found by its name and those of the messages that it is in, as in `payload.body`, with x.
fn pad(message: &mut DynamicMessage, field: &str, n_bytes: usize) -> Result<(), Error> {
    let name = message.descriptor().full_name().to_owned();
    let bad = |what: &str| Error::usage(format!("bad --payload-field {field}: {name} {what}"));
    let (inner, last) = field.rsplit_once('.').map_or((None, field), |(inner, last)| (Some(inner), last));
    let mut message = message;
    for part in inner.into_iter().flat_map(|inner| inner.split('.')) {
        let of = message.descriptor().get_field_by_name(part).ok_or_else(|| bad(&format!("has no field `{part}` there")))?;
        if !matches!(of.kind(), Kind::Message(_)) || of.is_list() || of.is_map() {
            return Err(bad(&format!("has no message in `{part}`")));
        }
        let Value::Message(next) = message.get_field_mut(&of) else { unreachable!("its kind is a message") };
        message = next;
    }
    let of = message.descriptor().get_field_by_name(last).ok_or_else(|| bad(&format!("has no field `{last}` there")))?;
    if of.is_list() || !matches!(of.kind(), Kind::String | Kind::Bytes) {
        return Err(bad("has neither a string nor bytes there"));
    }
    match message.get_field_mut(&of) {
        Value::String(text) => text.extend(std::iter::repeat_n('x', missing(text.len(), n_bytes)?)),
        Value::Bytes(bytes) => {
            let n_missing = missing(bytes.len(), n_bytes)?;
            *bytes = bytes.iter().copied().chain(std::iter::repeat_n(b'x', n_missing)).collect();
        }
        _ => unreachable!("its kind is a string or bytes"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTO: &str = r#"syntax = "proto3";
package shop;
message Item { string name = 1; repeated int32 sizes = 2; Item part = 3; bytes raw = 4; }
message Bill { uint64 cents = 1; }
service Till {
  rpc Add (Item) returns (Bill);
  rpc Watch (Item) returns (stream Bill);
  rpc Sum (stream Item) returns (Bill);
  rpc Each (stream Item) returns (stream Bill);
}
"#;

    /// With what is asked for besides.
    fn read_with(proto: &str, of: MethodCall<'_>) -> Result<Method, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.proto");
        std::fs::write(&file, proto).unwrap();
        Method::read(&MethodCall { proto: &file, ..of }).map_err(|error| error.to_string())
    }

    fn read(proto: &str, call: &str, json: &str) -> Result<Method, String> {
        read_with(proto, asked(call, json))
    }

    fn asked<'a>(call: &'a str, json: &'a str) -> MethodCall<'a> {
        MethodCall { proto: Path::new(""), call, json, includes: &[], n_messages: None, n_replies: None, padding: None }
    }

    #[test]
    fn encodes_what_the_json_says() {
        for call in ["shop.Till/Add", "shop.Till.Add", "/shop.Till/Add"] {
            let method = read(PROTO, call, r#"{"name":"nut","sizes":[3,5],"part":{"name":"x"}}"#).unwrap();
            assert_eq!(method.path, "/shop.Till/Add");
            assert_eq!(method.requests, [b"\x0a\x03nut\x12\x02\x03\x05\x1a\x03\x0a\x01x"]);
            assert_eq!(method.reject(0, b"\x08\x07"), None);
            assert!(method.reject(0, b"\x08").unwrap().starts_with("wrong reply: not a shop.Bill: "));
        }
        assert_eq!(read(PROTO, "shop.Till/Add", "{}").unwrap().requests, [b""]);
    }

    #[test]
    fn a_stream_has_as_many_messages_as_are_asked_for() {
        let requests = |call, json, n_messages| read_with(PROTO, MethodCall { n_messages, ..asked(call, json) }).unwrap().requests;
        let (a, b) = (b"\x0a\x01a".to_vec(), b"\x0a\x01b".to_vec());
        let list = r#" [{"name":"a"}, {"name":"b"}]"#;
        assert_eq!(requests("shop.Till/Sum", list, None), [&a[..], &b]);
        assert_eq!(requests("shop.Till/Each", list, Some(3)), [&a[..], &b, &a]);
        assert_eq!(requests("shop.Till/Each", list, Some(1)), [&a[..]]);
        assert_eq!(requests("shop.Till/Sum", r#"{"name":"a"}"#, Some(2)), [&a[..], &a]);
        assert!(requests("shop.Till/Sum", "[]", None).is_empty());
        assert!(requests("shop.Till/Sum", "{}", Some(0)).is_empty());
        let method = read_with(PROTO, MethodCall { n_replies: Some(5), ..asked("shop.Till/Watch", "{}") }).unwrap();
        assert_eq!((method.n_replies, method.streams_replies, method.streams_requests), (Some(5), true, false));
    }

    #[test]
    fn a_field_is_padded() {
        let padded =
            |field, n| read_with(PROTO, MethodCall { padding: Some((field, n)), ..asked("shop.Till/Sum", r#"[{"name":"ab"},{}]"#) });
        assert_eq!(padded("name", 3).unwrap().requests, [b"\x0a\x03abx", b"\x0a\x03xxx"]);
        assert_eq!(padded("part.part.raw", 1).unwrap().requests[1], b"\x1a\x05\x1a\x03\x22\x01x");
        assert!(padded("name", 1).unwrap_err().contains("--payload 1 is less than the 2 bytes that are there"));
        for (field, what) in
            [("nam", "no field `nam`"), ("sizes", "neither a string nor bytes"), ("name.x", "no message in `name`"), ("", "no field ``")]
        {
            let error = padded(field, 3).unwrap_err();
            assert!(error.contains("bad --payload-field") && error.contains(what), "{error}");
        }
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let call = "shop.Till/Add";
        let cases = [
            (PROTO, "shop.Tool/Add", "{}", "no service `shop.Tool` in"),
            (PROTO, "shop.Tool/Add", "{}", "it has: shop.Till. Write it as in pkg.Service/Method"),
            (PROTO, "Add", "{}", "no service `Add` in"),
            (PROTO, "shop.Till/Sub", "{}", "shop.Till has no method `Sub`; it has: Add, Watch, Sum, Each"),
            (PROTO, call, r#"{"nam":"x"}"#, "--data is no shop.Item: unrecognized field name 'nam' at line 1 column 6"),
            (PROTO, call, r#"{"name":7}"#, "--data is no shop.Item: `name`: invalid type: integer `7`, expected a string"),
            (PROTO, call, r#"{"part":{"sizes":[1,"x"]}}"#, "--data is no shop.Item: `part.sizes[1]`: "),
            (PROTO, call, r#"{"name":"x"} {}"#, "--data is no shop.Item: trailing characters"),
            (PROTO, call, "", "--data is no shop.Item: EOF"),
            (PROTO, call, "[]", "--data is no shop.Item: a list of messages is for methods that take a stream"),
            (PROTO, "shop.Till/Watch", "[{}]", "--data is no shop.Item: a list of messages is for methods that take a stream"),
            (PROTO, "shop.Till/Sum", r#"[{}, {"name":7}]"#, "--data is no list of shop.Item: `[1].name`: invalid type: integer `7`"),
            (PROTO, "shop.Till/Sum", "[{}", "--data is no list of shop.Item: EOF"),
            (PROTO, "shop.Till/Sum", "[{}] 7", "--data is no list of shop.Item: trailing characters"),
            (PROTO, "shop.Till/Sum", "7", "--data is no shop.Item: invalid type: integer `7`"),
            ("syntax = \"proto3\";\nmessage {", call, "{}", "2:9"),
            ("syntax = \"proto3\";\nimport \"gone.proto\";", call, "{}", "gone.proto"),
            ("syntax = \"proto3\";\nimport \"gone.proto\";", call, "{}", "with --import-path"),
        ];
        let told = cases.map(|(proto, call, json, expected)| (expected, read(proto, call, json).unwrap_err()));
        let missed: Vec<_> = told.iter().filter(|(expected, error)| !error.contains(expected)).collect();
        assert!(missed.is_empty(), "{missed:#?}");
        let error = Method::read(&MethodCall { proto: Path::new("/nowhere/x.proto"), ..asked(call, "{}") }).unwrap_err().to_string();
        assert!(error.starts_with("bad --proto /nowhere/x.proto: "), "{error}");
    }

    #[test]
    fn what_is_for_streams_is_refused_elsewhere() {
        let refused = |of| read_with(PROTO, of).unwrap_err();
        let error = refused(MethodCall { n_messages: Some(2), ..asked("shop.Till/Watch", "{}") });
        assert!(error.starts_with("--stream-call-count is for methods that stream; shop.Till.Watch takes no stream"), "{error}");
        let error = refused(MethodCall { n_replies: Some(2), ..asked("shop.Till/Sum", "{}") });
        assert!(error.starts_with("--replies is for methods that stream; shop.Till.Sum answers with one message"), "{error}");
        let error = refused(MethodCall { n_messages: Some(2), ..asked("shop.Till/Sum", "[]") });
        assert!(error.contains("--stream-call-count 2 asks for messages, and --data has none"), "{error}");
        let error = refused(MethodCall { n_messages: Some(usize::MAX), ..asked("shop.Till/Sum", "{}") });
        assert!(error.contains("more than the 67108864 bytes that a call may"), "{error}");
    }
}
