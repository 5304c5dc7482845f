//! pajamax: synchronous, a thread for each connection. It is no complete server: no settings acknowledged, no PING answered, no flow control, no
//! deadlines, no streams. What it leaves out is part of why it is fast.
//!
//! Its generator wants protoc and lags behind, so that the trait it would implement is implemented here: it is hidden, but small.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use pajamax::error::Error;
use pajamax::status::{Code, Status};
use pajamax::{Config, PajamaxService, Response, local_build_response};
use peer_common::{bind, end_at_sigterm, greeting, listening_on, sleep_of};
use prost::Message;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As in proto/helloworld.proto.
#[derive(Clone, PartialEq, Message)]
struct HelloRequest {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int32, tag = "2")]
    sleep_millisecond: i32,
}

/// As in proto/helloworld.proto.
#[derive(Clone, PartialEq, Message)]
struct HelloReply {
    #[prost(string, tag = "1")]
    message: String,
}

struct Hello;

impl Hello {
    fn say_hello(request: HelloRequest) -> Response<HelloReply> {
        if sleep_of(request.sleep_millisecond).is_some() {
            // A sleep would stop the connection, with all its calls.
            return Err(Status { code: Code::Unimplemented, message: "a synchronous server does not sleep".into() });
        }
        Ok(HelloReply { message: greeting(&request.name) })
    }
}

const SAY_HELLO: usize = 0;

impl PajamaxService for Hello {
    fn route(&self, path: &[u8]) -> Option<usize> {
        (path == b"/helloworld.Greeter/SayHello").then_some(SAY_HELLO)
    }

    fn handle(&self, _method: usize, request: &[u8], stream_id: u32) -> Result<(), Error> {
        STAY.with(|_| ());
        local_build_response(stream_id, Self::say_hello(HelloRequest::decode(request)?))
    }

    fn is_dispatch_mode(&self) -> bool {
        false
    }
}

/// A thread of a connection that was served. It would end with the connection, and its CPU time would be gone from where the suite reads it.
struct Stay;

impl Drop for Stay {
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}

thread_local! {
    static STAY: Stay = const { Stay };
}

/// Above the connections of any shape, and the one below.
const CONNECTIONS_MAX: usize = 2_000;
/// How long it may take to listen.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until SIGTERM.
fn main() -> std::io::Result<()> {
    end_at_sigterm();
    // It binds by itself and does not say what it got, so it is told a port that was free a moment ago.
    let addr = bind().local_addr()?;
    std::thread::spawn(move || {
        let give_up = Instant::now() + LISTEN_TIMEOUT;
        while TcpStream::connect(addr).is_err() && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(1));
        }
        listening_on(addr);
    });
    Config::new().max_concurrent_connections(CONNECTIONS_MAX).add_service(Hello).serve(addr)
}
