//! The request, as JSON: what protobuf's JSON mapping gives a HelloRequest, read strictly; and as long as is wished.

use serde::de::{Deserialize, Deserializer, Error as _};

use crate::Error;
use crate::greeter::HelloRequest;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
struct Data {
    #[serde(default, deserialize_with = "name")]
    name: String,
    #[serde(default, alias = "sleepMillisecond", deserialize_with = "sleep_millisecond")]
    sleep_millisecond: i32,
}

fn name<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    String::deserialize(value).map_err(|error| D::Error::custom(format_args!("`name`: {error}")))
}

fn sleep_millisecond<'de, D: Deserializer<'de>>(value: D) -> Result<i32, D::Error> {
    i32::deserialize(value).map_err(|error| D::Error::custom(format_args!("`sleep_millisecond`: {error}")))
}

/// Reads a HelloRequest: `{"name": "Joe", "sleep_millisecond": 10}`, or `sleepMillisecond` as protobuf writes it. A field that is left out has its
/// default, "" or 0.
///
/// # Errors
///
/// What is wrong, and at which line and column.
pub(crate) fn parse_data(json: &str) -> Result<HelloRequest, serde_json::Error> {
    // serde would take a list for an object: its fields in order.
    if json.trim_start().starts_with('[') {
        return Err(serde_json::Error::custom("a list where a JSON object is expected, as in {\"name\":\"Joe\"}"));
    }
    let Data { name, sleep_millisecond } = serde_json::from_str(json)?;
    Ok(HelloRequest { name, sleep_millisecond })
}

/// The longest name, or other field, that is asked for, in bytes: with the rest of a message it is below gRPC's default limit of 4 MiB, and so is the reply.
const NAME_BYTES_MAX: usize = 4_000_000;

/// Pads the name to this many bytes; 0 leaves it as it is.
///
/// # Errors
///
/// It is longer already, or would be longer than a server takes.
pub(crate) fn pad_name(request: &mut HelloRequest, n_bytes: usize) -> Result<(), Error> {
    if n_bytes > 0 {
        request.name.extend(std::iter::repeat_n('x', missing(request.name.len(), n_bytes)?));
    }
    Ok(())
}

/// How many bytes are to be added to `len`, so that they are `n_bytes`.
///
/// # Errors
///
/// There are more already, or would be more than a server takes.
pub(super) fn missing(len: usize, n_bytes: usize) -> Result<usize, Error> {
    if n_bytes > NAME_BYTES_MAX {
        return Err(Error::usage(format!("--payload {n_bytes} is more than servers take in a message; ask for {NAME_BYTES_MAX} or fewer")));
    }
    n_bytes.checked_sub(len).ok_or_else(|| {
        Error::usage(format!("--payload {n_bytes} is less than the {len} bytes that are there; ask for more, or shorten what is padded"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: &str, sleep_millisecond: i32) -> HelloRequest {
        HelloRequest { name: name.into(), sleep_millisecond }
    }

    #[test]
    fn reads_both_spellings_and_defaults() {
        assert_eq!(parse_data(r#"{"name":"Joe","sleep_millisecond":10}"#).unwrap(), request("Joe", 10));
        assert_eq!(parse_data(r#" { "sleepMillisecond" : -1 } "#).unwrap(), request("", -1));
        assert_eq!(parse_data(r#"{"name":"J\u00f6"}"#).unwrap(), request("Jö", 0));
        assert_eq!(parse_data("{}").unwrap(), request("", 0));
    }

    #[test]
    fn a_name_is_padded_to_its_length() {
        let padded = |n_bytes| {
            let mut request = request("Jö", 1);
            pad_name(&mut request, n_bytes).map(|()| request.name).map_err(|error| error.to_string())
        };
        assert_eq!(padded(0).unwrap(), "Jö");
        assert_eq!(padded(3).unwrap(), "Jö");
        assert_eq!(padded(5).unwrap(), "Jöxx");
        assert_eq!(padded(NAME_BYTES_MAX).unwrap().len(), NAME_BYTES_MAX);
        assert!(padded(2).unwrap_err().contains("--payload 2 is less than the 3 bytes that are there"));
        assert!(padded(NAME_BYTES_MAX + 1).unwrap_err().contains("ask for 4000000 or fewer"));
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let cases = [
            (r#"{"nam":"Joe"}"#, "unknown field `nam`, expected one of `name`, `sleepMillisecond`, `sleep_millisecond`", "column 6"),
            (r#"{"name":7}"#, "`name`: invalid type: integer `7`, expected a string", "column 9"),
            (r#"{"name":null}"#, "`name`: invalid type: null", "column 12"),
            (r#"{"sleep_millisecond":"10"}"#, "`sleep_millisecond`: invalid type: string \"10\", expected i32", "column 25"),
            (r#"{"sleep_millisecond":1.5}"#, "`sleep_millisecond`: invalid type: floating point `1.5`", "column 24"),
            (r#"{"sleep_millisecond":2147483648}"#, "`sleep_millisecond`: invalid value: integer `2147483648`, expected i32", "column 31"),
            (r#"{"name":"a","name":"b"}"#, "duplicate field `name`", "column 18"),
            (r#"{"sleep_millisecond":1,"sleepMillisecond":1}"#, "duplicate field `sleep_millisecond`", "column 41"),
            (r#"["Joe", 10]"#, "a list where a JSON object is expected", ""),
            ("7", "invalid type: integer `7`, expected a JSON object", "column 1"),
            ("{\n\"name\": }", "expected value", "line 2 column 9"),
            ("", "EOF", "column 0"),
            ("{} {}", "trailing characters", "column 4"),
        ];
        for (json, what, place) in cases {
            let error = parse_data(json).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains(place), "{json}: {error}");
        }
    }
}
