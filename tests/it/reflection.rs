//! `--reflection`: the binary tells which services it has, and describes them, in both versions of the protocol.

use std::net::SocketAddr;

use futures_util::{TryStreamExt, stream};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::{block_on, serve};

crate::on_every_loop_and_engine!(tells_what_is_served_and_nothing_else, is_off_unless_asked_for);

/// An answer: the names of services, or files as protobuf encodes their descriptions.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Services(Vec<String>),
    Files(Vec<Vec<u8>>),
}

/// Defines a function that asks for the file with a symbol, or for all services where none is named.
macro_rules! ask {
    ($version:ident) => {
        async fn $version(channel: Channel, symbol: Option<&str>) -> Result<Told, Status> {
            use $version::server_reflection_client::ServerReflectionClient;
            use $version::server_reflection_request::MessageRequest;
            use $version::server_reflection_response::MessageResponse;
            let question = match symbol {
                Some(symbol) => MessageRequest::FileContainingSymbol(symbol.into()),
                None => MessageRequest::ListServices(String::new()),
            };
            let request = $version::ServerReflectionRequest { host: String::new(), message_request: Some(question) };
            let answers = ServerReflectionClient::new(channel).server_reflection_info(stream::iter([request])).await?;
            let answers: Vec<_> = answers.into_inner().try_collect().await?;
            match answers.into_iter().next().and_then(|answer| answer.message_response).expect("an answer a question") {
                MessageResponse::ListServicesResponse(list) => Ok(Told::Services(list.service.into_iter().map(|one| one.name).collect())),
                MessageResponse::FileDescriptorResponse(files) => Ok(Told::Files(files.file_descriptor_proto)),
                answer => panic!("{answer:?}"),
            }
        }
    };
}

ask!(v1);
ask!(v1alpha);

async fn connect(addr: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.expect("it listens")
}

fn tells_what_is_served_and_nothing_else(runtime: &str, engine: &str) {
    let folder = tempfile::tempdir().unwrap();
    let blocks = folder.path().join("blocks");
    let blocks = ["--blocks-file", blocks.to_str().unwrap(), "--blocks-create", "1"];
    let greeter = "helloworld.Greeter";
    let ours = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];
    for (args, served) in [
        (&[][..], &[greeter, "grpc.health.v1.Health"][..]),
        (&["--health", "off"], &[greeter]),
        (&["--admin"], &[greeter, "grpc.health.v1.Health", "grpc.channelz.v1.Channelz"]),
        (&blocks, &["blocks.Blocks", greeter, "grpc.health.v1.Health"]),
    ] {
        let server = serve(runtime, &[&["--http2", engine, "--reflection"], args].concat());
        block_on(async {
            let channel = connect(server.addr()).await;
            let names: Vec<_> = served.iter().copied().chain(ours).collect();
            let Told::Services(services) = v1(channel.clone(), None).await.unwrap() else { panic!("not the services") };
            assert_eq!(services, names, "{args:?}");
            assert_eq!(v1alpha(channel.clone(), None).await.unwrap(), Told::Services(services));
            for name in names {
                let file = v1(channel.clone(), Some(name)).await.unwrap();
                assert_eq!(v1alpha(channel.clone(), Some(name)).await.unwrap(), file);
                let Told::Files(files) = file else { panic!("not a file") };
                let simple_name = name.rsplit('.').next().unwrap().as_bytes();
                assert!(files.len() == 1 && files[0].windows(simple_name.len()).any(|bytes| bytes == simple_name), "{name}");
            }
            let method = v1(channel.clone(), Some("helloworld.Greeter.SayHello")).await;
            assert_eq!(method.unwrap(), v1(channel.clone(), Some("helloworld.HelloRequest")).await.unwrap(), "they are in one file");
            // Not served, though the library has it.
            assert_eq!(v1(channel, Some("grpc.testing.TestService")).await.unwrap_err().code(), Code::NotFound);
        });
    }
}

fn is_off_unless_asked_for(runtime: &str, engine: &str) {
    let server = serve(runtime, &["--http2", engine]);
    block_on(async {
        let channel = connect(server.addr()).await;
        assert_eq!(v1(channel.clone(), None).await.unwrap_err().code(), Code::Unimplemented);
        assert_eq!(v1alpha(channel, None).await.unwrap_err().code(), Code::Unimplemented);
    });
}
