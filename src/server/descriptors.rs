//! How many descriptors the process may have open (RLIMIT_NOFILE), and by that how many connections its server may.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Error;
use crate::server::Builder;

/// What a builder was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    max_connections: Option<usize>,
    raise_limit: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { max_connections: None, raise_limit: true }
    }
}

impl Wanted {
    /// How many connections there may be. Raises the limit first, if so it is wanted.
    ///
    /// # Errors
    ///
    /// None, or more than there may be descriptors.
    pub(super) fn max_connections(self) -> Result<usize, Error> {
        if self.raise_limit {
            raise_limit();
        }
        let limit = limit();
        match self.max_connections {
            None => Ok(default_of(limit)),
            Some(0) => Err(Error::usage("a maximum of 0 connections serves nobody; ask for 1 or more")),
            Some(n) if n > limit => Err(Error::usage(format!(
                "a maximum of {n} connections is more than the {limit} descriptors that this process may have open; ask for fewer, or raise its limit (ulimit -n, LimitNOFILE= in systemd)"
            ))),
            Some(n) => Ok(n),
        }
    }
}

/// Of the descriptors, three quarters: what is left is for the workers themselves, for the metrics' clients, for files, and for connections that handlers make.
fn default_of(limit: usize) -> usize {
    (limit - limit.div_ceil(4)).max(1)
}

/// The soft limit.
fn limit() -> usize {
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Raises the soft limit to the hard one, which needs no privilege. Soft limits are low, 1024 as a rule, for the sake of programs that call select(2).
fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Where it is refused all the same, the limit is as it was.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

impl Builder {
    /// How many connections may be open at a time, on all workers and addresses together. Who comes then waits in the kernel until one ends: 4096 clients a
    /// listener, or net.core.somaxconn if that is less; others have to try again. Default: three quarters of the descriptors that the process may have open.
    ///
    /// A connection counts from before it is accepted until it is closed, its TLS handshake included. That the maximum is reached is logged, and counted
    /// ([`Violation::Connections`](crate::http2::Violation::Connections)). At a drain, those who wait are let in beyond it, to be told to go elsewhere. Clients of
    /// [metrics](Self::metrics_addr) do not count, so that these, `/healthz` and `/readyz` can be reached at all times.
    ///
    /// [`start`](Self::start) fails with [`ErrorKind::Usage`](crate::ErrorKind::Usage) for 0, and for more than the process may have descriptors.
    pub fn max_connections(mut self, n: usize) -> Self {
        self.descriptors.max_connections = Some(n);
        self
    }

    /// Whether [`start`](Self::start) raises the process's soft limit on descriptors (RLIMIT_NOFILE) to the hard one. Default: yes.
    ///
    /// The limit is of the whole process, stays when the server ends, and is handed down to processes that it starts. Say no where something in it calls select(2),
    /// which cannot have descriptors above 1023.
    pub fn raise_descriptor_limit(mut self, wanted: bool) -> Self {
        self.descriptors.raise_limit = wanted;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_left_for_other_things() {
        assert_eq!([1, 2, 3, 4, 64, 1024].map(default_of), [1, 1, 2, 3, 48, 768]);
        assert!(default_of(usize::MAX) > usize::MAX / 2);
    }

    #[test]
    fn what_cannot_be_had_is_refused_with_a_remedy() {
        let wanted = |n| Wanted { max_connections: Some(n), raise_limit: false }.max_connections();
        assert!(wanted(0).unwrap_err().to_string().contains("ask for 1 or more"));
        assert_eq!(wanted(1).unwrap(), 1);
        assert_eq!(wanted(limit()).unwrap(), limit());
        if limit() < usize::MAX {
            let error = wanted(limit() + 1).unwrap_err().to_string();
            assert!(error.contains("ulimit -n") && error.contains(&limit().to_string()), "{error}");
        }
    }
}
