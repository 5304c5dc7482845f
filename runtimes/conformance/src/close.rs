//! How connections end: FIN when they are dropped, whatever is under way; and what a peer's end looks like from here.

use std::io::{ErrorKind, Read};
use std::pin::pin;
use std::time::{Duration, Instant};

use loopswap_rt::{Connection, Runtime};
use socket2::Socket;

use crate::descriptors;
use crate::peer::{Peer, pair, peer, read_to_end, receive_exact, reset, send};
use crate::support::{BOUND, assert_same, pattern, poll_once, within, yield_now};

/// A loop that keeps a dropped socket open until some timer or the peer ends it takes longer than this.
const PROMPT: Duration = Duration::from_secs(5);

/// More than the buffers between two sockets hold.
const BIG: usize = 8 << 20;

/// The peer of a dropped connection sees the end at once.
pub async fn fin_on_drop<R: Runtime>(rt: R) {
    let (connection, socket) = pair(&rt).await;
    drop(connection);
    assert_eq!(prompt_end(socket).await, b"");
}

/// Also when a receive is under way.
pub async fn fin_on_drop_with_receive_in_flight<R: Runtime>(rt: R) {
    let (mut connection, socket) = pair(&rt).await;
    receive_is_pending(&mut connection).await;
    drop(connection);
    assert_eq!(prompt_end(socket).await, b"");
}

/// Also when a receive and a send are: what the kernel had taken of the send arrives, then the end.
pub async fn fin_on_drop_with_both_in_flight<R: Runtime>(rt: R) {
    let (mut connection, socket) = pair(&rt).await;
    receive_is_pending(&mut connection).await;
    assert!(poll_once(pin!(connection.send(pattern(BIG)))).await.is_pending());
    yield_now().await;
    drop(connection);
    let arrived = prompt_end(socket).await;
    assert!(arrived.len() < BIG, "nobody read, so it cannot all have been sent");
    assert_same(&arrived, &pattern(BIG)[..arrived.len()]);
}

/// Also for a connection that the loop opened.
pub async fn fin_on_drop_of_a_connection_we_opened<R: Runtime>(rt: R) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut connection = rt.connect(&listener.local_addr().unwrap().into()).await.unwrap();
    receive_is_pending(&mut connection).await;
    drop(connection);
    assert_eq!(prompt_end(listener.accept().unwrap().0.into()).await, b"");
}

/// A send that was over before the drop arrives whole.
pub async fn finished_sends_arrive_before_the_end<R: Runtime>(rt: R) {
    const MESSAGE: usize = 64 * 1024;
    for receive_is_under_way in [false, true] {
        let (mut connection, socket) = pair(&rt).await;
        if receive_is_under_way {
            receive_is_pending(&mut connection).await;
        }
        let reader = peer(move || read_to_end(&socket));
        for part in pattern(16 * MESSAGE).chunks(MESSAGE) {
            send(&mut connection, part.to_vec()).await;
        }
        drop(connection);
        assert_same(&reader.await, &pattern(16 * MESSAGE));
    }
}

/// A send that is dropped with its connection frees buffer and descriptor while the loop goes on.
pub async fn a_send_in_flight_frees_everything<R: Runtime>(rt: R) {
    let before = descriptors::count();
    for _ in 0..20 {
        let (mut connection, socket) = pair(&rt).await;
        assert!(poll_once(pin!(connection.send(vec![0; BIG]))).await.is_pending());
        drop(connection);
        drop(socket);
    }
    let give_up = Instant::now() + BOUND;
    while descriptors::count() > before {
        assert!(Instant::now() < give_up, "still open: {:#?}", descriptors::links());
        loopswap_rt::sleep(Duration::from_millis(1)).await;
    }
}

/// A reset ends a receive that is under way, by an error or an end, and later sends by an error.
pub async fn a_reset_by_the_peer<R: Runtime>(rt: R) {
    let (mut connection, socket) = pair(&rt).await;
    receive_is_pending(&mut connection).await;
    reset(socket);
    match within("the end of the receive", connection.receive(<[u8]>::len)).await {
        Ok(lent) => assert_eq!(lent, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    send_until_error(&mut connection).await;
}

/// A reset ends a send that is under way by an error, which gives the buffer back.
pub async fn a_reset_while_sending<R: Runtime>(rt: R) {
    let (mut connection, socket) = pair(&rt).await;
    let mut sending = pin!(connection.send(pattern(BIG)));
    assert!(poll_once(sending.as_mut()).await.is_pending());
    reset(socket);
    let (result, buf) = within("the end of the send", sending).await;
    let kind = result.unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind}");
    assert!(buf.is_empty() && buf.capacity() >= BIG);
}

/// Sending to a peer that is gone is an error soon, and every time; no signal ends the process.
pub async fn sending_to_a_closed_peer<R: Runtime>(rt: R) {
    let (mut connection, socket) = pair(&rt).await;
    drop(socket);
    send_until_error(&mut connection).await;
    send_until_error(&mut connection).await;
}

/// What a peer sent before it ended is received all the same.
pub async fn bytes_before_the_peers_end<R: Runtime>(rt: R) {
    use std::io::Write;
    let (mut connection, mut socket) = pair(&rt).await;
    socket.write_all(b"last words").unwrap();
    drop(socket);
    assert_eq!(receive_exact(&mut connection, 10).await, b"last words");
    assert_eq!(within("the end", connection.receive(<[u8]>::len)).await.unwrap(), 0);
}

async fn send_until_error(connection: &mut impl Connection) {
    let give_up = Instant::now() + BOUND;
    loop {
        let (result, buf) = within("the end of a send", connection.send(vec![0; 1000])).await;
        assert!(buf.is_empty() && buf.capacity() >= 1000);
        match result {
            Ok(()) => assert!(Instant::now() < give_up, "the peer is gone, and sends succeed"),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
                break;
            }
        }
        yield_now().await;
    }
}

async fn receive_is_pending(connection: &mut impl Connection) {
    assert!(poll_once(pin!(connection.receive(|_| ()))).await.is_pending());
    // A ring gets the operation when the loop turns.
    yield_now().await;
}

/// Reads up to the end, which must come promptly, and without an error.
fn prompt_end(mut socket: Socket) -> Peer<Vec<u8>> {
    peer(move || {
        socket.set_read_timeout(Some(PROMPT)).unwrap();
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).unwrap_or_else(|error| panic!("no end after {PROMPT:?} and {} bytes: {error}", bytes.len()));
        bytes
    })
}
