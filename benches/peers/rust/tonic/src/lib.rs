//! tonic's own server with the service of the experiment. The two binaries differ in their allocator; the scheduler is the first argument.
//!
//! The windows are those of loopswap's servers; the rest is tonic's default.

use std::process::ExitCode;

use peer_common::{bind_nonblocking, end_at_sigterm, greeting, listening, sleep_of};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use helloworld::greeter_server::{Greeter, GreeterServer};
use helloworld::{HelloReply, HelloRequest};

mod helloworld {
    tonic::include_proto!("helloworld");
}

const WINDOW_BYTES: u32 = 1024 * 1024;

struct Hello;

#[tonic::async_trait]
impl Greeter for Hello {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let HelloRequest { name, sleep_millisecond } = request.into_inner();
        if let Some(time) = sleep_of(sleep_millisecond) {
            tokio::time::sleep(time).await;
        }
        Ok(Response::new(HelloReply { message: greeting(&name) }))
    }
}

/// Serves until SIGTERM, on the scheduler that the first argument names, with one worker.
pub fn main() -> ExitCode {
    let scheduler = std::env::args().nth(1);
    let mut builder = match scheduler.as_deref() {
        Some("current_thread") => Builder::new_current_thread(),
        Some("multi_thread") => Builder::new_multi_thread(),
        _ => {
            eprintln!("error: which scheduler? current_thread or multi_thread");
            return ExitCode::from(2);
        }
    };
    end_at_sigterm();
    let runtime = builder.worker_threads(1).enable_all().build().expect("epoll is there");
    let serve = async {
        let socket = bind_nonblocking();
        listening(&socket);
        Server::builder()
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .add_service(GreeterServer::new(Hello))
            .serve_with_incoming(TcpIncoming::from(TcpListener::from_std(socket)?).with_nodelay(Some(true)))
            .await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    };
    // Where a server's accepting runs: on the worker, not on this thread beside it.
    match runtime.block_on(async { tokio::spawn(serve).await }) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
        Err(panic) => {
            eprintln!("error: {panic}");
            ExitCode::FAILURE
        }
    }
}
