//! What a server can be told to listen on, in a word.

use std::os::fd::RawFd;
use std::str::FromStr;
use std::sync::Arc;

use loopswap_rt::{Address, BoundListener};

use crate::Error;

/// Something to listen on.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// To be bound.
    Address(Address),
    /// Inherited, by its number.
    Descriptor(RawFd),
    /// What systemd passed: all, or by name.
    Systemd(Option<String>),
    /// What the program has bound itself.
    Given(Arc<BoundListener>),
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        if let Some(number) = word.strip_prefix("fd:") {
            let number =
                number.parse().map_err(|_| Error::usage(format!("bad address: `{word}`: behind fd: stands a number, as in fd:3")))?;
            Ok(Self::Descriptor(number))
        } else if let Some(name) = word.strip_prefix("systemd:") {
            if name.is_empty() {
                return Err(Error::usage(format!(
                    "bad address: `{word}` wants a name behind it; without `:` it means all sockets that systemd passed"
                )));
            }
            Ok(Self::Systemd(Some(name.into())))
        } else if word == "systemd" {
            Ok(Self::Systemd(None))
        } else {
            word.parse().map(Self::Address).map_err(|error| Error::usage(format!("bad address: {error}")).with_source(error))
        }
    }
}
