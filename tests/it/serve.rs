//! The Greeter, served.

use std::time::{Duration, Instant};

use tonic::Code;

use crate::support::{block_on, client, connect, eventually, hello, loopswap, serve, served};

crate::on_every_loop!(
    greets,
    sleeps_on_the_loops_timer,
    refuses_bad_sleeps,
    serves_many_at_once,
    leaks_nothing,
    answers_unknown_methods,
    pins_each_worker_to_a_cpu
);

fn greets(runtime: &str) {
    let server = serve(runtime, &[]);
    let reply = block_on(async { hello(&mut client(server.addr()).await, "wörld", 0).await });
    assert_eq!(reply.unwrap(), "Hello, wörld!");
}

fn sleeps_on_the_loops_timer(runtime: &str) {
    let server = serve(runtime, &[]);
    block_on(async {
        let mut client = client(server.addr()).await;
        for ms in [1, 10, 50] {
            let start = Instant::now();
            assert_eq!(hello(&mut client, "Joe", ms).await.unwrap(), "Hello, Joe!");
            assert!(start.elapsed() >= Duration::from_millis(ms.unsigned_abs().into()), "{ms} ms took {:?}", start.elapsed());
        }
    });
}

fn refuses_bad_sleeps(runtime: &str) {
    let server = serve(runtime, &[]);
    block_on(async {
        let mut client = client(server.addr()).await;
        for ms in [-1, i32::MIN, 60_001, i32::MAX] {
            let status = hello(&mut client, "Joe", ms).await.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument);
            assert!(status.message().contains(&ms.to_string()) && status.message().contains("60000"), "{status}");
        }
        assert!(hello(&mut client, "Joe", 0).await.is_ok());
    });
}

/// 10 connections of 100 calls, some asleep.
fn serves_many_at_once(runtime: &str) {
    let server = serve(runtime, &[]);
    block_on(async {
        let mut calls = Vec::new();
        for c in 0..10 {
            let client = client(server.addr()).await;
            for n in 0..100 {
                let mut client = client.clone();
                calls.push(::tokio::spawn(async move { (c, n, hello(&mut client, &format!("{c}.{n}"), n % 3 * 5).await) }));
            }
        }
        for call in calls {
            let (c, n, reply) = call.await.unwrap();
            assert_eq!(reply.unwrap(), format!("Hello, {c}.{n}!"));
        }
    });
}

fn leaks_nothing(runtime: &str) {
    let server = serve(runtime, &[]);
    let one = || block_on(async { hello(&mut client(server.addr()).await, "Joe", 1).await.unwrap() });
    one();
    let before = eventually("the first connection is closed", || {
        let n = server.n_fds();
        std::thread::sleep(Duration::from_millis(20));
        (n == server.n_fds()).then_some(n)
    });
    for _ in 0..50 {
        one();
        // Closed before it has said anything.
        drop(connect(server.addr()));
    }
    server.wait_for_fds(before);
}

fn answers_unknown_methods(runtime: &str) {
    let server = serve(runtime, &[]);
    block_on(async {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", server.addr())).unwrap();
        let mut grpc = tonic::client::Grpc::new(endpoint.connect().await.unwrap());
        grpc.ready().await.unwrap();
        let path = "/helloworld.Greeter/SayGoodbye".parse().unwrap();
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let status = grpc.unary(tonic::Request::new(()), path, codec).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    });
}

fn pins_each_worker_to_a_cpu(runtime: &str) {
    let allowed = std::thread::available_parallelism().unwrap().get();
    let mut command = loopswap();
    let workers = allowed.to_string();
    command.args(["serve", "--runtime", runtime, "--workers", &workers, "--pin-cpus", "--addr", "127.0.0.1:0"]);
    let server = served(&mut command);
    let mut cpus = server.cpus_of_threads("worker-");
    cpus.sort();
    cpus.dedup();
    assert_eq!(cpus.len(), allowed, "each worker has a CPU of its own: {cpus:?}");
    assert!(cpus.iter().all(|cpus| cpus.parse::<usize>().is_ok()), "and one only: {cpus:?}");
    assert!(block_on(async { hello(&mut client(server.addr()).await, "Joe", 0).await }).is_ok());
}
