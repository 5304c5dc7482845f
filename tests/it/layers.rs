//! Tower layers around services of tonic's: around one, and around all of a router.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use loopswap::Router;
use loopswap::greeter::stock::greeter_server::GreeterServer as TonicGreeterServer;
use loopswap::greeter::{GreeterServer, Hello};
use tonic::Code;
use tonic::service::{InterceptorLayer, LayerExt};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::health_reporter;
use tower::{Layer, Service, ServiceBuilder};

use crate::raw::{Connection, Fields, hello, status};
use crate::support::{block_on, client, with_services};

crate::on_every_loop_and_engine!(around_one_service, around_all_of_a_router, of_tower_itself, one_that_answers_instead);

/// Counts calls, and stamps their answers. As tower's own layers it asks for what is `Send`.
#[derive(Clone)]
struct Stamp(Arc<AtomicUsize>);

#[derive(Clone)]
struct Stamped<S>(S, Arc<AtomicUsize>);

impl<S> Layer<S> for Stamp {
    type Service = Stamped<S>;

    fn layer(&self, service: S) -> Stamped<S> {
        Stamped(service, Arc::clone(&self.0))
    }
}

impl<S, B, R> Service<http::Request<B>> for Stamped<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>> + Send,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let n = self.1.fetch_add(1, Ordering::SeqCst);
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            response.headers_mut().insert("x-stamp", n.into());
            Ok(response)
        })
    }
}

fn stamp_of(connection: &mut Connection) -> Option<String> {
    let stream = connection.hello("Joe", 0);
    connection.is_greeted(stream, "Joe");
    connection.so_far(stream).head_field("x-stamp").map(str::to_owned)
}

fn around_one_service(runtime: &str, engine: &str) {
    let n_calls = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&n_calls);
    let services = move || {
        let layered = Stamp(Arc::clone(&counter)).named_layer(TonicGreeterServer::new(Hello));
        let (_, health) = health_reporter();
        Router::new().add_tonic(layered).add_tonic(health)
    };
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        assert_eq!([stamp_of(&mut connection), stamp_of(&mut connection)], [Some("0".into()), Some("1".into())]);
        block_on(async {
            let channel = tonic::transport::Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.expect("it listens");
            let health = HealthClient::new(channel).check(HealthCheckRequest::default()).await.expect("it is healthy");
            assert!(health.metadata().get("x-stamp").is_none(), "its neighbour has no layer");
        });
        assert_eq!(n_calls.load(Ordering::SeqCst), 2);
    });
}

fn around_all_of_a_router(runtime: &str, engine: &str) {
    let n_calls = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&n_calls);
    let services = move || {
        let (_, health) = health_reporter();
        Router::new().layer(Stamp(Arc::clone(&counter))).add_tonic(TonicGreeterServer::new(Hello)).add_tonic(health).into()
    };
    with_services(runtime, engine, services, |addr| {
        assert_eq!(stamp_of(&mut Connection::open(addr, &[])).as_deref(), Some("0"));
        block_on(async {
            let channel = tonic::transport::Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.expect("it listens");
            let health = HealthClient::new(channel).check(HealthCheckRequest::default()).await.expect("it is healthy");
            assert_eq!(health.metadata().get("x-stamp").expect("stamped"), "1");
        });
    });
    // A local service stands beside them, in no layer.
    let services = || Router::new().layer(Stamp(Arc::default())).add(GreeterServer::new(Hello)).into();
    with_services(runtime, engine, services, |addr| {
        assert_eq!(stamp_of(&mut Connection::open(addr, &[])), None);
    });
}

/// A limit of tower's and an interceptor of tonic's in one stack; the layer that is named first is the outermost.
fn of_tower_itself(runtime: &str, engine: &str) {
    let n_calls = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&n_calls);
    let services = move || {
        let check = |request: tonic::Request<()>| {
            if request.metadata().contains_key("token") { Ok(request) } else { Err(tonic::Status::unauthenticated("no token")) }
        };
        let layers =
            ServiceBuilder::new().concurrency_limit(1).layer(InterceptorLayer::new(check)).layer(Stamp(Arc::clone(&counter))).into_inner();
        Router::new().layer(layers).add_tonic(TonicGreeterServer::new(Hello)).into()
    };
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        let stream = connection.hello("Joe", 0);
        assert_eq!(connection.response(stream).grpc(), Some(Code::Unauthenticated as u32));
        assert_eq!(n_calls.load(Ordering::SeqCst), 0, "the interceptor stands in front");
        let calls: Vec<_> = (0..5).map(|_| connection.request(&Fields::hello().with("token", "1"), &hello("Joe", 5))).collect();
        for (n, stream) in calls.into_iter().enumerate() {
            connection.is_greeted(stream, "Joe");
            let stamp = n.to_string();
            assert_eq!(connection.so_far(stream).head_field("x-stamp"), Some(&stamp[..]), "one behind the other");
        }
    });
}

/// A layer whose answer is no service's: a status in the head, and no body.
fn one_that_answers_instead(runtime: &str, engine: &str) {
    #[derive(Clone)]
    struct Closed<S>(S);

    impl<S, B, R: Default + Send + 'static> Service<http::Request<B>> for Closed<S>
    where
        S: Service<http::Request<B>, Response = http::Response<R>>,
        S::Error: 'static,
    {
        type Response = S::Response;
        type Error = S::Error;
        type Future = std::future::Ready<Result<S::Response, S::Error>>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
            self.0.poll_ready(cx)
        }

        fn call(&mut self, _: http::Request<B>) -> Self::Future {
            std::future::ready(Ok(tonic::Status::unavailable("closed for today").into_http()))
        }
    }

    let layer = tower::layer::layer_fn(Closed);
    let services = move || Router::new().layer(layer).add_tonic(TonicGreeterServer::new(Hello)).into();
    with_services(runtime, engine, services, |addr| {
        block_on(async {
            let status = crate::support::hello(&mut client(addr).await, "Joe", 0).await.expect_err("it is closed");
            assert_eq!((status.code(), status.message()), (Code::Unavailable, "closed for today"));
        });
        let mut connection = Connection::open(addr, &[]);
        let stream = connection.begin(&Fields::hello());
        assert_ne!(connection.response(stream).grpc(), Some(status::OK), "without waiting for the request");
    });
}
