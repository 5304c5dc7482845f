//! Clients without manners, in raw octets: they vanish, reset, stay silent or speak something else. None may leave anything behind.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Error;
use crate::deeds::Random;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// HEADERS that begin a call of both streaming sides, which goes on until somebody ends it. Literals that are not indexed (RFC 7541, 6.2.2).
fn begin(stream: u32) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.testing.TestService/FullDuplexCall"),
        (":authority", "soak"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ];
    let literal = |(name, value): (&str, &str)| [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat();
    frame(1, 0x4, stream, &fields.map(literal).concat())
}

fn reset(stream: u32) -> Vec<u8> {
    frame(3, 0, stream, &8_u32.to_be_bytes())
}

async fn opened(addr: SocketAddr, n_calls: u32) -> Result<TcpStream, Error> {
    let mut socket = TcpStream::connect(addr).await?;
    let calls: Vec<u8> = (0..n_calls).flat_map(|n| begin(2 * n + 1)).collect();
    socket.write_all(&[PREFACE, &frame(4, 0, 0, &[]), &calls].concat()).await?;
    // The server's SETTINGS.
    let mut bytes = [0; 9];
    socket.read_exact(&mut bytes).await?;
    Ok(socket)
}

/// Vanishes with calls open, by FIN or by RST.
pub(crate) async fn vanish(addr: SocketAddr, random: &mut Random) -> Result<(), Error> {
    let socket = opened(addr, 1 + random.below(10) as u32).await?;
    if random.below(2) == 0 {
        socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
    }
    Ok(())
}

/// Resets each call that it has begun, fewer than a budget would mind.
pub(crate) async fn resets(addr: SocketAddr, random: &mut Random) -> Result<(), Error> {
    let n = 1 + random.below(10) as u32;
    let mut socket = opened(addr, n).await?;
    let resets: Vec<u8> = (0..n).flat_map(|n| reset(2 * n + 1)).collect();
    Ok(socket.write_all(&resets).await?)
}

/// Says nothing, or not enough, and goes.
pub(crate) async fn silent(addr: SocketAddr, random: &mut Random) -> Result<(), Error> {
    let mut socket = TcpStream::connect(addr).await?;
    socket.write_all(&PREFACE[..random.below(PREFACE.len() as u64) as usize]).await?;
    tokio::time::sleep(Duration::from_millis(random.below(100))).await;
    Ok(())
}

/// Speaks HTTP/1.1: the server closes.
pub(crate) async fn stranger(addr: SocketAddr) -> Result<(), Error> {
    let mut socket = TcpStream::connect(addr).await?;
    socket.write_all(b"GET / HTTP/1.1\r\nhost: soak\r\n\r\n").await?;
    match socket.read_to_end(&mut Vec::new()).await {
        // It may close with octets of ours unread.
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => Err(error.into()),
        _ => Ok(()),
    }
}
