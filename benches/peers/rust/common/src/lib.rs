//! What every Rust peer does alike: bind a port of loopback, say where it listens, end at SIGTERM. Not the service, which each framework writes in
//! its own way.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

/// A socket on a free port of loopback, blocking.
///
/// # Panics
///
/// When loopback has no free port: there is nothing to serve on.
pub fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("loopback has a free port")
}

/// The same, as tokio wants it.
///
/// # Panics
///
/// As [`bind`].
pub fn bind_nonblocking() -> TcpListener {
    let listener = bind();
    listener.set_nonblocking(true).expect("a socket can be made nonblocking");
    listener
}

/// Tells the suite where this server is.
pub fn listening(listener: &TcpListener) {
    listening_on(listener.local_addr().expect("the socket is bound"));
}

/// Tells the suite where this server is.
pub fn listening_on(addr: SocketAddr) {
    println!("listening on {addr}");
}

/// From now on SIGTERM ends this process with code 0. A server under measurement has no call to finish by then.
///
/// # Panics
///
/// When the signal cannot be handled.
pub fn end_at_sigterm() {
    let mut signals = Signals::new([SIGTERM]).expect("SIGTERM can be handled");
    std::thread::spawn(move || {
        signals.forever().next();
        std::process::exit(0);
    });
}

/// The time that a request asks for; `None` for none at all, so that no timer is touched.
pub fn sleep_of(sleep_millisecond: i32) -> Option<Duration> {
    let ms = u64::try_from(sleep_millisecond).ok().filter(|ms| *ms > 0)?;
    Some(Duration::from_millis(ms))
}

/// The service's answer.
pub fn greeting(name: &str) -> String {
    format!("Hello, {name}!")
}
