//! What the acceptor waits by: poll(2), on its listeners, the clock, and an eventfd that wakes it from other threads.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{Errno, read, write};

/// Wakes the thread, from any.
#[derive(Debug)]
pub(super) struct Bell {
    fd: OwnedFd,
}

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { fd: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// What is rung from now on is heard by the next wait.
    fn silence(&self) {
        // It says EAGAIN where nobody has rung.
        let _ = read(&self.fd, &mut [0; 8]);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // It fails when it has been rung 2^64 times without being heard.
        let _ = write(&self.fd, &1_u64.to_ne_bytes());
    }
}

/// Runs one future on the current thread.
pub(super) struct Poller<'a> {
    bell: Arc<Bell>,
    listeners: Vec<BorrowedFd<'a>>,
    /// Where the search for a client begins, so that a listener with many starves no other.
    first: Cell<usize>,
    /// What the future waits for, besides being woken: clients, and a time.
    wants_client: Cell<bool>,
    until: Cell<Option<Instant>>,
}

impl<'a> Poller<'a> {
    pub(super) fn new(bell: Arc<Bell>, listeners: Vec<BorrowedFd<'a>>) -> Self {
        Self { bell, listeners, first: Cell::new(0), wants_client: Cell::new(false), until: Cell::new(None) }
    }

    /// Runs the future, which may wait for this poller's clients and times, and for whatever wakes it from other threads.
    ///
    /// # Errors
    ///
    /// poll(2) fails.
    pub(super) fn run<F: Future>(&self, future: F) -> io::Result<F::Output> {
        let waker = Waker::from(Arc::clone(&self.bell));
        let mut cx = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            self.wants_client.set(false);
            self.until.set(None);
            self.bell.silence();
            if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                return Ok(value);
            }
            let mut fds = vec![PollFd::from_borrowed_fd(self.bell.fd.as_fd(), PollFlags::IN)];
            if self.wants_client.get() {
                fds.extend(self.listeners.iter().map(|listener| PollFd::from_borrowed_fd(*listener, PollFlags::IN)));
            }
            let left = self.until.get().map(|until| until.saturating_duration_since(Instant::now()));
            poll_all(&mut fds, left)?;
        }
    }

    /// Waits until a client waits, and says with which listener.
    ///
    /// # Errors
    ///
    /// poll(2) fails.
    pub(super) async fn client(&self) -> io::Result<usize> {
        poll_fn(|_| {
            let mut fds: Vec<_> = self.listeners.iter().map(|listener| PollFd::from_borrowed_fd(*listener, PollFlags::IN)).collect();
            if let Err(error) = poll_all(&mut fds, Some(Duration::ZERO)) {
                return Poll::Ready(Err(error));
            }
            let n = fds.len();
            let mut places = (0..n).map(|place| (self.first.get() + place) % n);
            match places.find(|place| !fds[*place].revents().is_empty()) {
                Some(place) => {
                    self.first.set(place + 1);
                    Poll::Ready(Ok(place))
                }
                None => {
                    self.wants_client.set(true);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Waits so long.
    pub(super) async fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        poll_fn(|_| {
            if Instant::now() >= until {
                return Poll::Ready(());
            }
            self.until.set(Some(until));
            Poll::Pending
        })
        .await;
    }
}

/// poll(2), until something is ready or the time is over; an interruption counts as ready.
fn poll_all(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    let timeout = timeout.map(|timeout| Timespec::try_from(timeout).expect("pauses are a second at most"));
    match poll(fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn waits_for_clients_of_each_listener_in_turn() {
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let poller = Poller::new(Arc::new(Bell::new().unwrap()), listeners.iter().map(|listener| listener.as_fd()).collect());
        let addresses = [1, 2].map(|n| listeners[n].local_addr().unwrap());
        let clients = thread::spawn(move || addresses.map(|address| TcpStream::connect(address).unwrap()));
        let first = poller.run(poller.client()).unwrap().unwrap();
        let _clients = clients.join().unwrap();
        let seen = [(); 4].map(|()| poller.run(poller.client()).unwrap().unwrap());
        assert_eq!((first, seen), (1, [2, 1, 2, 1]), "in the order of the listeners, round and round");
    }

    #[test]
    fn is_woken_by_other_threads_and_by_the_clock() {
        let poller = Poller::new(Arc::new(Bell::new().unwrap()), Vec::new());
        for n in 0..1000 {
            let (send, receive) = oneshot::channel();
            let sender = thread::spawn(move || send.send(n).unwrap());
            assert_eq!(poller.run(receive).unwrap(), Ok(n));
            sender.join().unwrap();
        }
        let start = Instant::now();
        poller.run(poller.sleep(Duration::from_millis(20))).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(20));
    }
}
