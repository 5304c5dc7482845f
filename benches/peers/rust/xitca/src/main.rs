//! xitca-web's gRPC on its own HTTP/2, one worker: the fastest complete asynchronous peer that was found.

use peer_common::{bind_nonblocking, end_at_sigterm, greeting, listening, sleep_of};
use xitca_web::App;
use xitca_web::handler::grpc::{Grpc, GrpcError};
use xitca_web::handler::handler_service;

use helloworld::{HelloReply, HelloRequest};

mod helloworld {
    include!(concat!(env!("OUT_DIR"), "/helloworld.rs"));
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

async fn say_hello(Grpc(request): Grpc<HelloRequest>) -> Result<Grpc<HelloReply>, GrpcError> {
    if let Some(time) = sleep_of(request.sleep_millisecond) {
        tokio::time::sleep(time).await;
    }
    Ok(Grpc(HelloReply { message: greeting(&request.name) }))
}

/// Serves until SIGTERM.
fn main() -> std::io::Result<()> {
    end_at_sigterm();
    let socket = bind_nonblocking();
    listening(&socket);
    App::new()
        .at("/helloworld.Greeter/SayHello", handler_service(say_hello))
        .serve()
        .h2c_prior_knowledge()
        .worker_threads(1)
        .disable_signal()
        .listen(socket)?
        .run()
        .wait()
}
