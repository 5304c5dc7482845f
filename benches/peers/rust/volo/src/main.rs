//! volo-grpc on tokio's current-thread scheduler.

use std::io;

use peer_common::{bind_nonblocking, end_at_sigterm, greeting, listening, sleep_of};
use tokio::net::TcpListener;
use volo::net::incoming::DefaultIncoming;
use volo_grpc::server::{Server, ServiceBuilder};

use generated::helloworld::{Greeter, GreeterServer, HelloReply, HelloRequest};

#[allow(unsafe_code, unreachable_pub, clippy::all)] // Generated.
mod generated {
    include!(concat!(env!("OUT_DIR"), "/helloworld.rs"));
    pub use helloworld::helloworld;
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Hello;

impl Greeter for Hello {
    async fn say_hello(&self, request: volo_grpc::Request<HelloRequest>) -> Result<volo_grpc::Response<HelloReply>, volo_grpc::Status> {
        let HelloRequest { name, sleep_millisecond, .. } = request.into_inner();
        if let Some(time) = sleep_of(sleep_millisecond) {
            tokio::time::sleep(time).await;
        }
        Ok(volo_grpc::Response::new(HelloReply { message: greeting(&name).into(), ..Default::default() }))
    }
}

/// Serves until SIGTERM.
fn main() -> io::Result<()> {
    end_at_sigterm();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = bind_nonblocking();
        listening(&socket);
        let incoming = DefaultIncoming::from(TcpListener::from_std(socket)?);
        let service = ServiceBuilder::new(GreeterServer::new(Hello)).build();
        Server::new().add_service(service).run(incoming).await.map_err(io::Error::other)
    })
}
