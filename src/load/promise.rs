//! What is known of the replies beforehand: those of gRPC's testing service follow from the requests (gRPC, interop-test-descriptions.md). Of other services
//! nothing is known but the type.

use prost_reflect::{DynamicMessage, MethodDescriptor, Value};

/// The service, as gRPC has it.
const TEST_SERVICE: &str = "grpc.testing.TestService";

/// What a reply is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// With a payload of so many bytes.
    Payload(usize),
    /// The bytes of all payloads of the requests.
    Sum(usize),
}

/// What the messages of an answer are to be, in their order, where the method is one of gRPC's testing service.
pub(super) fn of(method: &MethodDescriptor, requests: &[DynamicMessage]) -> Option<Vec<Promise>> {
    if method.parent_service().full_name() != TEST_SERVICE {
        return None;
    }
    match method.name() {
        "UnaryCall" => requests.iter().map(|request| number(request, "response_size").map(Promise::Payload)).collect(),
        "StreamingInputCall" => Some(vec![Promise::Sum(requests.iter().map(payload_bytes).sum())]),
        "StreamingOutputCall" | "FullDuplexCall" | "HalfDuplexCall" => {
            let of_request = |request| list(request, "response_parameters").map(|wanted| number(&wanted, "size").map(Promise::Payload));
            requests.iter().flat_map(of_request).collect()
        }
        _ => None,
    }
}

impl Promise {
    /// What is wrong with a reply, if it is not as it was promised.
    pub(super) fn broken_by(self, reply: &DynamicMessage) -> Option<String> {
        let (what, wanted, is) = match self {
            Self::Payload(wanted) => ("a payload of", wanted, payload_bytes(reply)),
            Self::Sum(wanted) => ("a sum of", wanted, number(reply, "aggregated_payload_size").unwrap_or_default()),
        };
        (is != wanted).then(|| format!("wrong reply: {what} {is} bytes where {wanted} were expected"))
    }
}

/// The bytes of a message's payload.
fn payload_bytes(message: &DynamicMessage) -> usize {
    let payload = message.get_field_by_name("payload");
    let body = payload.as_deref().and_then(Value::as_message).and_then(|payload| payload.get_field_by_name("body"));
    body.as_deref().and_then(Value::as_bytes).map_or(0, |body| body.len())
}

/// A field that is a number, if it is one that counts bytes.
fn number(message: &DynamicMessage, field: &str) -> Option<usize> {
    usize::try_from(message.get_field_by_name(field)?.as_i32()?).ok()
}

fn list(message: &DynamicMessage, field: &str) -> impl Iterator<Item = DynamicMessage> + use<> {
    let values = message.get_field_by_name(field).and_then(|field| field.as_list().map(<[Value]>::to_vec)).unwrap_or_default();
    values.into_iter().filter_map(|value| value.as_message().cloned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use prost::Message;

    use super::*;
    use crate::load::{Method, MethodCall};

    fn read(name: &str, json: &str) -> Method {
        let proto = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/proto/grpc/testing/test.proto"));
        let includes = [concat!(env!("CARGO_MANIFEST_DIR"), "/proto").into()];
        let call = format!("{TEST_SERVICE}/{name}");
        Method::read(&MethodCall { proto, includes: &includes, call: &call, json, n_messages: None, n_replies: None, padding: None })
            .unwrap()
    }

    #[test]
    fn the_testing_services_replies_follow_from_the_requests() {
        use Promise::{Payload, Sum};
        let output = r#"{"responseParameters":[{"size":3},{"size":0}]}"#;
        assert_eq!(read("StreamingOutputCall", output).promises, Some(vec![Payload(3), Payload(0)]));
        assert_eq!(read("StreamingOutputCall", "{}").n_replies, Some(0));
        assert_eq!(read("FullDuplexCall", &format!("[{output},{{}},{output}]")).n_replies, Some(4));
        assert_eq!(
            read("StreamingInputCall", r#"[{"payload":{"body":"AAAA"}},{"payload":{"body":"AA=="}},{}]"#).promises,
            Some(vec![Sum(4)])
        );
        assert_eq!(read("UnaryCall", r#"{"responseSize":7}"#).promises, Some(vec![Payload(7)]));
        assert_eq!((read("EmptyCall", "{}").promises, read("EmptyCall", "{}").n_replies), (None, None));
        // What the service refuses promises nothing.
        assert_eq!(read("UnaryCall", r#"{"responseSize":-1}"#).promises, None);
    }

    #[test]
    fn a_broken_promise_is_told() {
        let method = read("StreamingOutputCall", r#"{"responseParameters":[{"size":3},{"size":0}]}"#);
        let reply = |n| {
            let mut payload = DynamicMessage::new(method.reply.get_field_by_name("payload").unwrap().kind().as_message().unwrap().clone());
            payload.set_field_by_name("body", Value::Bytes(vec![0; n].into()));
            let mut reply = DynamicMessage::new(method.reply.clone());
            reply.set_field_by_name("payload", Value::Message(payload));
            reply.encode_to_vec()
        };
        assert_eq!((method.reject(0, &reply(3)), method.reject(1, &reply(0)), method.reject(1, b"")), (None, None, None));
        assert_eq!(method.reject(0, &reply(4)).unwrap(), "wrong reply: a payload of 4 bytes where 3 were expected");
        assert!(method.reject(1, &reply(3)).is_some());
        let method = read("StreamingInputCall", r#"{"payload":{"body":"AAAA"}}"#);
        assert_eq!(method.reject(0, b"\x08\x03"), None);
        assert_eq!(method.reject(0, b"").unwrap(), "wrong reply: a sum of 0 bytes where 3 were expected");
    }
}
