//! Black box: the built binary, each `--runtime`, real clients and raw bytes on real sockets; and the library's server with services that
//! misbehave.
//!
//! A case takes the loop's word and is run on each loop by [`on_every_loop`]. What a case needs and this machine lacks fails it.

mod support;

mod attacks;
mod blocks;
mod care;
mod channel;
mod channelz;
mod command_line;
mod compression;
mod deploy;
mod descriptors;
mod drain;
mod drain_frames;
mod error_details;
mod examples;
mod faults;
mod from_tonic;
mod grpc_rules;
mod grpc_web;
mod handlers;
mod handshake;
mod health;
mod hooks;
mod interceptors;
mod interop;
mod layers;
mod leaks;
mod listening;
mod load;
mod observe;
#[cfg(feature = "otel")]
mod otel;
mod overload;
mod panics;
mod peers;
mod raw;
mod reflection;
mod refused;
mod rfc7541;
mod rfc9113;
mod serve;
mod services;
mod systemd;
mod tidy;
mod tls;
mod vanish;

/// Runs each case on each loop: `drain::tokio_uring::finishes_running_calls`.
macro_rules! on_every_loop {
    ($($case:ident),* $(,)?) => {
        mod tokio {
            $(#[test] fn $case() { super::$case("tokio"); })*
        }
        mod tokio_uring {
            $(#[test] fn $case() { super::$case("tokio-uring"); })*
        }
        mod glommio {
            $(#[test] fn $case() { super::$case("glommio"); })*
        }
    };
}
use on_every_loop;

/// Runs each case on each loop and engine: `interop::tokio_uring::native::ping_pong`.
macro_rules! on_every_loop_and_engine {
    ($($case:ident),* $(,)?) => {
        $crate::on_every_loop_and_engine!(@loop tokio "tokio" $($case)*);
        $crate::on_every_loop_and_engine!(@loop tokio_uring "tokio-uring" $($case)*);
        $crate::on_every_loop_and_engine!(@loop glommio "glommio" $($case)*);
    };
    (@loop $module:ident $word:literal $($case:ident)*) => {
        mod $module {
            mod native {
                $(#[test] fn $case() { super::super::$case($word, "native"); })*
            }
            mod hyper {
                $(#[test] fn $case() { super::super::$case($word, "hyper"); })*
            }
        }
    };
}
use on_every_loop_and_engine;
