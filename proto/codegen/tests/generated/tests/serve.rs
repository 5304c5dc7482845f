//! What was generated, at work: each kind of method on a server, called by tonic's generated client.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use loopswap::{Loop, Request, Response, Running, Server, Status, Stream, Streaming};
use loopswap_build_generated::kinds::counter_client::CounterClient;
use loopswap_build_generated::kinds::{Counter, CounterServer, Number, OldNumber};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

/// State of one worker: it need not be `Send`.
struct Count {
    total: Rc<Cell<i64>>,
    log: RefCell<Vec<i64>>,
}

impl Counter for Count {
    async fn add(&self, request: Request<Number>) -> Result<Response<Number>, Status> {
        let number = request.into_inner().value;
        self.log.borrow_mut().push(number);
        loopswap::rt::sleep(Duration::from_micros(1)).await;
        self.total.set(self.total.get() + number);
        Ok(Response::new(Number { value: self.total.get() }))
    }

    async fn sum(&self, request: Request<Streaming<Number>>) -> Result<Response<Number>, Status> {
        let mut numbers = request.into_inner();
        let mut value = 0;
        while let Some(number) = numbers.message().await? {
            value += number.value;
        }
        Ok(Response::new(Number { value }))
    }

    async fn count_to(&self, request: Request<Number>) -> Result<Response<impl Stream<Item = Result<Number, Status>>>, Status> {
        let end = request.into_inner().value;
        if end < 1 {
            return Err(Status::out_of_range("below 1"));
        }
        let numbers = stream::iter(1..=end).map(|value| {
            self.log.borrow_mut().push(value);
            if value < 1000 { Ok(Number { value }) } else { Err(Status::aborted("enough")) }
        });
        Ok(Response::new(numbers))
    }

    async fn running_sum(
        &self,
        request: Request<Streaming<Number>>,
    ) -> Result<Response<impl Stream<Item = Result<Number, Status>>>, Status> {
        let mut sum = 0;
        let sums = request.into_inner().map(move |number| {
            sum += number?.value;
            Ok(Number { value: sum })
        });
        Ok(Response::new(sums))
    }

    async fn plus(&self, request: Request<Number>) -> Result<Response<Number>, Status> {
        self.add(request).await
    }

    async fn old(&self, _: Request<OldNumber>) -> Result<Response<OldNumber>, Status> {
        Err(Status::unimplemented("too old"))
    }
}

fn serve() -> Running {
    let make = |_: &_| CounterServer::new(Count { total: Rc::default(), log: RefCell::default() }).max_decoding_message_size(8);
    let event_loop = Loop::choose("tokio").expect("this build has it");
    Server::builder().listen("127.0.0.1:0").workers(1).start(event_loop, make).expect("it starts")
}

async fn client(server: &Running) -> CounterClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.local_addr())).expect("an address");
    let channel = endpoint.timeout(Duration::from_secs(10)).connect().await.expect("it listens");
    CounterClient::new(channel)
}

fn numbers(values: impl IntoIterator<Item = i64>) -> Vec<Number> {
    values.into_iter().map(|value| Number { value }).collect()
}

#[tokio::test]
async fn one_to_one() {
    let server = serve();
    let mut client = client(&server).await;
    for total in [3, 6] {
        let reply = client.add(Number { value: 3 }).await.expect("it answers");
        assert_eq!(reply.into_inner().value, total, "state is kept between calls");
    }
}

#[tokio::test]
async fn many_to_one() {
    let server = serve();
    let reply = client(&server).await.sum(stream::iter(numbers(1..=100))).await.expect("it answers");
    assert_eq!(reply.into_inner().value, 5050);
}

#[tokio::test]
async fn one_to_many() {
    let server = serve();
    let mut client = client(&server).await;
    let replies = client.count_to(Number { value: 100 }).await.expect("it answers").into_inner();
    let replies: Vec<_> = replies.map(|number| number.expect("a number").value).collect().await;
    assert_eq!(replies, (1..=100).collect::<Vec<_>>());
    let refused = client.count_to(Number { value: 0 }).await.expect_err("it refuses");
    assert_eq!((refused.code(), refused.message()), (Code::OutOfRange, "below 1"));
    let mut ended = client.count_to(Number { value: 2000 }).await.expect("it begins").into_inner();
    let mut n = 0;
    let status = loop {
        match ended.message().await {
            Ok(Some(_)) => n += 1,
            Ok(None) => panic!("it must fail"),
            Err(status) => break status,
        }
    };
    assert_eq!((n, status.code(), status.message()), (999, Code::Aborted, "enough"));
}

#[tokio::test]
async fn many_to_many() {
    let server = serve();
    let replies = client(&server).await.running_sum(stream::iter(numbers([1, 2, 3]))).await.expect("it answers").into_inner();
    let replies: Vec<_> = replies.map(|number| number.expect("a number").value).collect().await;
    assert_eq!(replies, [1, 3, 6]);
}

#[tokio::test]
async fn limits_reach_the_methods() {
    let server = serve();
    // Ten bytes of a negative number and one of its tag, where eight are allowed.
    let refused = client(&server).await.add(Number { value: -1 }).await.expect_err("it is too large");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
}
