//! Rich error details (google.rpc's error model) of a local service, the example `error_details`: in `grpc-status-details-bin`, whole, for tonic's client. Python's
//! reads them in tests/foreign.

use std::time::Duration;

use rustix::process::Signal;
use tonic::Code;
use tonic_types::StatusExt;

use crate::examples::example;
use crate::raw::{Connection, hello as named, status};
use crate::support::{block_on, client, hello, served};

crate::on_every_loop_and_engine!(details_come_whole);

fn details_come_whole(runtime: &str, engine: &str) {
    let mut server = served(example("error_details").args(["127.0.0.1:0", runtime, engine]));
    block_on(async {
        let mut client = client(server.addr()).await;
        assert_eq!(hello(&mut client, "Joe", 0).await.expect("it is valid"), "Hello, Joe!");

        let status = hello(&mut client, "a name that is much too long", -1).await.expect_err("two fields are wrong");
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "the request is not valid"));
        let details = status.get_error_details();
        let violations = &details.bad_request().expect("it says what is wrong").field_violations;
        let found: Vec<_> = violations.iter().map(|wrong| (&wrong.field[..], &wrong.description[..])).collect();
        assert_eq!(found, [("name", "it has more than 20 characters"), ("sleep_millisecond", "it must not be negative")]);
        assert_eq!(details.help().expect("a link").links[0].url, "https://example.org/greetings");
        assert_eq!(details.localized_message().expect("a text").message, "So nicht.");

        let status = hello(&mut client, "everybody", 0).await.expect_err("too many");
        let retry = status.get_details_retry_info().expect("it says when");
        assert_eq!((status.code(), retry.retry_delay), (Code::Unavailable, Some(Duration::from_secs(7))));
    });
    // A reply that is nothing but trailers, and in them what no client library has touched.
    let mut connection = Connection::open(server.addr(), &[]);
    let stream = connection.request(&crate::raw::Fields::hello(), &named("", 0));
    let response = connection.response(stream);
    assert_eq!((response.blocks.len(), response.grpc()), (1, Some(status::INVALID_ARGUMENT)), "{response:?}");
    assert!(response.field("grpc-status-details-bin").is_some_and(|details| details.len() > 100), "{response:?}");
    drop(connection);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
}
