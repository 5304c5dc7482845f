//! Clients that connect and do not open HTTP/2: closed by a deadline, which costs no CPU and is not put off by a trickle.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Served, block_on, client, connect, hello, serve, until_closed};

crate::on_every_loop!(silence, half_a_preface, a_trickle, preface_without_settings, garbage, a_handshake_in_time_stays);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Long enough for a client that has to wait for a CPU.
const DEADLINE: Duration = Duration::from_secs(2);

fn serve_impatiently(runtime: &str) -> Served {
    serve(runtime, &["--handshake-timeout", "2s"])
}

/// The socket is closed by the deadline, not before, and the server has slept meanwhile.
fn is_closed_by_the_deadline(server: &Served, mut socket: TcpStream, opened: Instant) {
    let cpu = server.cpu();
    until_closed(&mut socket);
    assert!(opened.elapsed() >= DEADLINE, "closed after {:?}", opened.elapsed());
    let spent = server.cpu() - cpu;
    assert!(spent < Duration::from_millis(40), "it spent {spent:?} of CPU on waiting");
}

fn silence(runtime: &str) {
    let server = serve_impatiently(runtime);
    let opened = Instant::now();
    is_closed_by_the_deadline(&server, connect(server.addr()), opened);
}

fn half_a_preface(runtime: &str) {
    let server = serve_impatiently(runtime);
    let opened = Instant::now();
    let mut socket = connect(server.addr());
    socket.write_all(&PREFACE[..12]).unwrap();
    is_closed_by_the_deadline(&server, socket, opened);
}

fn preface_without_settings(runtime: &str) {
    let server = serve_impatiently(runtime);
    let opened = Instant::now();
    let mut socket = connect(server.addr());
    socket.write_all(PREFACE).unwrap();
    is_closed_by_the_deadline(&server, socket, opened);
}

fn a_trickle(runtime: &str) {
    let server = serve_impatiently(runtime);
    let opened = Instant::now();
    let socket = connect(server.addr());
    let mut writer = socket.try_clone().unwrap();
    let trickle = thread::spawn(move || {
        // A byte each 250 ms would take 6 s; writing fails once the server has closed.
        for byte in PREFACE.chunks(1) {
            if writer.write_all(byte).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(250));
        }
    });
    is_closed_by_the_deadline(&server, socket, opened);
    assert!(opened.elapsed() < Duration::from_secs(6), "each byte put the deadline off");
    trickle.join().unwrap();
}

/// Closed at once or by the deadline; the server goes on.
fn garbage(runtime: &str) {
    let server = serve_impatiently(runtime);
    let tls_hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 200]].concat();
    let mut cases = vec![b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), tls_hello, vec![0; 4096], vec![0xff; 100_000]];
    // Right up to a byte, and wrong then.
    cases.extend([1, 10, 23].map(|n| [&PREFACE[..n], b"X"].concat()));
    // A preface, and DATA where SETTINGS belong.
    cases.push([PREFACE, &[0, 0, 0, 0, 0, 0, 0, 0, 1]].concat());
    for bytes in cases {
        let mut socket = connect(server.addr());
        // The server may close before it has read all.
        let _ = socket.write_all(&bytes);
        until_closed(&mut socket);
    }
    assert!(block_on(async { hello(&mut client(server.addr()).await, "Joe", 0).await }).is_ok());
}

fn a_handshake_in_time_stays(runtime: &str) {
    let server = serve_impatiently(runtime);
    block_on(async {
        let mut client = client(server.addr()).await;
        assert!(hello(&mut client, "Joe", 0).await.is_ok());
        ::tokio::time::sleep(DEADLINE * 2).await;
        let again = hello(&mut client, "Joe", 0).await;
        assert!(again.is_ok(), "{again:?}");
    });
}
