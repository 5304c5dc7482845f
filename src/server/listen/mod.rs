//! Where a server listens: on sockets that it binds, and on sockets that it was given. Outside the loops, the same sockets for every loop.
//!
//! * `source` reads what a builder was told; `builder` is how it is told.
//! * `tcp` and `unix` bind; `inherited` takes sockets that came with the process, by number; `systemd` knows which of them systemd passed.

mod builder;
mod inherited;
mod source;
mod systemd;
mod tcp;
mod unix;

use std::io;

use loopswap_rt::{Address, BoundListener};
use socket2::SockRef;

use crate::{Error, ErrorKind};

pub use builder::Balance;
pub(super) use builder::{Doors, Listening};
use source::Source;
use tcp::TcpOptions;
pub(super) use unix::SocketFile;

/// Connections that wait to be accepted, for each listener that we bind; the kernel caps it at net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// What was bound or taken over.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// For each worker the listeners of its own.
    pub(super) own: Vec<Vec<BoundListener>>,
    /// Those that one thread accepts from for all workers.
    pub(super) shared: Vec<Shared>,
    /// Where the server listens, in the order in which it was asked for.
    pub(super) addresses: Vec<Address>,
    /// Removed when they are dropped.
    pub(super) files: Vec<SocketFile>,
}

/// A listener that the workers cannot accept from themselves.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) listener: BoundListener,
    /// Whether it may have other holders, systemd above all, who go on listening when this server ends. It is then closed, and not shut down.
    pub(super) is_inherited: bool,
}

/// Binds or takes over all that `doors` names, for `n_workers`.
///
/// A TCP address is bound once a worker, so that the kernel spreads connections over them (SO_REUSEPORT), or once, to be shared, where the balance is to be better
/// than that. What cannot be bound twice is shared where there are several workers; what was inherited always, because a loop stops a listener by shutting
/// it down.
///
/// # Errors
///
/// An address is in use, by whomever, or cannot be bound; a socket was not given, or is none that can be accepted from.
pub(super) fn bind(doors: &Doors, n_workers: usize) -> Result<Bound, Error> {
    let mut bound = Bound { own: (0..n_workers).map(|_| Vec::new()).collect(), ..Bound::default() };
    let once = n_workers == 1 || doors.balance == Balance::LeastConnections;
    let mut passed = systemd::Passed::default();
    for source in &doors.sources {
        match source {
            Source::Address(address @ Address::Tcp(_)) => {
                let n = if once { 1 } else { n_workers };
                bound.add_own(tcp::bind(address, n, &doors.tcp).map_err(|error| tcp_failed(address, error))?)?;
            }
            Source::Address(address @ Address::Unix(_)) => {
                let (listener, file) = unix::bind(address).map_err(|error| unix_failed(address, error))?;
                bound.files.extend(file);
                bound.add_own(vec![listener])?;
            }
            Source::Given(listener) => {
                let taken = listener.try_clone().map_err(|error| failed("a listener that was given", error, ""))?;
                bound.add_inherited(taken, &doors.tcp)?;
            }
            Source::Descriptor(number) => bound.add_inherited(inherited::take(*number, &format!("fd:{number}"))?, &doors.tcp)?,
            Source::Systemd(name) => {
                for (number, label) in passed.take(name.as_deref())? {
                    bound.add_inherited(inherited::take(number, &label)?, &doors.tcp)?;
                }
            }
        }
    }
    passed.warn_of_rest();
    Ok(bound)
}

/// Binds one TCP address, beside the server's: what is served there is no worker's.
///
/// # Errors
///
/// As [`bind`].
pub(crate) fn bind_alone(address: &Address) -> Result<BoundListener, Error> {
    let bound = tcp::bind(address, 1, &TcpOptions::default()).map_err(|error| tcp_failed(address, error))?;
    Ok(bound.into_iter().next().expect("one was asked for"))
}

impl Bound {
    /// Adds sockets on one address: one a worker, or one that is the only worker's, or shared.
    fn add_own(&mut self, listeners: Vec<BoundListener>) -> Result<(), Error> {
        self.add_address(&listeners[0])?;
        if listeners.len() == self.own.len() {
            self.own.iter_mut().zip(listeners).for_each(|(own, listener)| own.push(listener));
        } else {
            self.shared.extend(listeners.into_iter().map(|listener| Shared { listener, is_inherited: false }));
        }
        Ok(())
    }

    fn add_inherited(&mut self, listener: BoundListener, tcp: &TcpOptions) -> Result<(), Error> {
        self.add_address(&listener)?;
        if let BoundListener::Tcp(listener) = &listener {
            tcp.set(&SockRef::from(listener)).map_err(|error| failed("an inherited socket", error, ""))?;
        }
        self.shared.push(Shared { listener, is_inherited: true });
        Ok(())
    }

    fn add_address(&mut self, listener: &BoundListener) -> Result<(), Error> {
        self.addresses.push(listener.local_addr().map_err(|error| failed("a socket whose address is unknown", error, ""))?);
        Ok(())
    }
}

fn tcp_failed(address: &Address, error: io::Error) -> Error {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "; stop who listens there (ss -ltnp shows it), or choose another port",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        _ => "",
    };
    failed(address, error, remedy)
}

fn unix_failed(address: &Address, error: io::Error) -> Error {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "; someone listens there, or it is no socket: choose another path",
        io::ErrorKind::NotFound => "; make its folder first",
        io::ErrorKind::PermissionDenied => "; choose a folder that this user may write to",
        _ => "",
    };
    failed(address, error, remedy)
}

fn failed(place: impl std::fmt::Display, error: io::Error, remedy: &str) -> Error {
    Error::new(ErrorKind::Bind, format!("cannot listen on {place}: {error}{remedy}")).with_source(error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn doors(words: &[&str], balance: Balance) -> Doors {
        let sources = words.iter().map(|word| word.parse().unwrap()).collect();
        Doors { sources, balance, tcp: TcpOptions::default() }
    }

    #[test]
    fn every_worker_gets_a_socket_on_each_address_that_hands_down_nodelay() {
        for n in [1, 3] {
            let bound = bind(&doors(&["127.0.0.1:0", "[::1]:0"], Balance::ReusePort), n).unwrap();
            assert_eq!((bound.own.len(), bound.shared.len(), bound.addresses.len()), (n, 0, 2));
            for own in &bound.own {
                for (listener, address) in own.iter().zip(&bound.addresses) {
                    assert_eq!(&listener.local_addr().unwrap(), address);
                    assert!(SockRef::from(listener).tcp_nodelay().unwrap());
                    assert_eq!(SockRef::from(listener).reuse_port().unwrap(), n > 1);
                }
            }
        }
    }

    #[test]
    fn what_workers_cannot_have_one_each_of_is_shared() {
        let folder = tempfile::tempdir().unwrap();
        let unix = format!("unix:{}", folder.path().join("socket").display());
        let mut words = doors(&["127.0.0.1:0", &unix], Balance::ReusePort);
        words.sources.push(Source::Given(Arc::new(std::net::TcpListener::bind("127.0.0.1:0").unwrap().into())));
        let counts = |balance, n| {
            let bound = bind(&Doors { balance, ..words.clone() }, n).unwrap();
            assert_eq!(bound.addresses.len(), 3);
            let inherited: Vec<_> = bound.shared.iter().map(|shared| shared.is_inherited).collect();
            (bound.own.iter().map(Vec::len).collect::<Vec<_>>(), inherited)
        };
        assert_eq!(counts(Balance::ReusePort, 1), (vec![2], vec![true]));
        assert_eq!(counts(Balance::LeastConnections, 1), (vec![2], vec![true]));
        assert_eq!(counts(Balance::ReusePort, 2), (vec![1, 1], vec![false, true]));
        assert_eq!(counts(Balance::LeastConnections, 2), (vec![0, 0], vec![false, false, true]));
    }

    #[test]
    fn all_addresses_means_both_families() {
        let bound = bind(&doors(&["[::]:0"], Balance::ReusePort), 1).unwrap();
        let port = bound.addresses[0].as_tcp().unwrap().port();
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    }
}
