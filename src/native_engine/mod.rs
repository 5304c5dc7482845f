//! The engine `native`: HTTP/2 by [`crate::http2`], over a connection of any loop.
//!
//! * `driver` is the connection's task: one receive, all its frames, all handlers that can go on, one send.
//! * `calls` holds the calls under way; `link` is what they answer through.
//! * `buffers` are the worker's send buffers: an idle connection has none.

mod buffers;
mod calls;
mod driver;
mod link;

use std::rc::Rc;

use loopswap_rt::Runtime;

use crate::server::{Closed, Engine, House, PhaseWatch};
use crate::service::Router;
use crate::socket::Socket;

use driver::Driver;

/// The engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NativeEngine;

impl Engine for NativeEngine {
    /// The driver itself: an `async` block would keep room for its arguments besides, in every idle connection.
    fn serve<R: Runtime>(
        self,
        runtime: R,
        connection: Socket<R::Connection>,
        router: Router,
        house: Rc<House>,
        phases: PhaseWatch,
    ) -> impl Future<Output = Closed> + 'static {
        Driver::new(runtime, connection, router, house, phases)
    }
}
