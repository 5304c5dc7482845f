//! Errors that say more than a code and a text: what is wrong in which field, when to try again, where to read on. A client of any language reads them
//! (google.rpc's error model; tonic-types here).
//!
//!     cargo run --release --example error_details -- 127.0.0.1:9999 tokio-uring

use std::error::Error;
use std::time::Duration;

use loopswap::greeter::{Greeter, GreeterServer, HelloReply, HelloRequest};
use loopswap::{Code, Loop, Request, Response, Server, Status};
use tonic_types::{ErrorDetails, StatusExt};

struct Strict;

impl Greeter for Strict {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let HelloRequest { name, sleep_millisecond } = request.into_inner();
        let mut wrong = ErrorDetails::new();
        if name.is_empty() {
            wrong.add_bad_request_violation("name", "it must not be empty");
        }
        if name.chars().count() > 20 {
            wrong.add_bad_request_violation("name", "it has more than 20 characters");
        }
        if sleep_millisecond < 0 {
            wrong.add_bad_request_violation("sleep_millisecond", "it must not be negative");
        }
        if wrong.has_bad_request_violations() {
            wrong.add_help_link("what a greeting may be", "https://example.org/greetings").set_localized_message("de", "So nicht.");
            return Err(Status::with_error_details(Code::InvalidArgument, "the request is not valid", wrong));
        }
        if name == "everybody" {
            let later = ErrorDetails::with_retry_info(Some(Duration::from_secs(7)));
            return Err(Status::with_error_details(Code::Unavailable, "too many at once", later));
        }
        Ok(Response::new(HelloReply { message: format!("Hello, {name}!") }))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let mut word = |or_else: &str| words.next().unwrap_or(or_else.into());
    let (addr, event_loop, http2) = (word("127.0.0.1:9999"), word("auto"), word("native"));
    let builder = Server::builder().listen(addr).http2(http2.parse()?);
    let mut server = builder.start(Loop::choose(&event_loop)?, |_worker| GreeterServer::new(Strict))?;
    server.drain_on_signals()?;
    println!("listening on {}", server.local_addr());
    Ok(server.wait()?)
}
