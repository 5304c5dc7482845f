//! Connections that a thread accepted, outside the loop, and handed over to it.

use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loopswap_rt::{AcceptedSocket, Address, BoundListener, Connection, Runtime, accept_now, timeout};
use rustix::time::{ClockId, clock_gettime};
use socket2::{SockRef, Socket};
use tempfile::tempdir;

use crate::descriptors;
use crate::peer::{dial, peer, read_exact, read_to_end, receive_exact, receive_to_end, send, tcp, tcp6, unix};
use crate::support::{Signal, poll_once, within, yield_now};

/// How long a receive waits in vain.
const WAIT: Duration = Duration::from_millis(100);

/// Bytes come and go on it, over TCP and Unix sockets.
pub async fn echo<R: Runtime>(rt: R) {
    let directory = tempdir().unwrap();
    for bound in [tcp(), tcp6(), unix(directory.path())] {
        let (client, socket) = accepted_elsewhere(bound).await;
        echoes(rt.adopt(client).unwrap(), socket).await;
    }
}

/// It is adopted whether its descriptor blocks or not, and a receive waits either way, without spending time on it.
pub async fn whether_it_blocks_or_not<R: Runtime>(rt: R) {
    for nonblocking in [false, true] {
        let (client, socket) = accepted_elsewhere(tcp()).await;
        SockRef::from(&client.socket).set_nonblocking(nonblocking).unwrap();
        let mut connection = rt.adopt(client).unwrap();
        let before = clock_gettime(ClockId::ThreadCPUTime);
        assert!(timeout(WAIT, connection.receive(<[u8]>::len)).await.is_err(), "nothing has come");
        let spent = Duration::try_from(clock_gettime(ClockId::ThreadCPUTime) - before).unwrap();
        assert!(spent < WAIT / 4, "it spent {spent:?} of CPU in {WAIT:?} of waiting");
        echoes(connection, socket).await;
    }
}

/// The peer's FIN leaves our direction open, and ours the peer's.
pub async fn half_close<R: Runtime>(rt: R) {
    let (client, socket) = accepted_elsewhere(tcp()).await;
    let mut connection = rt.adopt(client).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive_to_end(&mut connection).await, b"");
    send(&mut connection, b"hello".to_vec()).await;
    assert_eq!(read_exact(&socket, 5), b"hello");

    let (client, socket) = accepted_elsewhere(tcp()).await;
    let mut connection = rt.adopt(client).unwrap();
    connection.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&socket), b"");
    (&socket).write_all(b"hello").unwrap();
    assert_eq!(receive_exact(&mut connection, 5).await, b"hello");
}

/// It knows both its ends, and has TCP_NODELAY as its listener had.
pub async fn addresses_and_nodelay<R: Runtime>(rt: R) {
    let bound = tcp();
    SockRef::from(&bound).set_tcp_nodelay(true).unwrap();
    let address = bound.local_addr().unwrap();
    let (client, socket) = accepted_elsewhere(bound).await;
    let connection = rt.adopt(client).unwrap();
    let peer = Address::try_from(socket.local_addr().unwrap()).unwrap();
    assert_eq!((connection.local_addr().unwrap(), connection.peer_addr()), (address.clone(), &peer));
    assert!(SockRef::from(&descriptors::socket(&address, &peer)).tcp_nodelay().unwrap());
}

/// Dropped with a receive under way, it sends FIN at once; dropped before it was adopted, too.
pub async fn dropped<R: Runtime>(rt: R) {
    let (client, socket) = accepted_elsewhere(tcp()).await;
    let mut connection = rt.adopt(client).unwrap();
    assert!(poll_once(pin!(connection.receive(<[u8]>::len))).await.is_pending());
    yield_now().await;
    drop(connection);
    assert_eq!(peer(move || read_to_end(&socket)).await, b"");

    let (client, socket) = accepted_elsewhere(tcp()).await;
    drop(client);
    assert_eq!(peer(move || read_to_end(&socket)).await, b"");
}

/// A thread goes on accepting and handing over while the loop sleeps in between: each connection arrives, once, and works.
pub async fn many_from_a_thread<R: Runtime>(rt: R) {
    const CLIENTS: u8 = 100;
    let bound = tcp();
    let address = bound.local_addr().unwrap();
    let (handed, arrived) = (Arc::new(Mutex::new(Vec::new())), Signal::default());
    let acceptor = {
        let (handed, arrived) = (Arc::clone(&handed), arrived.clone());
        peer(move || {
            for _ in 0..CLIENTS {
                let client = wait_for_client(&bound);
                handed.lock().unwrap().push(client);
                arrived.raise();
            }
        })
    };
    let clients = peer(move || {
        for n in 0..CLIENTS {
            let mut socket = dial(&address);
            socket.write_all(&[n]).unwrap();
            assert_eq!(read_exact(&socket, 1), [n], "one after the other, so each finds the loop asleep");
        }
    });
    for n in 0..CLIENTS {
        let client = loop {
            let next = handed.lock().unwrap().pop();
            match next {
                Some(client) => break client,
                None => within("the next connection", arrived.wait()).await,
            }
        };
        let mut connection = rt.adopt(client).unwrap();
        let number = receive_exact(&mut connection, 1).await;
        assert_eq!(number, [n]);
        send(&mut connection, number).await;
    }
    clients.await;
    acceptor.await;
}

/// A connection that a thread accepted, and its other end.
async fn accepted_elsewhere(bound: BoundListener) -> (AcceptedSocket, Socket) {
    let address = bound.local_addr().unwrap();
    let socket = dial(&address);
    (peer(move || wait_for_client(&bound)).await, socket)
}

/// Accepts as an acceptor does, from a listener that blocks.
fn wait_for_client(bound: &BoundListener) -> AcceptedSocket {
    accept_now(bound.as_fd()).expect("a client comes")
}

async fn echoes<C: Connection>(mut connection: C, mut socket: Socket) {
    let client = peer(move || {
        socket.write_all(b"hello").unwrap();
        read_exact(&socket, 5)
    });
    let bytes = receive_exact(&mut connection, 5).await;
    send(&mut connection, bytes).await;
    assert_eq!(client.await, b"hello");
}
