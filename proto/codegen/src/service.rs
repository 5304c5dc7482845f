//! A service of prost's, as tonic's generator wants to see it: its names, its comments, and the Rust types of its messages. Its local twin,
//! `local.rs`, reads the same, so that trait and client cannot disagree.

use proc_macro2::TokenStream;
use prost_build::Comments;

/// A service, under the name it has in Rust.
pub(crate) struct Service {
    /// The name in Rust.
    pub(crate) name: String,
    /// The name in the .proto file.
    pub(crate) proto_name: String,
    pub(crate) package: String,
    /// Lines of documentation, each with its leading space.
    pub(crate) docs: Vec<String>,
    pub(crate) methods: Vec<Method>,
}

/// A method, under the name it has in Rust.
pub(crate) struct Method {
    pub(crate) name: String,
    pub(crate) proto_name: String,
    pub(crate) docs: Vec<String>,
    pub(crate) client_streaming: bool,
    pub(crate) server_streaming: bool,
    pub(crate) deprecated: bool,
    request: String,
    response: String,
}

impl Service {
    pub(crate) fn new(service: prost_build::Service) -> Self {
        let methods = service.methods.into_iter().map(Method::new).collect();
        let docs = docs(&service.comments);
        Self { name: service.name, proto_name: service.proto_name, package: service.package, docs, methods }
    }

    /// As it is called on the wire, without slashes: `helloworld.Greeter`.
    pub(crate) fn full_name(&self) -> String {
        crate::rename::full_name(&self.package, &self.proto_name)
    }
}

impl Method {
    fn new(method: prost_build::Method) -> Self {
        Self {
            docs: docs(&method.comments),
            deprecated: method.options.deprecated(),
            name: method.name,
            proto_name: method.proto_name,
            client_streaming: method.client_streaming,
            server_streaming: method.server_streaming,
            request: method.input_type,
            response: method.output_type,
        }
    }

    /// The types of request and response, seen from a module that reaches the package's own by `package_path`, which ends in `::` or is empty.
    pub(crate) fn types(&self, package_path: &str) -> (TokenStream, TokenStream) {
        (rust_type(&self.request, package_path), rust_type(&self.response, package_path))
    }
}

/// The comments before and after an item, as prost writes them: with links and brackets that rustdoc understands.
fn docs(comments: &Comments) -> Vec<String> {
    // Detached comments are the file's, not the item's.
    let comments = Comments { leading_detached: Vec::new(), ..comments.clone() };
    let mut written = String::new();
    comments.append_with_indent(0, &mut written);
    written.lines().filter_map(|line| line.strip_prefix("///")).map(str::to_owned).collect()
}

/// prost's path to a type, relative to the package's module unless it is absolute or no path: what well-known types become.
fn rust_type(path: &str, package_path: &str) -> TokenStream {
    let is_absolute = path.starts_with("::") || path.starts_with("crate::");
    let is_builtin = matches!(path, "()" | "bool" | "i32" | "i64" | "u32" | "u64" | "f32" | "f64");
    let path = if is_absolute || is_builtin { path.to_owned() } else { format!("{package_path}{path}") };
    path.parse().expect("prost's path to a type is made of Rust's tokens")
}

impl tonic_build::Service for Service {
    type Comment = String;
    type Method = Method;

    fn name(&self) -> &str {
        &self.name
    }

    fn package(&self) -> &str {
        &self.package
    }

    fn identifier(&self) -> &str {
        &self.proto_name
    }

    fn methods(&self) -> &[Method] {
        &self.methods
    }

    fn comment(&self) -> &[String] {
        &self.docs
    }
}

impl tonic_build::Method for Method {
    type Comment = String;

    fn name(&self) -> &str {
        &self.name
    }

    fn identifier(&self) -> &str {
        &self.proto_name
    }

    fn codec_path(&self) -> &str {
        "::tonic_prost::ProstCodec"
    }

    fn client_streaming(&self) -> bool {
        self.client_streaming
    }

    fn server_streaming(&self) -> bool {
        self.server_streaming
    }

    fn comment(&self) -> &[String] {
        &self.docs
    }

    fn deprecated(&self) -> bool {
        self.deprecated
    }

    fn request_response_name(&self, proto_path: &str, _compile_well_known_types: bool) -> (TokenStream, TokenStream) {
        // prost has resolved well-known types already, as its settings say.
        self.types(&format!("{proto_path}::"))
    }
}

#[cfg(test)]
mod tests {
    use super::rust_type;

    #[test]
    fn paths_are_seen_from_where_they_stand() {
        for (path, package_path, expected) in [
            ("HelloRequest", "", "HelloRequest"),
            ("HelloRequest", "super::", "super :: HelloRequest"),
            ("super::other::r#type::M", "super::", "super :: super :: other :: r#type :: M"),
            ("::prost_types::Any", "super::", ":: prost_types :: Any"),
            ("crate::mine::M", "super::", "crate :: mine :: M"),
            ("()", "super::", "()"),
            ("bool", "super::", "bool"),
        ] {
            assert_eq!(rust_type(path, package_path).to_string(), expected);
        }
    }
}
