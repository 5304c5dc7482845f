//! What callers leave for the task of their connection.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::http2::client::StreamKey;
use crate::ready::Ready;

/// Calls at a time on one connection, however many the server allows. 4,096: a bit each in what the task looks through at every turn.
pub(super) const STREAMS_MAX: usize = 4096;

/// The callers' end of a connection.
pub(super) struct Link {
    /// Calls whose request can go on; and the task's waker.
    pub(super) ready: Arc<Ready>,
    orders: RefCell<Vec<Order>>,
}

/// What a caller wants of its stream.
#[derive(Clone, Copy)]
pub(super) enum Order {
    Cancel(StreamKey),
    /// So many bytes were read.
    Release(StreamKey, usize),
}

impl Link {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self { ready: Ready::new(STREAMS_MAX), orders: RefCell::default() })
    }

    pub(super) fn cancel(&self, stream: StreamKey) {
        self.order(Order::Cancel(stream));
    }

    pub(super) fn release(&self, stream: StreamKey, n_bytes: usize) {
        self.order(Order::Release(stream, n_bytes));
    }

    /// The task has something to look at.
    pub(super) fn notify(&self) {
        self.ready.notify();
    }

    pub(super) fn take_orders(&self) -> Vec<Order> {
        std::mem::take(&mut self.orders.borrow_mut())
    }

    fn order(&self, order: Order) {
        self.orders.borrow_mut().push(order);
        self.notify();
    }
}
