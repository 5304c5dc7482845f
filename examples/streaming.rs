//! Answers that are streams: a clock that ticks, and a stop watch that answers each lap while the call goes on. The streams borrow from the service and
//! hold what is not `Send`; they wait on the loop's own timer.
//!
//!     cargo run --release --example streaming [tokio | tokio-uring | glommio | auto]

use std::cell::Cell;
use std::error::Error;
use std::time::Duration;

use clock::clock_client::ClockClient;
use clock::{Clock, ClockServer, LapReply, LapRequest, TickReply, TickRequest};
use futures_util::{StreamExt, stream};
use loopswap::{Loop, Request, Response, Server, Status, Stream, Streaming, rt};
use tonic::transport::Endpoint;

mod clock {
    #![allow(missing_docs, unreachable_pub, reason = "generated")]
    loopswap::include_proto!("clock");
}

/// The state of one worker: no lock, no atomic.
#[derive(Default)]
struct StopWatch {
    n_laps: Cell<u64>,
}

impl Clock for StopWatch {
    async fn tick(&self, request: Request<TickRequest>) -> Result<Response<impl Stream<Item = Result<TickReply, Status>>>, Status> {
        let TickRequest { interval_ms, n_ticks } = request.into_inner();
        let interval = Duration::from_millis(interval_ms.into());
        let ticks = stream::iter(1..=n_ticks).then(move |number| async move {
            rt::sleep(interval).await;
            Ok(TickReply { number })
        });
        Ok(Response::new(ticks))
    }

    async fn lap(&self, request: Request<Streaming<LapRequest>>) -> Result<Response<impl Stream<Item = Result<LapReply, Status>>>, Status> {
        let mut before = rt::now();
        let laps = request.into_inner().map(move |lap| {
            let now = rt::now();
            let micros = now.duration_since(before).as_micros() as u64;
            before = now;
            self.n_laps.set(self.n_laps.get() + 1);
            Ok(LapReply { name: lap?.name, micros, n_laps: self.n_laps.get() })
        });
        Ok(Response::new(laps))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let event_loop = std::env::args().nth(1).unwrap_or("auto".into());
    let server = Server::builder().listen("127.0.0.1:0").workers(1);
    let server = server.start(Loop::choose(&event_loop)?, |_worker| ClockServer::new(StopWatch::default()))?;

    let channel = Endpoint::from_shared(format!("http://{}", server.local_addr()))?.connect().await?;
    let mut client = ClockClient::new(channel);
    let mut ticks = client.tick(TickRequest { interval_ms: 10, n_ticks: 3 }).await?.into_inner();
    while let Some(tick) = ticks.message().await? {
        println!("tick {}", tick.number);
    }
    let laps = stream::iter(["first", "second"]).map(|name| LapRequest { name: name.into() });
    let mut laps = client.lap(laps).await?.into_inner();
    while let Some(lap) = laps.message().await? {
        println!("lap {}: {} after {} µs", lap.n_laps, lap.name, lap.micros);
    }

    server.handle().drain();
    Ok(server.wait()?)
}
