//! A client that speaks raw frames, and the server that it speaks to: the built binary on a loop and an engine.
//!
//! It knows no HTTP/2 library: what it sends is right or wrong as the case wants it. Its own frames and header blocks are in [`frame`] and
//! [`hpack`], good calls in [`call`], and what is expected of a server in [`verdict`].

mod call;
mod connection;
mod frame;
mod hpack;
mod response;
mod verdict;

use std::net::SocketAddr;
use std::time::Instant;

use crate::support::{Served, serve};

pub(crate) use call::{Fields, announced, call, hello, prefixed};
pub(crate) use connection::{Connection, PREFACE, read_frame};
pub(crate) use frame::*;
pub(crate) use hpack::Block;
pub(crate) use response::{Response, status};

/// Runs each case on each loop with the native engine, and once with the engine on hyper, to see that the case asks for nothing that only one
/// engine does: `rfc9113::ping::tokio_uring::s6_7_is_answered`. What hyper cannot do is listed with the reason, and ignored there; in both
/// modules of a case the server must be well afterwards, and hold no descriptor for it.
///
/// A case takes a [`Server`]; `with` names what runs it, if that is not [`run`].
macro_rules! on_every_engine {
    (with $run:path; $($case:ident $(($why:literal))?),* $(,)?) => {
        mod tokio {
            $(#[test] fn $case() { $run($crate::raw::Target { runtime: "tokio", engine: "native" }, super::$case); })*
        }
        mod tokio_uring {
            $(#[test] fn $case() { $run($crate::raw::Target { runtime: "tokio-uring", engine: "native" }, super::$case); })*
        }
        mod glommio {
            $(#[test] fn $case() { $run($crate::raw::Target { runtime: "glommio", engine: "native" }, super::$case); })*
        }
        mod hyper {
            $(#[test] $(#[ignore = $why])? fn $case() { $run($crate::raw::Target { runtime: "tokio", engine: "hyper" }, super::$case); })*
        }
    };
    ($($cases:tt)*) => { $crate::raw::on_every_engine!(with $crate::raw::run; $($cases)*); };
}
pub(crate) use on_every_engine;

/// As [`on_every_engine`], with each loop for the engine on hyper, too.
macro_rules! on_every_loop_and_engine {
    ($($case:ident $(($why:literal))?),* $(,)?) => {
        $crate::raw::on_every_engine!($($case $(($why))?),*);
        mod hyper_on_tokio_uring {
            $(#[test] $(#[ignore = $why])? fn $case() { $crate::raw::run($crate::raw::Target { runtime: "tokio-uring", engine: "hyper" }, super::$case); })*
        }
        mod hyper_on_glommio {
            $(#[test] $(#[ignore = $why])? fn $case() { $crate::raw::run($crate::raw::Target { runtime: "glommio", engine: "hyper" }, super::$case); })*
        }
    };
}
pub(crate) use on_every_loop_and_engine;

/// A loop and an engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) runtime: &'static str,
    pub(crate) engine: &'static str,
}

/// The binary, serving on one worker.
pub(crate) struct Server {
    process: Served,
    engine: &'static str,
    /// Its open descriptors with no connection.
    n_fds: usize,
}

impl Target {
    /// Starts the binary, with these arguments besides.
    pub(crate) fn serve(self, args: &[&str]) -> Server {
        let process = serve(self.runtime, &[&["--http2", self.engine], args].concat());
        // The first call opens what the process keeps.
        let mut connection = Connection::open(process.addr(), &[]);
        connection.greets();
        let n_fds = process.n_fds() - 1;
        Server { process, engine: self.engine, n_fds }
    }
}

/// Runs a case, and sees that the server is well afterwards.
pub(crate) fn run(target: Target, case: impl FnOnce(&mut Server)) {
    let mut server = target.serve(&[]);
    case(&mut server);
    server.is_well();
}

impl Server {
    pub(crate) fn addr(&self) -> SocketAddr {
        self.process.addr()
    }

    /// Its engine's word.
    pub(crate) fn engine(&self) -> &'static str {
        self.engine
    }

    pub(crate) fn process(&mut self) -> &mut Served {
        &mut self.process
    }

    /// A connection with the handshake done, and default settings.
    pub(crate) fn open(&self) -> Connection {
        self.open_with(&[])
    }

    /// A connection with the handshake done, and these settings.
    pub(crate) fn open_with(&self, settings: &[(u16, u32)]) -> Connection {
        Connection::open(self.addr(), settings)
    }

    /// A connection whose client reads nothing from this time on, and for which there are 9 MB of answers, more than the kernel's buffers take: the server's send does
    /// not end. The client cannot see what becomes of it; the server's descriptors show it.
    pub(crate) fn open_deaf(&self) -> (Connection, Instant) {
        let mut connection = self.open_with(&[(setting::INITIAL_WINDOW_SIZE, MAX_31_BITS)]);
        connection.take_little();
        connection.send([window_update(0, MAX_31_BITS - WINDOW as u32)]);
        let body = hello(&"x".repeat(300_000), 0);
        let streams: Vec<_> = (0..30).map(|_| connection.begin(&Fields::hello())).collect();
        for stream in &streams {
            connection.upload(*stream, body.chunks(MAX_FRAME_SIZE), data);
        }
        connection.stop_reading();
        let since = Instant::now();
        connection.send(streams.into_iter().map(|stream| data(stream, []).end()));
        (connection, since)
    }

    /// How much more memory of this kind the process has after `attack` than before, in bytes. The kinds are those of /proc/PID/status:
    /// `VmHWM` is the most that was ever resident, `VmSize` what is reserved.
    pub(crate) fn memory_for<T>(&self, kind: &str, attack: impl FnOnce() -> T) -> (u64, T) {
        let before = self.process.memory(if kind == "VmHWM" { "VmRSS" } else { kind });
        let result = attack();
        (self.process.memory(kind).saturating_sub(before), result)
    }

    /// Waits until it holds no connection.
    pub(crate) fn lets_go_of_all(&self) {
        self.process.wait_for_fds(self.n_fds);
    }

    /// It serves another client, and has nothing left of those before.
    pub(crate) fn is_well(&mut self) {
        assert!(self.process.is_running(), "it has ended: {}", self.process.stderr().so_far());
        self.open().greets();
        self.lets_go_of_all();
        let log = self.process.stderr().so_far();
        assert!(!log.contains("panicked"), "a panic: {log}");
    }
}
