//! Unix sockets: shared by several workers, and their files.

use rustix::process::Signal;

use super::{addresses, client_of, greeted_at, serve_here, unix_word, worker_of};
use crate::support::{Served, block_on, hello, loopswap, served};

crate::on_every_loop_and_engine!(is_shared_by_workers, a_successors_file_stays);

/// Each of three workers gets a third, of those connections that are open at once.
fn is_shared_by_workers(runtime: &str, http2: &str) {
    let folder = tempfile::tempdir().unwrap();
    let address = unix_word(&folder.path().join("socket"));
    let _server = serve_here(runtime, http2, |builder| builder.listen(&address).workers(3));
    block_on(async {
        let mut n = [0; 3];
        let mut clients = Vec::new();
        for _ in 0..9 {
            let mut client = client_of(&address).await.expect("it listens");
            n[worker_of(&mut client).await] += 1;
            clients.push(client);
        }
        assert_eq!(n, [3; 3]);
    });
}

/// A second server takes the path of one that drains, whose end leaves the second one's file.
fn a_successors_file_stays(runtime: &str, http2: &str) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let address = unix_word(&socket);
    for workers in ["1", "2"] {
        let start = || -> Served {
            let mut command = loopswap();
            command.args(["serve", "--runtime", runtime, "--http2", http2, "--workers", workers]);
            // The first is for those who look whether it runs.
            command.args(["--addr", "127.0.0.1:0", "--addr", &address]);
            let server = served(&mut command);
            addresses(&server, 2);
            server
        };
        let mut first = start();
        let mut second = block_on(async {
            let client = client_of(&address).await.expect("it listens");
            let mut slow = client.clone();
            let call = ::tokio::spawn(async move { hello(&mut slow, "slow", 1500).await });
            hello(&mut client.clone(), "first", 0).await.expect("it serves");
            first.signal(Signal::TERM);
            first.stderr().wait_for("draining").expect("it says so");
            // Its socket is closed by then, or soon: an address in use is tried again.
            let second = start();
            assert!(first.is_running(), "the call is under way");
            assert_eq!(call.await.unwrap().expect("it ends well"), "Hello, slow!");
            second
        });
        assert_eq!(first.wait().code(), Some(0));
        assert!(socket.exists(), "it is the second one's");
        assert_eq!(block_on(greeted_at(&address)), "Hello, Joe!");
        second.signal(Signal::TERM);
        assert_eq!(second.wait().code(), Some(0));
        assert!(!socket.exists());
    }
}
