//! TCP: binding, and what is set on listeners so that connections inherit it.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use loopswap_rt::{Address, BoundListener};
use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use crate::Error;
use crate::server::listen::BACKLOG;

/// A listener on io_uring outlives its process by about 10 ms: an address in use is tried again for this long.
const IN_USE_RETRY: Duration = Duration::from_millis(250);

/// What tcp(7) takes for TCP_KEEPIDLE and TCP_KEEPINTVL (MAX_TCP_KEEPIDLE of the kernel): whole seconds.
const KEEPALIVE_SECS_MAX: u64 = 32_767;

/// What it takes for TCP_KEEPCNT (MAX_TCP_KEEPCNT).
const KEEPALIVE_RETRIES_MAX: u32 = 127;

/// TCP_USER_TIMEOUT is milliseconds in an `int`.
const USER_TIMEOUT_MS_MAX: u128 = i32::MAX as u128;

/// What is asked of TCP. `None` leaves it to the kernel. TCP_NODELAY is always set.
#[derive(Clone, Debug, Default)]
pub(super) struct TcpOptions {
    pub(super) keepalive: Option<Duration>,
    pub(super) keepalive_interval: Option<Duration>,
    pub(super) keepalive_retries: Option<u32>,
    pub(super) user_timeout: Option<Duration>,
}

impl TcpOptions {
    /// Refuses what the kernel would.
    pub(super) fn check(&self) -> Result<(), Error> {
        let Self { keepalive, keepalive_interval, keepalive_retries, user_timeout } = self;
        for (what, time) in [("TCP keepalive", keepalive), ("TCP keepalive interval", keepalive_interval)] {
            if let Some(time) = time.filter(|time| time.subsec_nanos() != 0 || !(1..=KEEPALIVE_SECS_MAX).contains(&time.as_secs())) {
                return Err(Error::usage(format!("{what} of {time:?}: it is whole seconds, from 1 to {KEEPALIVE_SECS_MAX}")));
            }
        }
        if let Some(n) = keepalive_retries.filter(|n| !(1..=KEEPALIVE_RETRIES_MAX).contains(n)) {
            return Err(Error::usage(format!("TCP keepalive retries of {n}: it is a number from 1 to {KEEPALIVE_RETRIES_MAX}")));
        }
        if keepalive.is_none() && (keepalive_interval.is_some() || keepalive_retries.is_some()) {
            return Err(Error::usage("the interval and the retries of TCP keepalive want TCP keepalive itself, which is off"));
        }
        if let Some(time) = user_timeout.filter(|time| !(1..=USER_TIMEOUT_MS_MAX).contains(&time.as_millis())) {
            return Err(Error::usage(format!("TCP user timeout of {time:?}: it is from 1 ms to {USER_TIMEOUT_MS_MAX} ms")));
        }
        Ok(())
    }

    /// Sets it on a listener. What it accepts inherits it.
    pub(super) fn set(&self, listener: &SockRef<'_>) -> io::Result<()> {
        listener.set_tcp_nodelay(true)?;
        if let Some(time) = self.keepalive {
            let mut keepalive = TcpKeepalive::new().with_time(time);
            if let Some(interval) = self.keepalive_interval {
                keepalive = keepalive.with_interval(interval);
            }
            if let Some(retries) = self.keepalive_retries {
                keepalive = keepalive.with_retries(retries);
            }
            listener.set_tcp_keepalive(&keepalive)?;
        }
        if let Some(timeout) = self.user_timeout {
            listener.set_tcp_user_timeout(Some(timeout))?;
        }
        Ok(())
    }
}

/// `n` listening sockets on one address; when there are several, the kernel spreads connections over them.
pub(super) fn bind(address: &Address, n: usize, options: &TcpOptions) -> io::Result<Vec<BoundListener>> {
    let listening = |socket: Socket| {
        options.set(&SockRef::from(&socket))?;
        socket.listen(BACKLOG)?;
        Ok(BoundListener::Tcp(socket.into()))
    };
    // SO_REUSEPORT would let us join whoever listens there with it, and share the clients with them. A socket without it finds them.
    let alone = until_free(|| tcp_socket(&SockAddr::try_from(address)?, false))?;
    if n == 1 {
        return Ok(vec![listening(alone)?]);
    }
    let chosen = alone.local_addr()?;
    drop(alone);
    (0..n).map(|_| listening(until_free(|| tcp_socket(&chosen, true))?)).collect()
}

fn tcp_socket(address: &SockAddr, share_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    if address.domain() == Domain::IPV6 {
        socket.set_only_v6(false)?;
    }
    // Sockets in TIME_WAIT do not count; one that listens does.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share_port)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Tries to bind until the address is free, but not for long.
pub(super) fn until_free<T>(mut bind: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let give_up = Instant::now() + IN_USE_RETRY;
    loop {
        match bind() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < give_up => thread::sleep(Duration::from_millis(5)),
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_told_after_a_while() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::from(taken.local_addr().unwrap());
        let start = Instant::now();
        let error = bind(&address, 2, &TcpOptions::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(start.elapsed() >= IN_USE_RETRY, "a listener of a process that has just ended goes away by itself");
    }

    #[test]
    fn what_the_kernel_would_refuse_is_told_by_its_name() {
        let secs = |n| Some(Duration::from_secs(n));
        let keepalive = TcpOptions { keepalive: secs(30), ..TcpOptions::default() };
        let wrong = [
            (TcpOptions { keepalive: secs(0), ..TcpOptions::default() }, "keepalive of 0ns"),
            (TcpOptions { keepalive: Some(Duration::from_millis(1500)), ..TcpOptions::default() }, "whole seconds"),
            (TcpOptions { keepalive: secs(32_768), ..TcpOptions::default() }, "32767"),
            (TcpOptions { keepalive_interval: secs(0), ..keepalive.clone() }, "interval of 0ns"),
            (TcpOptions { keepalive_retries: Some(128), ..keepalive.clone() }, "from 1 to 127"),
            (TcpOptions { keepalive_retries: Some(3), ..TcpOptions::default() }, "which is off"),
            (TcpOptions { user_timeout: secs(0), ..TcpOptions::default() }, "user timeout of 0ns"),
            (TcpOptions { user_timeout: secs(3_000_000), ..TcpOptions::default() }, "2147483647 ms"),
        ];
        for (options, text) in wrong {
            let error = options.check().unwrap_err();
            assert!(error.to_string().contains(text), "no `{text}` in: {error}");
        }
        for retries in [1, 127] {
            let options = TcpOptions {
                keepalive_interval: secs(32_767),
                keepalive_retries: Some(retries),
                user_timeout: secs(20),
                ..keepalive.clone()
            };
            options.check().unwrap();
            bind(&"127.0.0.1:0".parse().unwrap(), 1, &options).unwrap();
        }
    }
}
