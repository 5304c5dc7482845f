//! gRPC-Web on each loop, by raw HTTP/1.1 and by frames of HTTP/2: what pages in browsers say, right and wrong. A browser itself is in `tests/page/`.
//!
//! * `page` is the client. `calls`: every kind of call that a page can make. `wrong`: what is refused, and how it is told.
//! * `origins`: whose pages may call. `care`: times, drains and ends. `usage`: flags that are no good, and TLS.

mod calls;
mod care;
mod origins;
mod page;
mod usage;
mod wrong;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use loopswap::greeter::stock::greeter_server::GreeterServer as TonicGreeterServer;
use loopswap::greeter::{Hello, HelloReply, HelloRequest};
use loopswap::{GrpcWeb, Http2, LocalService, Methods, Request, Response, Router, Server, Status};

use crate::leaks::{Hosted, host};
use crate::support::{Served, serve};

/// Whose pages may call in these cases.
const ORIGIN: &str = "https://app.example.com";

/// The binary, with gRPC-Web, and these arguments besides.
fn serve_web(runtime: &str, args: &[&str]) -> Served {
    serve(runtime, &[&["--http2", "hyper", "--grpc-web", "--grpc-web-origin", ORIGIN], args].concat())
}

/// Handlers of [`Ticks`] that are running.
#[derive(Clone, Default)]
struct RunningNow(Arc<AtomicUsize>);

impl RunningNow {
    fn enter(&self) -> Entered {
        self.0.fetch_add(1, Ordering::SeqCst);
        Entered(self.clone())
    }

    fn n(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

struct Entered(RunningNow);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A service of streams and metadata.
#[derive(Clone, Default)]
struct Ticks {
    running: RunningNow,
}

impl LocalService for Ticks {
    const NAME: &'static str = "test.Ticks";

    fn register(self, methods: &mut Methods) {
        let Self { running } = self;
        // So many replies; then, by its name, an error, or nothing for a minute.
        methods.server_streaming("Tick", move |request: Request<HelloRequest>, mut replies| {
            let entered = running.enter();
            async move {
                let _entered = entered;
                let HelloRequest { name, sleep_millisecond: n } = request.into_inner();
                replies.send_all(Response::new(stream::iter(0..n).map(|n| Ok(reply(n.to_string()))))).await?;
                match name.as_str() {
                    "fails" => Err(Status::data_loss("verloren: ein Stück")),
                    "waits" => {
                        loopswap::rt::sleep(Duration::from_secs(60)).await;
                        Ok(())
                    }
                    _ => Ok(()),
                }
            }
        });
        // The request's field `x-asked`, back in head and trailers.
        methods.unary("Ask", |request: Request<HelloRequest>| async move {
            let asked = request.metadata().get("x-asked").cloned().ok_or_else(|| Status::invalid_argument("no x-asked"))?;
            let mut response = Response::new(reply(String::new()));
            response.metadata_mut().insert("x-head", asked.clone());
            response.trailers_mut().insert("x-trailer", asked);
            Ok(response)
        });
    }
}

fn reply(message: String) -> HelloReply {
    HelloReply { message }
}

/// A server in this process with [`Ticks`], and tonic's own Greeter.
fn host_ticks(runtime: &str) -> (Hosted, RunningNow) {
    let ticks = Ticks::default();
    let running = ticks.running.clone();
    let builder = Server::builder().listen("127.0.0.1:0").workers(1).http2(Http2::Hyper).grpc_web(GrpcWeb::new().allow_origin(ORIGIN));
    let hosted = host(builder, runtime, move |_| Router::new().add(ticks.clone()).add_tonic(TonicGreeterServer::new(Hello)));
    (hosted, running)
}
