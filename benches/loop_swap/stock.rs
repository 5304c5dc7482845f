//! The peer: stock `tonic::transport::Server`, on tokio's current-thread runtime, with the same service code. Its windows are those of our
//! servers; the rest is tonic's default.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use loopswap::blocks::stock::blocks_server::BlocksServer;
use loopswap::greeter::stock::greeter_server::{Greeter, GreeterServer};
use loopswap::greeter::{HelloReply, HelloRequest};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::stock_blocks::StockBlocks;

struct Hello;

#[tonic::async_trait]
impl Greeter for Hello {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let HelloRequest { name, sleep_millisecond } = request.into_inner();
        if sleep_millisecond > 0 {
            tokio::time::sleep(Duration::from_millis(sleep_millisecond.unsigned_abs().into())).await;
        }
        Ok(Response::new(HelloReply { message: format!("Hello, {name}!") }))
    }
}

/// Serves until SIGTERM; the blocks of this file, too.
pub(crate) fn serve(blocks_file: Option<&Path>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("epoll is there");
    let served = runtime.block_on(async {
        let blocks = blocks_file.map(StockBlocks::open).transpose()?;
        let mut sigterm = signal(SignalKind::terminate())?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on {}", listener.local_addr()?);
        Server::builder()
            .initial_stream_window_size(1024 * 1024)
            .initial_connection_window_size(1024 * 1024)
            .add_service(GreeterServer::new(Hello))
            .add_optional_service(blocks.map(BlocksServer::new))
            .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), async {
                sigterm.recv().await;
            })
            .await?;
        Ok::<_, Box<dyn std::error::Error>>(())
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
