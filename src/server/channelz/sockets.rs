//! The sockets of a server, those that listen and those of connections, for whoever asks on any worker.
//!
//! A worker owns its connections; what is told of them is here as well, written when one comes or goes, so that nobody has to ask the workers.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use loopswap_rt::Address;

/// Ids of servers and sockets are unique in a process (channelz.proto), and positive.
fn next_id() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// What is known of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) local: Address,
    /// `None`: it listens.
    pub(super) remote: Option<Address>,
}

/// The sockets of all workers of a server.
#[derive(Debug)]
pub(in crate::server) struct Sockets {
    /// The server's id.
    pub(super) server: i64,
    listening: Mutex<BTreeMap<i64, Ends>>,
    connected: Mutex<BTreeMap<i64, Ends>>,
}

/// Nothing panics under the lock.
fn lock(table: &Mutex<BTreeMap<i64, Ends>>) -> MutexGuard<'_, BTreeMap<i64, Ends>> {
    table.lock().expect("never poisoned")
}

impl Sockets {
    pub(in crate::server) fn new() -> Arc<Self> {
        Arc::new(Self { server: next_id(), listening: Mutex::default(), connected: Mutex::default() })
    }

    /// The ids of those that listen.
    pub(super) fn listening(&self) -> Vec<i64> {
        lock(&self.listening).keys().copied().collect()
    }

    /// The ids of connections from this one on, no more than `n`; and whether these are the last.
    pub(super) fn connected(&self, from: i64, n: usize) -> (Vec<i64>, bool) {
        let connected = lock(&self.connected);
        let mut rest = connected.range((Bound::Included(from), Bound::Unbounded)).map(|(id, _)| *id);
        let page = rest.by_ref().take(n).collect();
        (page, rest.next().is_none())
    }

    /// Either sort of socket.
    pub(super) fn get(&self, id: i64) -> Option<Ends> {
        let listens = lock(&self.listening).get(&id).cloned();
        listens.or_else(|| lock(&self.connected).get(&id).cloned())
    }
}

/// The sockets of one worker, whose connections have numbers of their own. Dropped, they are gone.
pub(in crate::server) struct WorkerSockets {
    sockets: Arc<Sockets>,
    listens: RefCell<Vec<i64>>,
    /// Ids by numbers, which may come again.
    connections: RefCell<HashMap<u32, i64>>,
}

impl WorkerSockets {
    /// Of a worker that listens there.
    pub(in crate::server) fn new(sockets: Arc<Sockets>, at: impl IntoIterator<Item = Address>) -> Self {
        let listens = |local| {
            let id = next_id();
            lock(&sockets.listening).insert(id, Ends { local, remote: None });
            id
        };
        let listens = at.into_iter().map(listens).collect();
        Self { sockets, listens: RefCell::new(listens), connections: RefCell::default() }
    }

    /// The connection of this number was taken.
    pub(in crate::server) fn opened(&self, number: u32, local: Address, remote: Address) {
        let id = next_id();
        lock(&self.sockets.connected).insert(id, Ends { local, remote: Some(remote) });
        self.connections.borrow_mut().insert(number, id);
    }

    /// It is gone.
    pub(in crate::server) fn closed(&self, number: u32) {
        if let Some(id) = self.connections.borrow_mut().remove(&number) {
            lock(&self.sockets.connected).remove(&id);
        }
    }

    /// The worker listens no more.
    pub(in crate::server) fn stops_listening(&self) {
        for id in self.listens.take() {
            lock(&self.sockets.listening).remove(&id);
        }
    }
}

impl Drop for WorkerSockets {
    fn drop(&mut self) {
        self.stops_listening();
        let mut connected = lock(&self.sockets.connected);
        for id in self.connections.get_mut().values() {
            connected.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Address {
        Address::Tcp(([127, 0, 0, 1], port).into())
    }

    #[test]
    fn pages_come_in_order_and_the_last_says_so() {
        let sockets = Sockets::new();
        let worker = WorkerSockets::new(Arc::clone(&sockets), [address(1)]);
        for number in 0..5 {
            worker.opened(number, address(1), address(10));
        }
        let (first, end) = sockets.connected(0, 2);
        assert_eq!((first.len(), end), (2, false));
        let (second, end) = sockets.connected(first[1] + 1, 3);
        assert_eq!((second.len(), end), (3, true));
        assert!(first[1] < second[0] && !first.contains(&sockets.listening()[0]));
        assert_eq!(sockets.connected(second[2] + 1, 3), (vec![], true));
    }

    #[test]
    fn what_is_closed_is_gone_and_so_is_all_of_a_worker() {
        let sockets = Sockets::new();
        let worker = WorkerSockets::new(Arc::clone(&sockets), [address(1)]);
        worker.opened(0, address(1), address(10));
        worker.opened(1, address(1), address(11));
        let (ids, _) = sockets.connected(0, 10);
        assert_eq!(sockets.get(ids[0]).unwrap().remote, Some(address(10)));
        worker.closed(0);
        worker.closed(0);
        assert_eq!(sockets.get(ids[0]), None);
        let listens = sockets.listening()[0];
        assert_eq!(sockets.get(listens), Some(Ends { local: address(1), remote: None }));
        drop(worker);
        assert_eq!((sockets.get(listens), sockets.get(ids[1]), sockets.listening()), (None, None, vec![]));
    }
}
