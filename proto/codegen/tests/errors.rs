//! What is wrong with .proto files, or with what is asked, is said with file, line and remedy; and cargo is told what was read.

use std::fs;
use std::path::Path;
use std::process::Command;

use loopswap_build::{Builder, Error, ErrorKind};
use tempfile::TempDir;

/// A directory with these files, which is left in the messages as `DIR`.
struct Protos {
    dir: TempDir,
}

impl Protos {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("below the directory")).expect("a directory");
            fs::write(path, text).expect("a file");
        }
        Self { dir }
    }

    fn one(text: &str) -> Self {
        Self::new(&[("a.proto", text)])
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn builder(&self) -> Builder {
        let out = self.dir.path().join("out");
        fs::create_dir_all(&out).expect("a directory");
        loopswap_build::configure().out_dir(out).emit_rerun_if_changed(false)
    }

    /// Compiles `a.proto`.
    fn compile(&self, builder: Builder) -> Result<(), Error> {
        builder.compile(&[self.dir.path().join("a.proto")], &[self.dir.path()])
    }

    #[track_caller]
    fn refuses(&self, builder: Builder, kind: ErrorKind, message: &str) {
        self.is(self.compile(builder), kind, message);
    }

    #[track_caller]
    fn is(&self, result: Result<(), Error>, kind: ErrorKind, message: &str) {
        let error = result.expect_err("it must be refused");
        assert_eq!(error.to_string().replace(&self.path(""), "DIR/").replace(&*self.dir.path().to_string_lossy(), "DIR"), message);
        assert_eq!(error.kind(), kind);
        assert_eq!(format!("{error:?}").split(':').next(), error.to_string().split(':').next(), "what main prints");
    }
}

const MESSAGE: &str = "syntax = \"proto3\";\npackage a.b;\nmessage M {}\n";

#[test]
fn nothing_was_asked() {
    let protos = Protos::one(MESSAGE);
    let none: [&Path; 0] = [];
    protos.is(protos.builder().compile(&none, &[protos.dir.path()]), ErrorKind::Setting, "no .proto file was given: name at least one");
}

#[test]
fn the_file_is_missing() {
    let protos = Protos::one(MESSAGE);
    let here = std::env::current_dir().expect("it is there").display().to_string();
    let result = protos.builder().compile(&["b.proto".as_ref(), protos.dir.path()][..1], &[protos.dir.path()]);
    let expected = format!("b.proto does not exist, seen from {here}, nor in the include directories (DIR)");
    protos.is(result, ErrorKind::NotFound, &expected);
}

#[test]
fn the_include_directory_is_missing() {
    let protos = Protos::one(MESSAGE);
    let here = std::env::current_dir().expect("it is there").display().to_string();
    let result = protos.builder().compile(&[protos.path("a.proto")], &[protos.path("none")]);
    protos.is(result, ErrorKind::NotFound, &format!("the include directory DIR/none does not exist, seen from {here}"));
}

#[test]
fn the_file_is_in_no_include_directory() {
    let protos = Protos::new(&[("x/a.proto", MESSAGE), ("y/b.proto", MESSAGE)]);
    let result = protos.builder().compile(&[protos.path("x/a.proto")], &[protos.path("y")]);
    let expected = "DIR/x/a.proto is in none of the include directories (DIR/y): \
                    add DIR/x to them, or the directory that its imports are relative to";
    protos.is(result, ErrorKind::NotFound, expected);
}

#[test]
fn an_import_is_missing() {
    let protos = Protos::one("syntax = \"proto3\";\nimport \"x/none.proto\";\n");
    let expected = "DIR/a.proto:2:1: import 'x/none.proto' not found; it was looked for in the include directories (DIR)";
    protos.refuses(protos.builder(), ErrorKind::NotFound, expected);
}

#[test]
fn the_file_does_not_parse() {
    let protos = Protos::one("syntax = \"proto3\";\nmessage M {\n  int32 = 1;\n}\n");
    protos.refuses(protos.builder(), ErrorKind::Proto, "DIR/a.proto:3:9: expected an identifier, but found '='");
}

#[test]
fn an_imported_file_does_not_parse() {
    let protos =
        Protos::new(&[("a.proto", "syntax = \"proto3\";\nimport \"x/b.proto\";\n"), ("x/b.proto", "syntax = \"proto3\";\n\nmessag\n")]);
    let error = protos.compile(protos.builder()).expect_err("it must be refused");
    assert!(error.to_string().starts_with(&format!("{}:3:1: expected ", protos.path("x/b.proto"))), "{error}");
}

#[test]
fn a_type_is_unknown() {
    let protos = Protos::one("syntax = \"proto3\";\nservice S {\n  rpc Get (Nothing) returns (Nothing);\n}\n");
    protos.refuses(protos.builder(), ErrorKind::Proto, "DIR/a.proto:3:12: name 'Nothing' is not defined");
}

#[test]
fn methods_meet() {
    let service = "service S {\n  rpc SayHello (M) returns (M);\n  rpc say_hello (M) returns (M);\n}\n";
    let protos = Protos::one(&format!("{MESSAGE}{service}"));
    let expected = "DIR/a.proto:6: the method `a.b.S.say_hello` would be `say_hello` in Rust, and so is the method `SayHello`; \
                    give it another name in build.rs: .rust_name(\"a.b.S.say_hello\", \"…\")";
    protos.refuses(protos.builder(), ErrorKind::Name, expected);
    protos.compile(protos.builder().rust_name("a.b.S.say_hello", "say_hello_again")).expect("the remedy works");
}

#[test]
fn a_method_meets_tonics_client() {
    let protos = Protos::one(&format!("{MESSAGE}service S {{\n  rpc Connect (M) returns (M);\n}}\n"));
    let expected = "DIR/a.proto:5: the method `a.b.S.Connect` would be `connect` in Rust, which tonic's client has of its own; \
                    give it another name in build.rs: .rust_name(\"a.b.S.Connect\", \"…\"), or make no client: .client(false)";
    protos.refuses(protos.builder(), ErrorKind::Name, expected);
    protos.compile(protos.builder().client(false)).expect("the remedy works");
    protos.compile(protos.builder().rust_name(".a.b.S.Connect", "r#do")).expect("the other remedy works");
    protos.compile(protos.builder().client_transport(false)).expect("only a client that connects has it");
}

#[test]
fn a_service_meets_a_message() {
    let protos = Protos::one(&format!("{MESSAGE}message SServer {{}}\nservice S {{}}\n"));
    let expected = "DIR/a.proto:5: the server of the service `a.b.S` would be `SServer` in Rust, and so is the message `a.b.SServer`; \
                    give the service another name in build.rs: .rust_name(\"a.b.S\", \"…\")";
    protos.refuses(protos.builder(), ErrorKind::Name, expected);
    protos.compile(protos.builder().rust_name("a.b.S", "T")).expect("the remedy works");
}

#[test]
fn a_service_meets_what_another_file_has() {
    for (other, what) in [
        ("package a.b;\nenum s_server { NONE = 0; }\n", "`SServer` in Rust, and so is the enum `a.b.s_server`"),
        ("package a.b.s_client;\nmessage M {}\n", "`s_client` in Rust, and so is the module of the package `a.b.s_client`"),
        (
            "package a.b;\nmessage S_CLIENT { message N {} }\n",
            "`s_client` in Rust, and so is the module of what is nested in the message `a.b.S_CLIENT`",
        ),
        ("package a.b;\nservice s_ {}\n", "`S` in Rust, and so is the trait of the service `a.b.s_`"),
        (
            "package a.b;\nmessage N { oneof s { int32 i = 1; } }\nservice SServer {}\n",
            "`SServer` in Rust, and so is the trait of the service `a.b.SServer`",
        ),
    ] {
        let a = format!("{MESSAGE}import \"b.proto\";\nservice S {{}}\n");
        let protos = Protos::new(&[("a.proto", &a), ("b.proto", &format!("syntax = \"proto3\";\n{other}"))]);
        let error = protos.compile(protos.builder()).expect_err(other);
        assert!(error.to_string().contains(what), "{error}\n{what}");
        assert!(error.to_string().starts_with(&format!("{}:5: ", protos.path("a.proto"))), "{error}");
    }
}

#[test]
fn a_setting_means_nothing() {
    let protos = Protos::one(&format!("{MESSAGE}service S {{}}\n"));
    for (builder, expected) in [
        (protos.builder().rust_name("a.b.S", "a b"), "rust_name(\"a.b.S\", \"a b\"): `a b` is no identifier in Rust"),
        (
            protos.builder().rust_name("a.b.T", "T"),
            "rust_name(\"a.b.T\", \"T\"): the files have no such service or method; it is package.Service or package.Service.Method",
        ),
        (protos.builder().crate_path("a b"), "crate_path(\"a b\"): it is no path in Rust, such as `::loopswap` or `::mine::loopswap`"),
    ] {
        protos.refuses(builder, ErrorKind::Setting, expected);
    }
}

#[test]
fn the_output_cannot_be_written() {
    let protos = Protos::one(MESSAGE);
    let builder = protos.builder().out_dir(protos.path("none"));
    protos.refuses(builder, ErrorKind::Io, "cannot generate into DIR/none");
    let error = protos.compile(protos.builder().out_dir(protos.path("none"))).expect_err("it must be refused");
    assert!(format!("{error:?}").contains("No such file or directory"), "what main prints has the cause: {error:?}");
    let builder = protos.builder().file_descriptor_set_path(protos.path("none/fds"));
    protos.refuses(builder, ErrorKind::Io, "cannot write DIR/none/fds");
}

#[test]
fn outside_of_a_build_script() {
    let protos = Protos::one(MESSAGE);
    let expected = "cargo's OUT_DIR is not set: call this from a build script, build.rs, or name a directory with out_dir";
    protos.refuses(loopswap_build::configure().emit_rerun_if_changed(false), ErrorKind::Setting, expected);
}

const CHILD: &str = "LOOPSWAP_BUILD_TEST_DIR";

/// Cargo reads standard output, so it is that of a process of its own: this test again.
#[test]
fn cargo_is_told_what_was_read() {
    if let Some(dir) = std::env::var_os(CHILD) {
        let dir = Path::new(&dir);
        let builder = loopswap_build::configure().out_dir(dir).emit_rerun_if_changed(true);
        return builder.compile(&[dir.join("a.proto")], &[dir]).expect("it compiles");
    }
    let a = "syntax = \"proto3\";\nimport \"x/b.proto\";\nimport \"google/protobuf/any.proto\";\n";
    let protos = Protos::new(&[("a.proto", a), ("x/b.proto", MESSAGE)]);
    let this = std::env::current_exe().expect("it runs");
    let child = Command::new(this).args(["--exact", "cargo_is_told_what_was_read", "--nocapture"]).env(CHILD, protos.dir.path()).output();
    let stdout = String::from_utf8(child.expect("it runs again").stdout).expect("text");
    let mut told: Vec<_> = stdout.lines().filter_map(|line| line.split_once("cargo::rerun-if-changed=")).map(|(_, path)| path).collect();
    told.sort();
    assert_eq!(told, [protos.path("a.proto"), protos.path("x/b.proto")], "{stdout}");
}
