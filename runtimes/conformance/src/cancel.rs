//! Dropped socket operations: no byte is lost or doubled, no descriptor stays.

use std::io::Write;
use std::pin::pin;
use std::time::Duration;

use loopswap_rt::{Address, Connection, Runtime, timeout};
use socket2::{Domain, Socket, Type};

use crate::peer::{accept, dial, pair, peer, read_exact, receive_exact, receive_to_end, send, tcp};
use crate::support::{assert_same, pattern, poll_once, within, yield_now};

/// Receives that are dropped before anything came take nothing of what comes later.
pub async fn receive_dropped_midway<R: Runtime>(rt: R) {
    let (mut connection, mut socket) = pair(&rt).await;
    for part in pattern(1000).chunks(10) {
        for _ in 0..3 {
            assert!(poll_once(pin!(connection.receive(|_| ()))).await.is_pending());
            yield_now().await;
        }
        socket.write_all(part).unwrap();
        assert_eq!(receive_exact(&mut connection, 10).await, part);
    }
}

/// Receives under a timeout that ends most of them, while the peer sends a byte at a time: all arrive, once, in order.
pub async fn receive_under_a_timeout<R: Runtime>(rt: R) {
    const BYTES: usize = 5000;
    let (mut connection, mut socket) = pair(&rt).await;
    socket.set_tcp_nodelay(true).unwrap();
    let writer = peer(move || pattern(BYTES).iter().for_each(|byte| socket.write_all(&[*byte]).unwrap()));
    let mut received = Vec::new();
    while received.len() < BYTES {
        let _ = timeout(Duration::ZERO, connection.receive(|lent| received.extend_from_slice(lent))).await;
        yield_now().await;
    }
    assert_same(&received, &pattern(BYTES));
    writer.await;
    assert_eq!(receive_to_end(&mut connection).await, b"");
}

/// A big send that is dropped midway goes on with the next: the peer gets all of both, once, in order.
pub async fn send_dropped_midway<R: Runtime>(rt: R) {
    // More than the buffers of both sides hold, so that it cannot be over at once.
    const BIG: usize = 8 << 20;
    let (mut connection, socket) = pair(&rt).await;
    assert!(poll_once(pin!(connection.send(pattern(BIG)))).await.is_pending());
    assert!(connection.is_sending());
    yield_now().await;
    // Dropped before its first poll, a send has no effect; dropped while it waits for its turn, neither.
    drop(connection.send(b"unpolled".to_vec()));
    assert!(poll_once(pin!(connection.send(b"waiting".to_vec()))).await.is_pending());

    let reader = peer(move || (read_exact(&socket, BIG), read_exact(&socket, 4)));
    send(&mut connection, b"next".to_vec()).await;
    assert!(!connection.is_sending());
    let (big, next) = reader.await;
    assert_same(&big, &pattern(BIG));
    assert_eq!(next, b"next");
}

/// Connects that are dropped after one poll leave no descriptor, and the listener is none the worse.
pub async fn connect_dropped<R: Runtime>(rt: R) {
    let bound = tcp();
    let address = bound.local_addr().unwrap();
    for _ in 0..100 {
        // Ready already, if the loop is very fast.
        let _ = poll_once(pin!(rt.connect(&address))).await;
        yield_now().await;
    }
    let mut listener = rt.listen(bound).unwrap();
    let mut socket = dial(&address);
    socket.write_all(b"after them").unwrap();
    // Those that got through have ended, or were reset before they could be accepted.
    loop {
        let mut connection = accept(&mut listener).await;
        if within("bytes or the end", connection.receive(|lent| lent == b"after them")).await.unwrap_or(false) {
            break;
        }
    }
}

/// The same where the kernel has no answer yet, because the listener's queue is full.
pub async fn connect_dropped_while_unanswered<R: Runtime>(rt: R) {
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let address = Address::try_from(full.local_addr().unwrap()).unwrap();
    let _in_the_queue = dial(&address);
    for _ in 0..10 {
        assert!(within("one poll", poll_once(pin!(rt.connect(&address)))).await.is_pending());
        assert!(timeout(Duration::from_millis(1), rt.connect(&address)).await.is_err(), "the queue is full");
    }
}
