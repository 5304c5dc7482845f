//! The demo service: `helloworld.Greeter`, as the source article has it. Its business, and nothing else.

use std::time::Duration;

use crate::{Request, Response, Status};

mod proto {
    #![allow(missing_docs, unreachable_pub, reason = "generated")]
    crate::include_proto!("helloworld");
}

pub use proto::greeter_client::GreeterClient;
pub use proto::{Greeter, GreeterServer, HelloReply, HelloRequest};

/// The same service as tonic generates it, for those who compare. [`Hello`] implements it too.
pub mod stock {
    pub use super::proto::greeter_server;
}

/// The longest sleep that a caller may ask for.
pub const SLEEP_MAX: Duration = Duration::from_secs(60);

/// The Greeter: it sleeps for as long as the caller says, on the timer of whichever loop runs it, then says hello.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hello;

impl Greeter for Hello {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        greet(request.into_inner()).await.map(Response::new)
    }
}

#[tonic::async_trait]
impl stock::greeter_server::Greeter for Hello {
    async fn say_hello(&self, request: tonic::Request<HelloRequest>) -> Result<tonic::Response<HelloReply>, Status> {
        greet(request.into_inner()).await.map(tonic::Response::new)
    }
}

async fn greet(request: HelloRequest) -> Result<HelloReply, Status> {
    let HelloRequest { name, sleep_millisecond } = request;
    let pause = pause(sleep_millisecond)?;
    if !pause.is_zero() {
        crate::rt::sleep(pause).await;
    }
    let mut message = String::with_capacity("Hello, !".len() + name.len());
    message.push_str("Hello, ");
    message.push_str(&name);
    message.push('!');
    Ok(HelloReply { message })
}

/// How long to sleep.
fn pause(sleep_millisecond: i32) -> Result<Duration, Status> {
    let pause = u64::try_from(sleep_millisecond).map(Duration::from_millis).ok().filter(|pause| *pause <= SLEEP_MAX);
    pause.ok_or_else(|| {
        let max = SLEEP_MAX.as_millis();
        Status::invalid_argument(format!("sleep_millisecond is {sleep_millisecond}; it must be 0 to {max}"))
    })
}
