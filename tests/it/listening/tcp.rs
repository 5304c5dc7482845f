//! What is set on listeners, seen on the connections that inherit it.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::time::Duration;

use loopswap::rt::Address;
use loopswap::{Balance, Builder};
use rustix::net::sockopt::{socket_keepalive, tcp_keepcnt, tcp_keepidle, tcp_keepintvl, tcp_nodelay, tcp_user_timeout};
use rustix::process::{ForeignRawFd, Pid, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use socket2::SockRef;

use super::serve_here;
use crate::raw::Connection;
use crate::support::{eventually, loopswap, output, serve};

crate::on_every_loop!(is_inherited_by_what_is_accepted, is_the_kernels_unless_told);

/// The accepted socket of a process whose other end has this port.
fn accepted(process: Pid, port: u16) -> OwnedFd {
    let process_fd = pidfd_open(process, PidfdFlags::empty()).expect("it is there");
    eventually("the connection is accepted", || {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", process.as_raw_nonzero())).expect("it is there");
        let numbers = entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse::<ForeignRawFd>().unwrap());
        let mut sockets = numbers.filter_map(|number| pidfd_getfd(&process_fd, number, PidfdGetfdFlags::empty()).ok());
        // The client's own end is this process's too; its peer has another port.
        sockets.find(|socket| SockRef::from(socket).peer_addr().is_ok_and(|peer| peer.as_socket().is_some_and(|peer| peer.port() == port)))
    })
}

fn check(builder: impl Fn(Builder) -> Builder, runtime: &str, look: impl Fn(&OwnedFd)) {
    let given = || TcpListener::bind("127.0.0.1:0").unwrap();
    let ways: [&dyn Fn(Builder) -> Builder; 4] = [
        &|builder| builder.listen("127.0.0.1:0").workers(1),
        &|builder| builder.listen("[::1]:0").workers(2),
        &|builder| builder.listen("127.0.0.1:0").workers(2).balance(Balance::LeastConnections),
        &|builder| builder.listen_on(given()).workers(1),
    ];
    for way in ways {
        let server = serve_here(runtime, "native", |start| way(builder(start)));
        let Address::Tcp(address) = server.local_addr() else { panic!("it is TCP") };
        let mut connection = Connection::open(*address, &[]);
        look(&accepted(getpid(), connection.local_addr().port()));
        connection.hello("", 0);
    }
}

fn is_inherited_by_what_is_accepted(runtime: &str) {
    let secs = Duration::from_secs;
    let builder = |builder: Builder| {
        let builder = builder.tcp_keepalive(secs(30)).tcp_keepalive_interval(secs(10)).tcp_keepalive_retries(4);
        builder.tcp_user_timeout(Duration::from_millis(20_500))
    };
    check(builder, runtime, |socket| {
        assert!(tcp_nodelay(socket).unwrap() && socket_keepalive(socket).unwrap());
        let keepalive = (tcp_keepidle(socket).unwrap(), tcp_keepintvl(socket).unwrap(), tcp_keepcnt(socket).unwrap());
        assert_eq!(keepalive, (secs(30), secs(10), 4));
        assert_eq!(tcp_user_timeout(socket).unwrap(), 20_500);
    });
}

fn is_the_kernels_unless_told(runtime: &str) {
    check(
        |builder| builder,
        runtime,
        |socket| {
            assert!(tcp_nodelay(socket).unwrap() && !socket_keepalive(socket).unwrap());
            assert_eq!(tcp_user_timeout(socket).unwrap(), 0);
        },
    );
}

#[test]
fn by_the_flags() {
    let args = ["--tcp-keepalive", "40s", "--tcp-keepalive-interval", "5s", "--tcp-keepalive-retries", "3", "--tcp-user-timeout", "90s"];
    let server = serve("tokio", &args);
    let connection = Connection::open(server.addr(), &[]);
    let socket = accepted(Pid::from_raw(server.id().cast_signed()).unwrap(), connection.local_addr().port());
    let keepalive = (tcp_keepidle(&socket).unwrap(), tcp_keepintvl(&socket).unwrap(), tcp_keepcnt(&socket).unwrap());
    assert_eq!(keepalive, (Duration::from_secs(40), Duration::from_secs(5), 3));
    assert_eq!(tcp_user_timeout(&socket).unwrap(), 90_000);
}

#[test]
fn what_the_kernel_would_refuse_is_told() {
    for (args, text) in [
        (&["--tcp-keepalive", "1500ms"][..], "whole seconds"),
        (&["--tcp-keepalive-retries", "3"], "which is off"),
        (&["--tcp-keepalive", "30s", "--tcp-keepalive-retries", "0"], "from 1 to 127"),
        (&["--tcp-user-timeout", "0s"], "from 1 ms"),
    ] {
        let ended = output(loopswap().args(["--runtime", "tokio"]).args(args));
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(text), "no `{text}` in: {}", ended.stderr);
    }
}
