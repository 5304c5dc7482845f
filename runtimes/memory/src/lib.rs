//! A loop without sockets, whose time is made by hand: what is deterministic can be counted, fuzzed and compared.
//!
//! A [`World`] is the loop of its thread for as long as it lives. Nothing runs by itself: [`World::turn`] runs what is ready, [`World::pass`] lets time pass.
//! A connection's other end is a [`Peer`], who sends and takes bytes when it is told to, and whose socket takes as much as one says.
//!
//! It is no loop to serve with: there are no listeners, no files and no connecting ([`Unsupported`](std::io::ErrorKind::Unsupported)), and work that is
//! offloaded is done by the loop's own thread, between two tasks, so that every run is the same.
//!
//! ```
//! use loopswap_memory::World;
//! use loopswap_rt::Connection as _;
//!
//! let world = World::enter();
//! let (mut connection, peer) = loopswap_memory::pair();
//! world.spawn(async move {
//!     let upper = connection.receive(<[u8]>::to_ascii_uppercase).await.expect("memory does not fail");
//!     let _ = connection.send(upper).await;
//! });
//! peer.send(b"hello");
//! world.turn();
//! assert_eq!(peer.take(), b"HELLO");
//! ```

mod net;
mod never;
mod tasks;
mod timer;
mod world;

pub use net::{MemoryConnection, Peer, pair};
pub use never::Never;
pub use timer::MemorySleep;
pub use world::{Memory, World};
