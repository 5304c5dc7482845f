//! What is exported when: a full batch at once, the rest after a while, and all that is left at the server's end.

use rustix::process::Signal;

use super::collector::Collector;
use super::serve_exporting;
use crate::raw::Connection;

crate::on_every_loop_and_engine!(a_full_batch_goes_at_once_and_the_rest_at_the_end);

const BATCH: usize = 512;

fn a_full_batch_goes_at_once_and_the_rest_at_the_end(runtime: &str, engine: &str) {
    let collector = Collector::start(runtime);
    let (mut server, _) = serve_exporting(runtime, engine, collector.addr(), &["--otlp-delay", "1h"]);
    let mut connection = Connection::open(server.addr(), &[]);
    (0..BATCH).for_each(|_| connection.greets());
    collector.wait_for(BATCH);
    (0..10).for_each(|_| connection.greets());
    let last = connection.hello("Joe", 300);
    server.signal(Signal::TERM);
    // It ends while the server drains.
    connection.is_greeted(last, "Joe");
    drop(connection);
    assert_eq!(server.wait().code(), Some(0));
    let spans = collector.spans();
    assert_eq!(spans.len(), BATCH + 11, "{}", server.stderr_at_the_end());
    assert!(spans.last().expect("there are some").took_ns >= 300_000_000);
    assert!(!server.stderr_at_the_end().contains("dropped"));
}
