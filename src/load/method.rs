//! A unary method of any .proto file, called with a message from JSON: for those who ask which loop suits their own service.
//!
//! The messages are known at run time only. The request is encoded once; a reply is right when it decodes as what the method returns.

use std::path::{Path, PathBuf};

use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, ServiceDescriptor};
use serde::de::DeserializeSeed;

use crate::Error;

/// A method, and the request that it is called with.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    /// As `:path` has it.
    pub(super) path: String,
    /// Encoded.
    pub(super) request: Vec<u8>,
    pub(super) reply: MessageDescriptor,
}

impl Method {
    /// Reads the file, and what it imports from its own folder or one of these; finds `pkg.Service/Method`, or `pkg.Service.Method` as ghz has it; and reads
    /// the request by protobuf's JSON mapping.
    ///
    /// # Errors
    ///
    /// The file cannot be read or does not parse, there is no such method or it streams, or the JSON does not fit: which field, and where.
    pub(crate) fn read(proto: &Path, includes: &[PathBuf], call: &str, json: &str) -> Result<Self, Error> {
        let method = find(&services(proto, includes)?, proto, call)?;
        if method.is_client_streaming() || method.is_server_streaming() {
            return Err(Error::usage(format!("{} streams; `loopswap load` makes unary calls", method.full_name())));
        }
        let request = message(method.input(), json)?.encode_to_vec();
        Ok(Self { path: format!("/{}/{}", method.parent_service().full_name(), method.name()), request, reply: method.output() })
    }

    /// Why the bytes are no reply of the method, if so.
    pub(super) fn reject(&self, reply: &[u8]) -> Option<String> {
        let error = DynamicMessage::decode(self.reply.clone(), reply).err()?;
        Some(format!("wrong reply: not a {}: {error}", self.reply.full_name()))
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

/// A message from JSON.
fn message(descriptor: MessageDescriptor, json: &str) -> Result<DynamicMessage, Error> {
    let name = descriptor.full_name().to_owned();
    let mut json = serde_json::Deserializer::from_str(json);
    let mut track = serde_path_to_error::Track::new();
    let read = descriptor.deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track));
    let message = read.map_err(|error| match track.path().to_string() {
        path if path == "." => Error::usage(format!("--data is no {name}: {error}")),
        path => Error::usage(format!("--data is no {name}: `{path}`: {error}")),
    })?;
    json.end().map_err(|error| Error::usage(format!("--data is no {name}: {error}")))?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTO: &str = r#"syntax = "proto3";
package shop;
message Item { string name = 1; repeated int32 sizes = 2; Item part = 3; }
message Bill { uint64 cents = 1; }
service Till { rpc Add (Item) returns (Bill); rpc Watch (Item) returns (stream Bill); }
"#;

    fn read(proto: &str, call: &str, json: &str) -> Result<Method, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.proto");
        std::fs::write(&file, proto).unwrap();
        Method::read(&file, &[], call, json).map_err(|error| error.to_string())
    }

    #[test]
    fn encodes_what_the_json_says() {
        for call in ["shop.Till/Add", "shop.Till.Add", "/shop.Till/Add"] {
            let method = read(PROTO, call, r#"{"name":"nut","sizes":[3,5],"part":{"name":"x"}}"#).unwrap();
            assert_eq!((&method.path[..], &method.request[..]), ("/shop.Till/Add", &b"\x0a\x03nut\x12\x02\x03\x05\x1a\x03\x0a\x01x"[..]));
            assert_eq!(method.reject(b"\x08\x07"), None);
            assert!(method.reject(b"\x08").unwrap().starts_with("wrong reply: not a shop.Bill: "));
        }
        assert!(read(PROTO, "shop.Till/Add", "{}").unwrap().request.is_empty());
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let call = "shop.Till/Add";
        let cases = [
            (PROTO, "shop.Tool/Add", "{}", "no service `shop.Tool` in"),
            (PROTO, "shop.Tool/Add", "{}", "it has: shop.Till. Write it as in pkg.Service/Method"),
            (PROTO, "Add", "{}", "no service `Add` in"),
            (PROTO, "shop.Till/Sub", "{}", "shop.Till has no method `Sub`; it has: Add, Watch"),
            (PROTO, "shop.Till/Watch", "{}", "shop.Till.Watch streams; `loopswap load` makes unary calls"),
            (PROTO, call, r#"{"nam":"x"}"#, "--data is no shop.Item: unrecognized field name 'nam' at line 1 column 6"),
            (PROTO, call, r#"{"name":7}"#, "--data is no shop.Item: `name`: invalid type: integer `7`, expected a string"),
            (PROTO, call, r#"{"part":{"sizes":[1,"x"]}}"#, "--data is no shop.Item: `part.sizes[1]`: "),
            (PROTO, call, r#"{"name":"x"} {}"#, "--data is no shop.Item: trailing characters"),
            (PROTO, call, "", "--data is no shop.Item: EOF"),
            (PROTO, call, "[]", "--data is no shop.Item: invalid type: sequence"),
            ("syntax = \"proto3\";\nmessage {", call, "{}", "2:9"),
            ("syntax = \"proto3\";\nimport \"gone.proto\";", call, "{}", "gone.proto"),
            ("syntax = \"proto3\";\nimport \"gone.proto\";", call, "{}", "with --import-path"),
        ];
        let told = cases.map(|(proto, call, json, expected)| (expected, read(proto, call, json).unwrap_err()));
        let missed: Vec<_> = told.iter().filter(|(expected, error)| !error.contains(expected)).collect();
        assert!(missed.is_empty(), "{missed:#?}");
        let error = Method::read(Path::new("/nowhere/x.proto"), &[], call, "{}").unwrap_err().to_string();
        assert!(error.starts_with("bad --proto /nowhere/x.proto: "), "{error}");
    }
}
