//! What clients do: the deeds, by weight, and how each should end. The good ones are tonic's client's.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::sleep;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::Error;
use crate::interop::testing::test_service_client::TestServiceClient;
use crate::interop::testing::{
    EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, StreamingInputCallRequest, StreamingOutputCallRequest,
    StreamingOutputCallResponse,
};
use crate::rude;

/// Connections that last as long as the soak.
const N_CHANNELS: u64 = 4;

/// xorshift64*: it need not be good, only the same for a seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Never 0, which would stay.
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 33) % end
    }
}

/// The connections that last.
pub(crate) struct Clients {
    addr: SocketAddr,
    clients: Vec<TestServiceClient<Channel>>,
}

async fn client(addr: SocketAddr) -> Result<TestServiceClient<Channel>, Error> {
    Ok(TestServiceClient::new(Endpoint::from_shared(format!("http://{addr}"))?.connect().await?))
}

impl Clients {
    /// Connected, and used once.
    pub(crate) async fn connect(addr: SocketAddr) -> Result<Self, Error> {
        let mut clients = Vec::new();
        for _ in 0..N_CHANNELS {
            let mut client = client(addr).await?;
            client.empty_call(Empty {}).await?;
            clients.push(client);
        }
        Ok(Self { addr, clients })
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Deed {
    Unary,
    LargeUnary,
    Failing,
    ServerStream,
    ClientStream,
    PingPong,
    Deadline,
    CancelBegun,
    CancelStream,
    SlowReader,
    Churn,
    Vanish,
    Resets,
    Silent,
    Stranger,
}

/// Each deed with its weight and its name in the report.
const DEEDS: [(Deed, u64, &str); 15] = [
    (Deed::Unary, 30, "unary"),
    (Deed::LargeUnary, 6, "large unary"),
    (Deed::Failing, 5, "failing"),
    (Deed::ServerStream, 8, "server stream"),
    (Deed::ClientStream, 8, "client stream"),
    (Deed::PingPong, 8, "ping-pong"),
    (Deed::Deadline, 6, "deadline"),
    (Deed::CancelBegun, 6, "cancel begun"),
    (Deed::CancelStream, 6, "cancel stream"),
    (Deed::SlowReader, 2, "slow reader"),
    (Deed::Churn, 5, "churn"),
    (Deed::Vanish, 4, "vanish"),
    (Deed::Resets, 2, "resets"),
    (Deed::Silent, 2, "silent"),
    (Deed::Stranger, 2, "stranger"),
];

impl Deed {
    pub(crate) fn any(random: &mut Random) -> Self {
        let mut at = random.below(DEEDS.iter().map(|(_, weight, _)| weight).sum());
        for (deed, weight, _) in DEEDS {
            if at < weight {
                return deed;
            }
            at -= weight;
        }
        unreachable!("it is below the sum")
    }

    pub(crate) fn name(self) -> &'static str {
        DEEDS[self as usize].2
    }

    /// Does it.
    ///
    /// # Errors
    ///
    /// It did not end as it should.
    pub(crate) async fn run(self, clients: &Clients, random: &mut Random) -> Result<(), Error> {
        let addr = clients.addr;
        let mut client = clients.clients[random.below(N_CHANNELS) as usize].clone();
        match self {
            Self::Unary => unary(&mut client, random.below(2000) as usize).await,
            Self::LargeUnary => unary(&mut client, 1 << (14 + random.below(7))).await,
            Self::Failing => {
                let status = Some(EchoStatus { code: 9, message: "as it was asked for".into() });
                let failed = client.unary_call(SimpleRequest { response_status: status, ..Default::default() }).await;
                is_status(failed, &[Code::FailedPrecondition])
            }
            Self::ServerStream => server_stream(&mut client, random.below(20) as usize, 1000, Duration::ZERO).await,
            Self::ClientStream => client_stream(&mut client, random.below(20) as usize).await,
            Self::PingPong => ping_pong(&mut client, random.below(10) as usize).await,
            Self::Deadline => {
                let mut request = Request::new(outputs(2, 1, 30_000_000));
                request.set_timeout(Duration::from_millis(20 + random.below(100)));
                let answer = async { client.streaming_output_call(request).await?.into_inner().message().await };
                // tonic's client ends it by itself, with the former.
                is_status(answer.await, &[Code::Cancelled, Code::DeadlineExceeded])
            }
            Self::CancelBegun => {
                let call = client.streaming_input_call(stream::pending());
                let pause = Duration::from_millis(random.below(20));
                is_unended(tokio::time::timeout(pause, call).await.ok().map(drop))
            }
            Self::CancelStream => {
                let mut responses = client.streaming_output_call(outputs(100, 30_000, 1000)).await?.into_inner();
                responses.message().await?.ok_or("no response")?;
                Ok(())
            }
            Self::SlowReader => server_stream(&mut client, 16, 30_000, Duration::from_millis(20)).await,
            Self::Churn => {
                let mut client = self::client(addr).await?;
                for _ in 0..random.below(4) {
                    unary(&mut client, 100).await?;
                }
                Ok(())
            }
            Self::Vanish => rude::vanish(addr, random).await,
            Self::Resets => rude::resets(addr, random).await,
            Self::Silent => rude::silent(addr, random).await,
            Self::Stranger => rude::stranger(addr).await,
        }
    }
}

fn zeros(n: usize) -> Option<Payload> {
    Some(Payload { r#type: 0, body: vec![0; n] })
}

/// A request for so many responses of a size, with a pause before each.
fn outputs(n: usize, size: i32, interval_us: i32) -> StreamingOutputCallRequest {
    let response_parameters = vec![ResponseParameters { size, interval_us, ..Default::default() }; n];
    StreamingOutputCallRequest { response_parameters, ..Default::default() }
}

fn is_status<T>(answer: Result<T, Status>, codes: &[Code]) -> Result<(), Error> {
    match answer {
        Err(status) if codes.contains(&status.code()) => Ok(()),
        Err(status) => Err(status.into()),
        Ok(_) => Err("it ended well".into()),
    }
}

fn is_unended(ended: Option<()>) -> Result<(), Error> {
    if ended.is_some() { Err("it ended by itself".into()) } else { Ok(()) }
}

fn has_size(response: &StreamingOutputCallResponse, wanted: usize) -> Result<(), Error> {
    let size = response.payload.as_ref().map_or(0, |payload| payload.body.len());
    if size == wanted { Ok(()) } else { Err(format!("{size} bytes rather than {wanted}").into()) }
}

async fn unary(client: &mut TestServiceClient<Channel>, n: usize) -> Result<(), Error> {
    let request = SimpleRequest { response_size: n as i32, payload: zeros(n), ..Default::default() };
    let response = client.unary_call(request).await?.into_inner();
    if response.payload == zeros(n) { Ok(()) } else { Err(format!("not the {n} bytes that were asked for").into()) }
}

async fn server_stream(client: &mut TestServiceClient<Channel>, n: usize, size: usize, pause: Duration) -> Result<(), Error> {
    let mut responses = client.streaming_output_call(outputs(n, size as i32, 0)).await?.into_inner();
    let mut n_seen = 0;
    while let Some(response) = responses.message().await? {
        has_size(&response, size)?;
        n_seen += 1;
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }
    if n_seen == n { Ok(()) } else { Err(format!("{n_seen} responses rather than {n}").into()) }
}

async fn client_stream(client: &mut TestServiceClient<Channel>, n: usize) -> Result<(), Error> {
    let requests = (0..n).map(|_| StreamingInputCallRequest { payload: zeros(1000), ..Default::default() });
    let size = client.streaming_input_call(stream::iter(requests)).await?.into_inner().aggregated_payload_size;
    if size as usize == n * 1000 { Ok(()) } else { Err(format!("{size} bytes rather than {}", n * 1000).into()) }
}

async fn ping_pong(client: &mut TestServiceClient<Channel>, n: usize) -> Result<(), Error> {
    let (requests, outgoing) = tokio::sync::mpsc::channel(1);
    let outgoing = stream::unfold(outgoing, async |mut outgoing| outgoing.recv().await.map(|request| (request, outgoing)));
    let mut responses = client.full_duplex_call(outgoing.boxed()).await?.into_inner();
    for _ in 0..n {
        requests.send(outputs(1, 100, 0)).await?;
        has_size(&responses.message().await?.ok_or("no response")?, 100)?;
    }
    drop(requests);
    match responses.message().await? {
        None => Ok(()),
        Some(_) => Err("a response that nobody asked for".into()),
    }
}
