//! Bytes over connections: echo, half-close, big and small messages, both directions at once.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::Write;
use std::net::Shutdown;
use std::rc::Rc;
use std::task::{Poll, Waker};

use loopswap_rt::{BoundListener, Connection, Listener, Runtime};
use tempfile::tempdir;

use crate::peer::{Accepted, accept, dial, pair, peer, read_exact, read_to_end, receive_exact, receive_to_end, send, tcp, tcp6, unix};
use crate::support::{Signal, assert_same, panic_of, pattern, poll_once, within};

/// More than all the buffers between two sockets hold.
const BIG: usize = 8 << 20;

/// What a peer sends comes in, and what we send reaches it.
pub async fn echo<R: Runtime>(rt: R) {
    echo_over(&rt, tcp()).await;
}

/// The same over IPv6.
pub async fn echo_over_ipv6<R: Runtime>(rt: R) {
    echo_over(&rt, tcp6()).await;
}

/// The same over a Unix socket.
pub async fn echo_over_unix<R: Runtime>(rt: R) {
    let directory = tempdir().unwrap();
    echo_over(&rt, unix(directory.path())).await;
}

/// A listener is adopted whether its descriptor blocks or not.
pub async fn echo_whether_the_listener_blocks_or_not<R: Runtime>(rt: R) {
    for nonblocking in [false, true] {
        let bound = tcp();
        socket2::SockRef::from(&bound).set_nonblocking(nonblocking).unwrap();
        echo_over(&rt, bound).await;
    }
}

async fn echo_over<R: Runtime>(rt: &R, bound: BoundListener) {
    let address = bound.local_addr().unwrap();
    let mut listener = rt.listen(bound).unwrap();
    let client = peer(move || {
        let mut socket = dial(&address);
        socket.write_all(b"hello").unwrap();
        read_exact(&socket, 5)
    });
    let mut connection = accept(&mut listener).await;
    let bytes = receive_exact(&mut connection, 5).await;
    send(&mut connection, bytes).await;
    assert_eq!(client.await, b"hello");
}

/// A connection that the loop opened carries bytes both ways, over TCP and Unix sockets.
pub async fn echo_on_a_connection_we_opened<R: Runtime>(rt: R) {
    let directory = tempdir().unwrap();
    for bound in [tcp(), unix(directory.path())] {
        let mut connection = rt.connect(&bound.local_addr().unwrap()).await.unwrap();
        let socket = match bound {
            BoundListener::Tcp(listener) => socket2::Socket::from(listener.accept().unwrap().0),
            BoundListener::Unix(listener) => socket2::Socket::from(listener.accept().unwrap().0),
        };
        send(&mut connection, b"hello".to_vec()).await;
        (&socket).write_all(&read_exact(&socket, 5)).unwrap();
        assert_eq!(receive_exact(&mut connection, 5).await, b"hello");
    }
}

/// So is one that was opened by the ambient call, whose type is erased.
pub async fn echo_on_an_ambient_connection<R: Runtime>(_rt: R) {
    let bound = tcp();
    let mut connection = loopswap_rt::connect(&bound.local_addr().unwrap()).await.unwrap();
    assert_eq!(connection.peer_addr(), &bound.local_addr().unwrap());
    let BoundListener::Tcp(listener) = bound else { unreachable!("tcp() is TCP") };
    let socket = socket2::Socket::from(listener.accept().unwrap().0);
    send(&mut connection, b"hello".to_vec()).await;
    (&socket).write_all(&read_exact(&socket, 5)).unwrap();
    assert_eq!(receive_exact(&mut connection, 5).await, b"hello");
    drop(connection);
    assert_eq!(read_to_end(&socket), b"", "dropped, it is closed");
}

/// The peer's FIN is an empty receive, again and again, and leaves our direction open; our own leaves the peer's open.
pub async fn half_close<R: Runtime>(rt: R) {
    let (mut connection, mut socket) = pair(&rt).await;
    let client = peer(move || {
        socket.write_all(b"question").unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        read_to_end(&socket)
    });
    assert_eq!(receive_to_end(&mut connection).await, b"question");
    assert_eq!(receive_to_end(&mut connection).await, b"", "the end is the end");
    send(&mut connection, b"answer".to_vec()).await;
    connection.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.await, b"answer");

    let (mut connection, mut socket) = pair(&rt).await;
    send(&mut connection, b"question".to_vec()).await;
    connection.shutdown(Shutdown::Write).unwrap();
    let client = peer(move || {
        let question = read_to_end(&socket);
        socket.write_all(b"answer").unwrap();
        question
    });
    assert_eq!(receive_to_end(&mut connection).await, b"answer");
    assert_eq!(client.await, b"question");
}

/// Shutting down from another task ends a receive that is under way.
pub async fn shutdown_ends_a_waiting_receive<R: Runtime>(rt: R) {
    let (connection, _socket) = pair(&rt).await;
    let connection = Rc::new(RefCell::new(connection));
    let (waits, ended) = (Signal::default(), Signal::default());
    rt.spawn({
        let (connection, waits, ended) = (Rc::clone(&connection), waits.clone(), ended.clone());
        async move {
            let received = poll_fn(|cx| {
                waits.raise();
                connection.borrow_mut().poll_receive(cx, <[u8]>::len)
            });
            assert_eq!(received.await.unwrap(), 0);
            ended.raise();
        }
    });
    within("the first poll", waits.wait()).await;
    connection.borrow_mut().shutdown(Shutdown::Both).unwrap();
    within("the end of the receive", ended.wait()).await;
}

/// All of a big send arrives, at a reader that begins late and takes little at a time. No receive lends more than 64 KiB.
pub async fn big_write_slow_reader<R: Runtime>(rt: R) {
    let (mut connection, socket) = pair(&rt).await;
    let bytes = pattern(BIG);
    {
        let mut sending = std::pin::pin!(connection.send(bytes.clone()));
        assert!(poll_once(sending.as_mut()).await.is_pending(), "nobody reads yet, so it cannot be over");
        let reader = peer(move || (0..BIG / 4096).flat_map(|_| read_exact(&socket, 4096)).collect::<Vec<_>>());
        let (result, buf) = within("the end of the send", sending).await;
        result.unwrap();
        assert!(buf.is_empty() && buf.capacity() >= BIG);
        assert_same(&reader.await, &bytes);
    }

    let (mut connection, mut socket) = pair(&rt).await;
    let writer = peer({
        let bytes = bytes.clone();
        move || socket.write_all(&bytes).unwrap()
    });
    let mut received = Vec::new();
    while received.len() < BIG {
        let lent = within(
            "bytes",
            connection.receive(|lent| {
                received.extend_from_slice(lent);
                lent.len()
            }),
        )
        .await
        .unwrap();
        assert!((1..=64 * 1024).contains(&lent), "{lent} bytes were lent at once");
    }
    assert_same(&received, &bytes);
    writer.await;
}

/// A send gives its buffer back: empty, the very same one.
pub async fn send_gives_the_buffer_back<R: Runtime>(rt: R) {
    let (mut connection, socket) = pair(&rt).await;
    for text in [&b"some"[..], b"", b"more"] {
        let mut buf = Vec::with_capacity(1000);
        buf.extend_from_slice(text);
        let home = buf.as_ptr();
        let (result, buf) = within("the end of a send", connection.send(buf)).await;
        result.unwrap();
        assert!(buf.is_empty() && buf.capacity() == 1000 && buf.as_ptr() == home, "for {text:?}");
    }
    assert_eq!(read_exact(&socket, 8), b"somemore");
}

/// A second send while one is under way, and waiting for none, are bugs of the caller that are told; `is_sending` tells them before.
pub async fn one_send_at_a_time<R: Runtime>(rt: R) {
    let (mut connection, socket) = pair(&rt).await;
    assert!(!connection.is_sending());
    panic_of(|| connection.poll_send(&mut std::task::Context::from_waker(Waker::noop())).is_ready());
    connection.start_send(pattern(BIG));
    assert!(connection.is_sending());
    panic_of(|| connection.start_send(b"second".to_vec()));
    assert!(connection.is_sending());
    let reader = peer(move || read_exact(&socket, BIG));
    within("the end of the send", poll_fn(|cx| connection.poll_send(cx))).await.0.unwrap();
    assert!(!connection.is_sending());
    assert_same(&reader.await, &pattern(BIG));
}

/// Ten thousand small questions and answers on one connection.
pub async fn many_small_messages<R: Runtime>(rt: R) {
    const MESSAGES: u32 = 10_000;
    let (mut connection, mut socket) = pair(&rt).await;
    socket.set_tcp_nodelay(true).unwrap();
    let client = peer(move || {
        for n in 0..MESSAGES {
            socket.write_all(&n.to_be_bytes()).unwrap();
            assert_eq!(read_exact(&socket, 4), n.to_be_bytes());
        }
    });
    for _ in 0..MESSAGES {
        let message = receive_exact(&mut connection, 4).await;
        send(&mut connection, message).await;
    }
    client.await;
}

/// A task drives a big receive and a big send on one connection, against a peer that reads only while we do.
pub async fn duplex<R: Runtime>(rt: R) {
    let (mut connection, socket) = pair(&rt).await;
    let reading = socket.try_clone().unwrap();
    let reader = peer(move || read_exact(&reading, BIG));
    let writer = peer(move || (&socket).write_all(&pattern(BIG)).unwrap());
    connection.start_send(pattern(BIG));
    let mut received = Vec::new();
    let both = poll_fn(|cx| {
        if connection.is_sending()
            && let Poll::Ready((result, _)) = connection.poll_send(cx)
        {
            result.unwrap();
        }
        while received.len() < BIG {
            match connection.poll_receive(cx, |lent| received.extend_from_slice(lent)) {
                Poll::Ready(result) => result.unwrap(),
                Poll::Pending => break,
            }
        }
        if connection.is_sending() || received.len() < BIG { Poll::Pending } else { Poll::Ready(()) }
    });
    within("both directions", both).await;
    assert_same(&received, &pattern(BIG));
    assert_same(&reader.await, &pattern(BIG));
    writer.await;
}

/// The two directions may belong to two tasks, and each is woken for its own: the last that polled, not the first.
pub async fn each_direction_wakes_who_polled_it_last<R: Runtime>(rt: R) {
    let (mut connection, mut socket) = pair(&rt).await;
    connection.start_send(pattern(BIG));
    let mut nobody = std::task::Context::from_waker(Waker::noop());
    assert!(connection.poll_send(&mut nobody).is_pending());
    assert!(connection.poll_receive(&mut nobody, |_| ()).is_pending());

    let connection = Rc::new(RefCell::new(connection));
    let (waits, sent, received) = (Signal::default(), Signal::default(), Signal::default());
    rt.spawn(send_the_rest::<R>(Rc::clone(&connection), waits.clone(), sent.clone()));
    within("the sender's first poll", waits.wait()).await;
    rt.spawn({
        let (waits, received) = (waits.clone(), received.clone());
        async move {
            let receive = poll_fn(|cx| {
                waits.raise();
                connection.borrow_mut().poll_receive(cx, <[u8]>::to_vec)
            });
            assert_eq!(receive.await.unwrap(), b"!");
            received.raise();
        }
    });
    within("the receiver's first poll", waits.wait()).await;

    socket.write_all(b"!").unwrap();
    within("the receiver", received.wait()).await;
    let reader = peer(move || read_exact(&socket, BIG));
    within("the sender", sent.wait()).await;
    assert_same(&reader.await, &pattern(BIG));
}

async fn send_the_rest<R: Runtime>(connection: Rc<RefCell<Accepted<R>>>, waits: Signal, sent: Signal) {
    let send = poll_fn(|cx| {
        waits.raise();
        connection.borrow_mut().poll_send(cx)
    });
    send.await.0.unwrap();
    sent.raise();
}

/// Ten thousand connections, one after the other: nothing of them stays.
pub async fn ten_thousand_connections_in_turn<R: Runtime>(rt: R) {
    const CONNECTIONS: usize = 10_000;
    let bound = tcp();
    let address = bound.local_addr().unwrap();
    let mut listener = rt.listen(bound).unwrap();
    let clients = peer(move || {
        for _ in 0..CONNECTIONS {
            let mut socket = dial(&address);
            socket.write_all(b"?").unwrap();
            assert_eq!(read_to_end(&socket), b"!");
            // No TIME_WAIT stays behind either.
            crate::peer::reset(socket);
        }
    });
    for _ in 0..CONNECTIONS {
        let mut connection = accept(&mut listener).await;
        assert_eq!(receive_exact(&mut connection, 1).await, b"?");
        send(&mut connection, b"!".to_vec()).await;
    }
    clients.await;
    assert!(poll_once(std::pin::pin!(listener.accept())).await.is_pending(), "there are no more clients");
}
