//! A handler that panics: its call gets INTERNAL, the others on the connection go on, and so does the worker.

use tonic::Code;

use crate::support::{block_on, client, hello, serve_puppet};

crate::on_every_loop!(before_its_first_await, after_an_await, many_in_a_row);

fn the_call_gets_internal(runtime: &str, name: &str) {
    let (running, _) = serve_puppet(runtime, |builder| builder);
    block_on(async {
        let mut caller = client(running.local_addr().as_tcp().unwrap()).await;
        let mut other = caller.clone();
        let other = ::tokio::spawn(async move { hello(&mut other, "bystander", 100).await });
        let status = hello(&mut caller, name, 5).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{status}");
        assert!(!status.message().contains("wished"), "the panic's text stays with the operator: {status}");
        assert_eq!(other.await.unwrap().unwrap(), "Hello, bystander!");
        assert_eq!(hello(&mut caller, "again", 0).await.unwrap(), "Hello, again!");
    });
}

fn before_its_first_await(runtime: &str) {
    the_call_gets_internal(runtime, "panic at once");
}

fn after_an_await(runtime: &str) {
    the_call_gets_internal(runtime, "panic later");
}

fn many_in_a_row(runtime: &str) {
    let (running, _) = serve_puppet(runtime, |builder| builder);
    block_on(async {
        let mut caller = client(running.local_addr().as_tcp().unwrap()).await;
        for n in 0..100 {
            let name = if n % 2 == 0 { "panic at once" } else { "panic later" };
            assert_eq!(hello(&mut caller, name, 0).await.unwrap_err().code(), Code::Internal);
        }
        assert!(hello(&mut caller, "still there", 0).await.is_ok());
    });
}
