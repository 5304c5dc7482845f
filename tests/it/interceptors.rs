//! Interceptors of local services and of tonic's: what they see, what they may do, and what they cannot be passed by with.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use loopswap::greeter::stock::greeter_server::GreeterServer as TonicGreeterServer;
use loopswap::greeter::{Greeter, GreeterServer, Hello, HelloReply, HelloRequest};
use loopswap::{
    Code, CompressionEncoding, Interceptor, LocalService, Methods, Next, Request, Response, Router, Status, Streaming, TonicInterceptor,
    metadata::MetadataMap, rt,
};
use prost::Message;

use crate::grpc_rules::compressed::gzip;
use crate::raw::{
    self, Block, Connection, Fields, MAX_FRAME_SIZE, announced, code, data, headers, hello, prefixed, rst_stream, status, window_update,
};
use crate::support::{Puppet, block_on, client, eventually, with_services};

crate::on_every_loop_and_engine!(
    a_call_is_refused_before_any_message,
    all_of_a_call_is_seen,
    what_is_changed_reaches_the_handler,
    metadata_and_trailers_are_added_to_every_kind,
    the_first_is_the_outermost,
    how_a_call_ends_is_seen_and_changed,
    those_of_tonics_shape,
    dropped_with_their_calls,
    a_panic_costs_its_call_alone,
    the_rules_of_messages_hold_behind_them,
    compression_goes_through,
    streams_flow_through,
    no_spelling_of_a_path_passes_by,
);

/// What interceptors and handlers write down, in their order.
type Log = Arc<Mutex<Vec<String>>>;

fn wrote(log: &Log, line: impl Into<String>) {
    log.lock().unwrap().push(line.into());
}

fn written(log: &Log) -> Vec<String> {
    std::mem::take(&mut log.lock().unwrap())
}

/// A method of each kind, which says what interceptors have left for it.
struct Kinds(Log);

/// What an interceptor leaves.
#[derive(Clone)]
struct Left(&'static str);

impl LocalService for Kinds {
    const NAME: &'static str = "test.Kinds";

    fn register(self, methods: &mut Methods) {
        let log = self.0;
        methods.unary("Unary", move |request: Request<HelloRequest>| {
            wrote(&log, "the handler");
            let left = request.extensions().get::<Left>().map_or("nothing", |left| left.0);
            let seen = request.metadata().get("x-changed").map_or("as it was", |value| value.to_str().unwrap());
            let message = format!("{}: {left}, {seen}", request.get_ref().name);
            async move {
                if message.starts_with("fail") {
                    return Err(Status::failed_precondition("as the caller wished"));
                }
                let mut response = Response::new(HelloReply { message });
                response.metadata_mut().insert("x-of-the-handler", "1".parse().unwrap());
                response.trailers_mut().insert("x-of-the-handler-too", "2".parse().unwrap());
                Ok(response)
            }
        });
        methods.client_streaming("Collect", |request: Request<Streaming<HelloRequest>>| async move {
            let mut requests = request.into_inner();
            let mut names = String::new();
            while let Some(request) = requests.message().await? {
                names += &request.name;
            }
            Ok(Response::new(HelloReply { message: names }))
        });
        methods.server_streaming("Repeat", |request: Request<HelloRequest>, mut replies| async move {
            let HelloRequest { name, sleep_millisecond: n } = request.into_inner();
            let messages = stream::iter(0..n).map(move |_| Ok(HelloReply { message: name.clone() }));
            replies.send_all(Response::new(messages)).await
        });
        methods.streaming("Echo", |request: Request<Streaming<HelloRequest>>, mut replies| async move {
            let mut requests = request.into_inner();
            while let Some(request) = requests.message().await? {
                replies.send(HelloReply { message: request.name }).await?;
            }
            Ok(())
        });
    }
}

const KINDS: [&str; 5] =
    ["/test.Kinds/Unary", "/test.Kinds/Collect", "/test.Kinds/Repeat", "/test.Kinds/Echo", "/helloworld.Greeter/SayHello"];

fn kinds(log: &Log) -> Router {
    Router::new().add(Kinds(Arc::clone(log))).add_tonic(TonicGreeterServer::new(Hello))
}

fn at(path: &str) -> Fields {
    Fields::hello().set(":path", path)
}

async fn pass(request: Request<()>, next: Next) -> Result<MetadataMap, Status> {
    next.run(request).await
}

/// No DATA is sent, or such as would be refused by itself.
fn a_call_is_refused_before_any_message(runtime: &str, engine: &str) {
    let log = Log::default();
    let service = Arc::clone(&log);
    let services = move || {
        let refuse = async |_: Request<()>, _: Next| {
            // On the loop's own timer.
            rt::sleep(Duration::from_millis(1)).await;
            Err(Status::unauthenticated("who are you?"))
        };
        // Services that are added later are behind it, too.
        Router::new().intercept(refuse).add(Kinds(Arc::clone(&service))).add_tonic(TonicGreeterServer::new(Hello))
    };
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        for path in KINDS {
            for body in [None, Some(announced(0, u32::MAX, b"")), Some(prefixed(7, b"not a protobuf")), Some(hello("Joe", 0))] {
                let stream = connection.begin(&at(path));
                connection.send(body.map(|body| data(stream, body)));
                let response = connection.response(stream);
                assert_eq!((response.grpc(), response.blocks.len()), (Some(Code::Unauthenticated as u32), 1), "{path}: {response:?}");
            }
        }
        assert!(written(&log).is_empty(), "no handler began");
    });
}

fn all_of_a_call_is_seen(runtime: &str, engine: &str) {
    let log = Log::default();
    let service = Arc::clone(&log);
    let services = move || {
        let log = Arc::clone(&service);
        kinds(&service).intercept(async move |request: Request<()>, next: Next| {
            let token = request.metadata().get("token").map(|token| token.to_str().unwrap().to_owned());
            let left = request.time_left().is_some_and(|left| left > Duration::from_secs(50) && left <= Duration::from_secs(60));
            let peers = request.remote_addr().is_some() && request.local_addr().is_some();
            wrote(&log, format!("{} {token:?} {left} {peers}", request.path()));
            next.run(request).await
        })
    };
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        for path in KINDS {
            let stream = connection.request(&at(path).with("token", "secret").with("grpc-timeout", "60S"), &hello("Joe", 1));
            let response = connection.response(stream);
            assert_eq!(response.grpc(), Some(status::OK), "{response:?}");
            assert_eq!(written(&log)[0], format!("{path} Some(\"secret\") true true"));
        }
    });
}

fn what_is_changed_reaches_the_handler(runtime: &str, engine: &str) {
    let log = Log::default();
    let services = move || {
        kinds(&log).intercept(async |mut request: Request<()>, next: Next| {
            request.extensions_mut().insert(Left("a word"));
            request.metadata_mut().insert("x-changed", "changed".parse().unwrap());
            next.run(request).await
        })
    };
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        let stream = connection.request(&at(KINDS[0]), &hello("Joe", 1));
        assert_eq!(connection.response(stream).greeting(), "Joe: a word, changed");
    });
}

fn metadata_and_trailers_are_added_to_every_kind(runtime: &str, engine: &str) {
    let log = Log::default();
    let services = move || {
        kinds(&log).intercept(async |request: Request<()>, mut next: Next| {
            next.reply_metadata_mut().insert("x-before", "3".parse().unwrap());
            next.reply_metadata_mut().insert("grpc-status", "7".parse().unwrap());
            let mut trailers = next.run(request).await?;
            trailers.insert_bin("x-after-bin", loopswap::metadata::MetadataValue::from_bytes(b"\0\xff"));
            Ok(trailers)
        })
    };
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        for path in KINDS {
            let stream = connection.request(&at(path), &hello("Joe", 2));
            let response = connection.response(stream);
            assert_eq!((response.grpc(), response.blocks.len()), (Some(status::OK), 2), "{path}: {response:?}");
            assert_eq!((response.head_field("x-before"), response.head_field("grpc-status")), (Some("3"), None), "{path}: {response:?}");
            assert_eq!(response.field("x-after-bin"), Some("AP8"), "{path}: {response:?}");
            assert!(response.body.len() > 5, "{path}: {response:?}");
        }
        let stream = connection.request(&at(KINDS[0]), &hello("Joe", 2));
        let response = connection.response(stream);
        assert_eq!((response.head_field("x-of-the-handler"), response.field("x-of-the-handler-too")), (Some("1"), Some("2")));
    });
}

/// Of the router before those of the service, whenever each was added.
fn the_first_is_the_outermost(runtime: &str, engine: &str) {
    struct Named(&'static str, Rc<RefCell<Log>>);

    impl Interceptor for Named {
        async fn intercept(&self, request: Request<()>, next: Next) -> Result<MetadataMap, Status> {
            // What is not `Send` may be held over an await.
            let log = self.1.borrow().clone();
            wrote(&log, format!("{} begins", self.0));
            let ended = next.run(request).await;
            wrote(&log, format!("{} ends", self.0));
            ended
        }
    }

    struct Says(Log);

    impl Greeter for Says {
        async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
            wrote(&self.0, "the handler");
            Hello.say_hello(request).await
        }
    }

    let log = Log::default();
    let service = Arc::clone(&log);
    let services = move || {
        let named = |name| Named(name, Rc::new(RefCell::new(Arc::clone(&service))));
        let local = GreeterServer::new(Says(Arc::clone(&service))).intercept(named("third")).intercept(named("fourth"));
        Router::new().intercept(named("first")).add(local).intercept(named("second"))
    };
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        for _ in 0..2 {
            connection.greets();
            let order = [
                "first begins",
                "second begins",
                "third begins",
                "fourth begins",
                "the handler",
                "fourth ends",
                "third ends",
                "second ends",
                "first ends",
            ];
            assert_eq!(written(&log), order);
        }
    });
}

fn how_a_call_ends_is_seen_and_changed(runtime: &str, engine: &str) {
    let log = Log::default();
    let service = Arc::clone(&log);
    let services = move || {
        let log = Arc::clone(&service);
        kinds(&service).intercept(async move |request: Request<()>, mut next: Next| {
            let change = request.metadata().get("x-change").is_some();
            next.reply_metadata_mut().insert("x-before", "3".parse().unwrap());
            let ended = next.run(request).await;
            wrote(&log, format!("{:?}", ended.as_ref().map(|_| ()).map_err(Status::code)));
            match ended {
                Ok(_) if change => Err(Status::data_loss("changed")),
                Err(_) if change => Ok(MetadataMap::new()),
                ended => ended,
            }
        })
    };
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        for (name, fields, seen, grpc) in [
            ("Joe", at(KINDS[0]), "Ok(())", Code::Ok),
            ("Joe", at(KINDS[0]).with("x-change", "1"), "Ok(())", Code::DataLoss),
            ("fail", at(KINDS[0]), "Err(FailedPrecondition)", Code::FailedPrecondition),
            ("fail", at(KINDS[0]).with("x-change", "1"), "Err(FailedPrecondition)", Code::Ok),
            // One of tonic's, which answers so by its head alone.
            ("Joe", at("/helloworld.Greeter/SayNothing"), "Err(Unimplemented)", Code::Unimplemented),
        ] {
            let stream = connection.request(&fields, &hello(name, 0));
            let response = connection.response(stream);
            assert_eq!((response.http(), response.grpc()), (200, Some(grpc as u32)), "{response:?}");
            assert_eq!(response.head_field("x-before"), Some("3"), "an error has it, too: {response:?}");
            assert_eq!(written(&log).last().map(String::as_str), Some(seen));
        }
    });
}

/// A function of tonic's type, around one service and around all.
fn those_of_tonics_shape(runtime: &str, engine: &str) {
    fn check(mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        let peer = request.remote_addr().ok_or_else(|| Status::internal("no peer"))?;
        if request.metadata().get("authorization").is_none_or(|token| token != "Bearer secret") {
            return Err(Status::unauthenticated("no valid token"));
        }
        request.metadata_mut().insert("x-changed", peer.ip().to_string().parse().unwrap());
        request.extensions_mut().insert(Left("a word"));
        Ok(request)
    }
    let log = Log::default();
    let services = move || {
        let mut n_calls = 0;
        let count = move |request: tonic::Request<()>| {
            n_calls += 1;
            if n_calls > 6 { Err(Status::resource_exhausted("six are enough")) } else { Ok(request) }
        };
        let local = GreeterServer::with_interceptor(Hello, check);
        kinds(&log).add(local).intercept(TonicInterceptor::new(count))
    };
    with_services(runtime, engine, services, |addr| {
        block_on(async {
            let mut client = client(addr).await;
            let request = || {
                let mut request = tonic::Request::new(HelloRequest { name: "Joe".into(), sleep_millisecond: 0 });
                request.metadata_mut().insert("authorization", "Bearer secret".parse().unwrap());
                request
            };
            for _ in 0..3 {
                assert!(client.say_hello(request()).await.is_ok());
                let status = client.say_hello(HelloRequest::default()).await.expect_err("it has no token");
                assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "no valid token"));
            }
            assert_eq!(client.say_hello(request()).await.expect_err("one too many").code(), Code::ResourceExhausted);
        });
    });
}

/// With what they hold, and the handler that they have run.
fn dropped_with_their_calls(runtime: &str, engine: &str) {
    struct WhenDropped(Log);

    impl Drop for WhenDropped {
        fn drop(&mut self) {
            wrote(&self.0, "dropped");
        }
    }

    let (log, puppet) = (Log::default(), Puppet::default());
    let (service, handlers) = (Arc::clone(&log), puppet.clone());
    let services = move || {
        let log = Arc::clone(&service);
        let service = GreeterServer::new(handlers.clone());
        Router::new().add(service).intercept(async move |request: Request<()>, next: Next| {
            let _held = WhenDropped(Arc::clone(&log));
            let gives_up = request.metadata().get("x-gives-up").is_some();
            let run = next.run(request);
            if gives_up {
                // It drops the method, and answers by itself.
                return rt::timeout(Duration::from_millis(10), run).await.unwrap_or_else(|_| Err(Status::aborted("too slow for me")));
            }
            run.await
        })
    };
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        let dropped = |n: usize| {
            eventually("interceptor and handler are dropped", || {
                (log.lock().unwrap().len() == n && puppet.ended.lock().unwrap().len() == n).then_some(())
            });
        };
        let stream = connection.request(&Fields::hello().with("grpc-timeout", "20m"), &hello("Joe", 60_000));
        assert_eq!(connection.response(stream).grpc(), Some(status::DEADLINE_EXCEEDED));
        dropped(1);
        let stream = connection.request(&Fields::hello(), &hello("Joe", 60_000));
        eventually("the handler has begun", || (*puppet.begun.lock().unwrap() == 2).then_some(()));
        connection.send([rst_stream(stream, code::CANCEL)]);
        dropped(2);
        let stream = connection.request(&Fields::hello().with("x-gives-up", "1"), &hello("Joe", 60_000));
        assert_eq!(connection.response(stream).grpc(), Some(Code::Aborted as u32));
        dropped(3);
        let mut other = Connection::open(addr, &[]);
        other.request(&Fields::hello(), &hello("Joe", 60_000));
        eventually("the handler has begun", || (*puppet.begun.lock().unwrap() == 4).then_some(()));
        drop(other);
        dropped(4);
    });
}

fn a_panic_costs_its_call_alone(runtime: &str, engine: &str) {
    let services = move || {
        Router::new().add(GreeterServer::new(Hello)).intercept(async |request: Request<()>, next: Next| {
            let when = request.metadata().get("x-panic").map(|when| when.to_str().unwrap().to_owned());
            match when.as_deref() {
                Some("before") => panic!("as the caller wished"),
                Some("later") => {
                    rt::sleep(Duration::from_millis(1)).await;
                    panic!("as the caller wished");
                }
                Some("behind") => {
                    let _ = next.run(request).await;
                    panic!("as the caller wished");
                }
                _ => next.run(request).await,
            }
        })
    };
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        let other = connection.hello("other", 50);
        for when in ["before", "later", "behind"] {
            let stream = connection.request(&Fields::hello().with("x-panic", when), &hello("Joe", 0));
            let response = connection.response(stream);
            assert_eq!(response.grpc(), Some(status::INTERNAL), "{when}: {response:?}");
            assert!(!response.field("grpc-message").unwrap_or_default().contains("wished"), "{response:?}");
        }
        connection.is_greeted(other, "other");
    });
}

/// The same answers as without them: see `grpc_rules::messages`.
fn the_rules_of_messages_hold_behind_them(runtime: &str, engine: &str) {
    let log = Log::default();
    with_services(
        runtime,
        engine,
        move || kinds(&log).intercept(pass),
        |addr| {
            let mut connection = Connection::open(addr, &[]);
            let joe = hello("Joe", 0);
            for (body, grpc) in [
                (vec![], status::UNIMPLEMENTED),
                ([&joe[..], &joe].concat(), status::UNIMPLEMENTED),
                (joe[..7].to_vec(), status::INTERNAL),
                (joe[..3].to_vec(), status::INTERNAL),
                ([&joe[..], &joe[..3]].concat(), status::INTERNAL),
                (announced(0, 5 << 20, b""), status::RESOURCE_EXHAUSTED),
                (prefixed(0, b"\xff\xff"), status::INTERNAL),
                (prefixed(1, b""), status::INTERNAL),
                (joe.clone(), status::OK),
            ] {
                let stream = connection.request(&at(KINDS[0]), &body);
                assert_eq!(connection.response(stream).grpc(), Some(grpc), "{body:?}");
                let stream = connection.begin(&at(KINDS[0]));
                connection.send(body.chunks(2).map(|piece| data(stream, piece).open()));
                connection.send([headers(stream, Block::new().literal("x-trailer", "1")).end()]);
                assert_eq!(connection.response(stream).grpc(), Some(grpc), "{body:?}, in pieces");
            }
            for (fields, http) in [(at(KINDS[0]).set(":method", "GET"), 405), (at(KINDS[0]).set("content-type", "text/plain"), 415)] {
                let stream = connection.request(&fields, &joe);
                assert_eq!(connection.response(stream).http(), http);
            }
            let stream = connection.request(&at(KINDS[0]).with("grpc-encoding", "x-unheard-of"), &joe);
            assert_eq!(connection.response(stream).grpc(), Some(status::UNIMPLEMENTED));
        },
    );
}

fn compression_goes_through(runtime: &str, engine: &str) {
    let services = || {
        let greeter = GreeterServer::new(Hello).send_compressed(CompressionEncoding::Gzip);
        Router::new().add(greeter).intercept(async |request: Request<()>, mut next: Next| {
            next.reply_metadata_mut().insert("x-before", "3".parse().unwrap());
            next.run(request).await
        })
    };
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        let request = gzip(&hello(&"Joe".repeat(1000), 0)[5..]);
        let fields = Fields::hello().with("grpc-encoding", "gzip").with("grpc-accept-encoding", "gzip");
        let stream = connection.request(&fields, &prefixed(1, &request));
        let response = connection.response(stream);
        assert_eq!((response.head_field("grpc-encoding"), response.head_field("x-before")), (Some("gzip"), Some("3")), "{response:?}");
        let [(1, message)] = response.messages()[..] else { panic!("{response:?}") };
        assert!(message.len() < 200, "{response:?}");
        let bomb = prefixed(1, &gzip(&vec![0; 10_000_000]));
        let stream = connection.request(&fields, &bomb);
        assert_eq!(connection.response(stream).grpc(), Some(status::RESOURCE_EXHAUSTED));
    });
}

/// Each message comes when it is given, and waits for windows as it does without interceptors.
fn streams_flow_through(runtime: &str, engine: &str) {
    let log = Log::default();
    with_services(
        runtime,
        engine,
        move || kinds(&log).intercept(pass).intercept(pass),
        |addr| {
            let mut connection = Connection::open(addr, &[]);
            let stream = connection.begin(&at("/test.Kinds/Echo"));
            for n in 1..=3 {
                connection.send([data(stream, hello("ping", 0))]);
                connection.until("it is echoed", |connection| (connection.so_far(stream).messages().len() == n).then_some(()));
            }
            connection.send([data(stream, []).end()]);
            assert_eq!(connection.response(stream).grpc(), Some(status::OK));
            // Larger than a window, one way and the other.
            let long = "x".repeat(1 << 20);
            let stream = connection.begin(&at("/test.Kinds/Collect"));
            connection.upload(stream, hello(&long, 0).repeat(3).chunks(MAX_FRAME_SIZE), data);
            connection.send([data(stream, []).end()]);
            connection.send([window_update(0, 1 << 24), window_update(stream, 1 << 24)]);
            let response = connection.response(stream);
            let [(0, message)] = response.messages()[..] else { panic!("{response:?}") };
            assert_eq!(HelloReply::decode(message).expect("it is a reply").message.len(), 3 << 20);
            let stream = connection.request(&at("/test.Kinds/Repeat"), &hello(&long[..10_000], 100));
            connection.until("a window is full", |connection| (connection.so_far(stream).body.len() > 60_000).then_some(()));
            connection.send([window_update(0, 1 << 24), window_update(stream, 1 << 24)]);
            assert_eq!(connection.response(stream).messages().len(), 100);
        },
    );
}

/// A rule that forbids one method by its path (CVE-2026-33186): what is not spelt as the rule has it leads nowhere.
fn no_spelling_of_a_path_passes_by(runtime: &str, engine: &str) {
    const SECRETS: [&str; 2] = ["/test.Kinds/Unary", "/helloworld.Greeter/SayHello"];
    let log = Log::default();
    let service = Arc::clone(&log);
    let services = move || {
        let log = Arc::clone(&service);
        kinds(&service).intercept(async move |request: Request<()>, next: Next| {
            wrote(&log, request.path());
            if SECRETS.contains(&request.path()) { Err(Status::permission_denied("not that one")) } else { next.run(request).await }
        })
    };
    with_services(runtime, engine, services, |addr| {
        for secret in SECRETS {
            let (service, method) = secret[1..].split_once('/').expect("it has two parts");
            let spellings = [
                secret[1..].to_owned(),
                String::new(),
                "*".to_owned(),
                "/".to_owned(),
                format!("http://localhost{secret}"),
                format!("//localhost{secret}"),
                format!("/{secret}"),
                format!("{secret}/"),
                format!("/{service}//{method}"),
                format!("/{service}%2F{method}"),
                format!("/{service}%2f{method}"),
                format!("/{service}/%{:02X}{}", method.as_bytes()[0], &method[1..]),
                format!("/./{service}/{method}"),
                format!("/{service}/./{method}"),
                format!("/x/../{service}/{method}"),
                format!("/{service}/x/../{method}"),
                format!("/{service}\\{method}"),
                format!("{secret}?x=1"),
                format!("{secret}?"),
                format!("{secret}#x"),
                format!("{secret};x"),
                format!("{secret}%00"),
                format!("{secret} "),
                secret.to_uppercase(),
                format!("/{}{secret}", "x/".repeat(4000)),
                format!("{secret}{}", "y".repeat(8000)),
            ];
            for path in spellings {
                // What is malformed may cost the connection.
                let mut connection = Connection::open(addr, &[]);
                let stream = connection.request(&at(&path), &hello("Joe", 0));
                connection.until("it is refused", |connection| (connection.closed || connection.so_far(stream).is_over()).then_some(()));
                let response = connection.so_far(stream).clone();
                let seen = written(&log);
                assert!(!seen.iter().any(|line| line == "the handler") && response.body.is_empty(), "{path:.60} came to the handler");
                if engine == "hyper" && path == format!("{secret}#x") {
                    // hyper cuts a fragment off before anybody sees it: the rule holds for what is left.
                    assert_eq!((response.grpc(), &seen[..]), (Some(Code::PermissionDenied as u32), &[secret.to_owned()][..]));
                    continue;
                }
                let refused = connection.closed
                    || response.reset == Some(code::PROTOCOL_ERROR)
                    || response.grpc() == Some(status::UNIMPLEMENTED)
                    || [400, 404].contains(&response.http());
                assert!(refused, "{path:.60}: {response:?}");
                assert!(seen.iter().all(|line| !SECRETS.contains(&&line[..])), "{path:.60} was made another: {seen:?}");
            }
            let mut connection = Connection::open(addr, &[]);
            let stream = connection.request(&at(secret), &hello("Joe", 0));
            assert_eq!(connection.response(stream).grpc(), Some(Code::PermissionDenied as u32));
            assert_eq!(written(&log), [secret]);
        }
        let mut connection = Connection::open(addr, &[]);
        let stream = connection.request(&at("/test.Kinds/Collect"), &raw::hello("Joe", 0));
        assert_eq!(connection.response(stream).greeting(), "Joe", "what is not forbidden is served");
    });
}
