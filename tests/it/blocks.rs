//! The Blocks, served from a file: contents, ends, refusals, appends side by side, a full file system, descriptors.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use loopswap::blocks::{AppendRequest, BLOCK_BYTES, BlocksClient, BlocksServer, FileBlocks, ReadRequest, Store, contents, holds};
use loopswap::{Http2, Server, Status};
use tempfile::{TempDir, tempdir};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::leaks::host;
use crate::support::{Served, block_on, client as greeter, connect, eventually, hello, loopswap, output, serve};

/// Blocks of a case's file.
const N_BLOCKS: u64 = 64;

crate::on_every_loop!(
    reads_what_the_file_holds,
    refuses_blocks_that_are_not_there,
    appends_side_by_side,
    an_upload_is_looked_at,
    the_file_may_not_grow_for_ever,
    a_full_file_system_is_told,
    a_file_that_is_cut_is_data_loss,
    calls_that_are_given_up_leave_no_hole,
    keeps_one_descriptor_a_worker,
    is_loaded_and_checked
);

/// A file of blocks, in a directory of its own.
fn file() -> (TempDir, PathBuf) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("blocks");
    Store::create(&path, N_BLOCKS).unwrap();
    (directory, path)
}

fn serve_file(runtime: &str, engine: Http2, path: &Path, args: &[&str]) -> Served {
    let path = path.to_str().expect("a temporary directory's name is UTF-8");
    serve(runtime, &[&["--http2", engine.name(), "--blocks-file", path], args].concat())
}

async fn blocks(server: &Served) -> BlocksClient<Channel> {
    blocks_at(server.addr()).await
}

async fn blocks_at(addr: SocketAddr) -> BlocksClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{addr}")).expect("an address makes a URI");
    BlocksClient::new(endpoint.connect().await.expect("it listens"))
}

async fn read(client: &mut BlocksClient<Channel>, block: Option<u64>) -> Result<(u64, Vec<u8>), Status> {
    let reply = client.read(ReadRequest { block }).await?.into_inner();
    Ok((reply.block, reply.data))
}

async fn append(client: &mut BlocksClient<Channel>) -> Result<u64, Status> {
    Ok(client.append(AppendRequest { data: contents(0) }).await?.into_inner().block)
}

fn assert_is_blocks(path: &Path, n: u64) {
    let bytes = fs::read(path).unwrap();
    assert_eq!(bytes.len() as u64, n * BLOCK_BYTES as u64);
    for (data, block) in bytes.chunks(BLOCK_BYTES).zip(0..) {
        assert!(holds(block, data), "block {block} holds what it should");
    }
}

fn reads_what_the_file_holds(runtime: &str) {
    let (_directory, path) = file();
    for engine in Http2::ALL {
        let server = serve_file(runtime, engine, &path, &[]);
        block_on(async {
            let mut client = blocks(&server).await;
            for asked_for in [0, 1, N_BLOCKS - 1] {
                let (block, data) = read(&mut client, Some(asked_for)).await.unwrap();
                assert!(block == asked_for && holds(block, &data), "{block} of {engine}");
            }
            let mut seen = Vec::new();
            for _ in 0..100 {
                let (block, data) = read(&mut client, None).await.unwrap();
                assert!(block < N_BLOCKS && holds(block, &data), "{block} of {engine}");
                seen.push(block);
            }
            seen.sort_unstable();
            seen.dedup();
            assert!(seen.len() > 20, "they are random ones: {seen:?}");
            assert_eq!(hello(&mut greeter(server.addr()).await, "Joe", 0).await.unwrap(), "Hello, Joe!");
        });
    }
}

fn refuses_blocks_that_are_not_there(runtime: &str) {
    let (_directory, path) = file();
    for engine in Http2::ALL {
        let server = serve_file(runtime, engine, &path, &[]);
        block_on(async {
            let mut client = blocks(&server).await;
            for block in [N_BLOCKS, u64::MAX / BLOCK_BYTES as u64, u64::MAX] {
                let status = read(&mut client, Some(block)).await.unwrap_err();
                assert_eq!(status.code(), Code::OutOfRange, "{status}");
                assert!(status.message().contains(&block.to_string()) && status.message().contains("the last one is 63"), "{status}");
            }
            assert!(read(&mut client, Some(N_BLOCKS - 1)).await.is_ok());
        });
    }
}

/// 100 appends over 4 connections to 2 workers: each has a block of its own, whole, on the disk, and to be read at once.
fn appends_side_by_side(runtime: &str) {
    for engine in Http2::ALL {
        let (_directory, path) = file();
        let mut command = loopswap();
        command.args(["serve", "--runtime", runtime, "--workers", "2", "--addr", "127.0.0.1:0", "--http2", engine.name(), "--blocks-file"]);
        let server = crate::support::served(command.arg(&path));
        block_on(async {
            let mut calls = Vec::new();
            for _ in 0..4 {
                let client = blocks(&server).await;
                for _ in 0..25 {
                    let mut client = client.clone();
                    calls.push(::tokio::spawn(async move { append(&mut client).await }));
                }
            }
            let mut appended = Vec::new();
            for call in calls {
                appended.push(call.await.unwrap().unwrap());
            }
            appended.sort_unstable();
            assert_eq!(appended, (N_BLOCKS..N_BLOCKS + 100).collect::<Vec<_>>());
            let (block, data) = read(&mut blocks(&server).await, Some(N_BLOCKS + 99)).await.unwrap();
            assert!(holds(block, &data));
        });
        assert_is_blocks(&path, N_BLOCKS + 100);
    }
}

/// What is uploaded is block 0, or nothing; after anything else the file is as it was.
fn an_upload_is_looked_at(runtime: &str) {
    let (_directory, path) = file();
    for (engine, n_before) in Http2::ALL.into_iter().zip([N_BLOCKS, N_BLOCKS + 1]) {
        let server = serve_file(runtime, engine, &path, &[]);
        block_on(async {
            let mut client = blocks(&server).await;
            let mut append = async |data| Ok(client.append(AppendRequest { data }).await?.into_inner().block);
            for wrong in [contents(1), contents(0)[1..].to_vec(), vec![0]] {
                let status: Status = append(wrong).await.unwrap_err();
                assert_eq!(status.code(), Code::InvalidArgument);
                assert!(status.message().contains("not what block 0 holds"), "{status}");
            }
            assert_is_blocks(&path, n_before);
            assert_eq!(append(Vec::new()).await.unwrap(), n_before);
            assert_is_blocks(&path, n_before + 1);
        });
    }
}

fn the_file_may_not_grow_for_ever(runtime: &str) {
    let (_directory, path) = file();
    let server = serve_file(runtime, Http2::Native, &path, &["--blocks-max", "66"]);
    block_on(async {
        let mut client = blocks(&server).await;
        assert_eq!((append(&mut client).await.unwrap(), append(&mut client).await.unwrap()), (64, 65));
        let status = append(&mut client).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("66 blocks"), "{status}");
        assert!(read(&mut client, Some(65)).await.is_ok());
    });
    assert_is_blocks(&path, 66);
}

/// The kernel's limit on a file's size stands for a disk without space: the write fails, the place is not lost, and reads go on.
fn a_full_file_system_is_told(runtime: &str) {
    let (_directory, path) = file();
    let limit = (N_BLOCKS + 1) * BLOCK_BYTES as u64;
    // SIGXFSZ would end the process; it is ignored, and stays so across exec.
    let mut command = std::process::Command::new("sh");
    command.args(["-c", r#"trap '' XFSZ; ulimit -f $(($1 / 512)); shift; exec "$@""#, "sh", &limit.to_string()]);
    command.arg(env!("CARGO_BIN_EXE_loopswap")).args([
        "serve",
        "--runtime",
        runtime,
        "--workers",
        "1",
        "--addr",
        "127.0.0.1:0",
        "--blocks-file",
    ]);
    let server = crate::support::served(command.arg(&path));
    block_on(async {
        let mut client = blocks(&server).await;
        assert_eq!(append(&mut client).await.unwrap(), N_BLOCKS);
        for _ in 0..3 {
            let status = append(&mut client).await.unwrap_err();
            assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
            assert!(status.message().contains("cannot be written"), "{status}");
        }
        assert!(read(&mut client, Some(N_BLOCKS)).await.is_ok());
        assert_eq!(read(&mut client, Some(N_BLOCKS + 1)).await.unwrap_err().code(), Code::OutOfRange);
    });
    assert_is_blocks(&path, N_BLOCKS + 1);
}

fn a_file_that_is_cut_is_data_loss(runtime: &str) {
    let (_directory, path) = file();
    let server = serve_file(runtime, Http2::Native, &path, &[]);
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(10 * BLOCK_BYTES as u64 + 7).unwrap();
    block_on(async {
        let mut client = blocks(&server).await;
        assert!(read(&mut client, Some(9)).await.is_ok());
        for block in [10, 11] {
            let status = read(&mut client, Some(block)).await.unwrap_err();
            assert_eq!(status.code(), Code::DataLoss, "{status}");
            assert!(status.message().contains("cut the file"), "{status}");
        }
    });
}

/// Appends whose callers go away in the middle: those that follow fill every place.
fn calls_that_are_given_up_leave_no_hole(runtime: &str) {
    let (_directory, path) = file();
    let server = serve_file(runtime, Http2::Native, &path, &[]);
    let n = block_on(async {
        let client = blocks(&server).await;
        for _ in 0..30 {
            let mut client = client.clone();
            let call = ::tokio::spawn(async move { append(&mut client).await });
            ::tokio::task::yield_now().await;
            call.abort();
            let _ = call.await;
        }
        let mut client = client;
        let mut n = 0;
        // Places that were given up go first; then the file grows by each.
        for _ in 0..31 {
            n = n.max(append(&mut client).await.unwrap() + 1);
        }
        let (block, data) = read(&mut client, Some(n - 1)).await.unwrap();
        assert!(holds(block, &data), "it may be read, so there is no hole before it");
        n
    });
    assert_is_blocks(&path, n);
}

fn keeps_one_descriptor_a_worker(runtime: &str) {
    let (_directory, path) = file();
    let server = serve_file(runtime, Http2::Native, &path, &[]);
    let both = || {
        block_on(async {
            let mut client = blocks(&server).await;
            read(&mut client, None).await.unwrap();
            append(&mut client).await.unwrap();
        });
    };
    both();
    let n_of_file = || {
        let fds = fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap();
        fds.filter(|fd| fs::read_link(fd.as_ref().unwrap().path()).is_ok_and(|to| to == path)).count()
    };
    assert_eq!(n_of_file(), 1);
    let before = eventually("the first connection is closed", || {
        let n = server.n_fds();
        std::thread::sleep(std::time::Duration::from_millis(20));
        (n == server.n_fds()).then_some(n)
    });
    for _ in 0..20 {
        both();
        drop(connect(server.addr()));
    }
    server.wait_for_fds(before);
    assert_eq!(n_of_file(), 1);
}

fn is_loaded_and_checked(runtime: &str) {
    let (_directory, path) = file();
    for engine in Http2::ALL {
        let server = serve_file(runtime, engine, &path, &[]);
        let load = |args: &[&str]| {
            let addr = server.addr().to_string();
            let ended =
                output(loopswap().args(["load", "--json", "--addr", &addr, "-c", "20", "--connections", "2", "-n", "200"]).args(args));
            let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
            (ended.status.code(), report["statuses"].clone(), ended.stderr)
        };
        for call in [&["blocks.Blocks/Read"][..], &["blocks.Blocks/Read", "--block", "7"], &["blocks.Blocks/Append"]] {
            let (code, statuses, stderr) = load(&[&["--call"], call].concat());
            assert_eq!((code, &statuses["OK"]), (Some(0), &200.into()), "{call:?}: {statuses} {stderr}");
        }
        let (code, statuses, _) = load(&["--call", "blocks.Blocks/Read", "--block", "1000000"]);
        assert_eq!((code, &statuses["OUT_OF_RANGE"]), (Some(1), &200.into()), "{statuses}");
    }
    assert_is_blocks(&path, N_BLOCKS + 400);
}

/// Without a file there are no Blocks.
#[test]
fn are_served_only_with_a_file() {
    let server = serve("tokio", &[]);
    let status = block_on(async { read(&mut blocks(&server).await, None).await.unwrap_err() });
    assert_eq!(status.code(), Code::Unimplemented);
}

/// Found before a port is bound: the address is in use, and that is not what is told.
#[test]
fn a_wrong_file_is_told_first() {
    let (directory, path) = file();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let missing = directory.path().join("missing");
    let other = directory.path().join("other");
    fs::write(&other, vec![1; BLOCK_BYTES]).unwrap();
    let cases: [(&Path, &[&str], &str); 7] = [
        (&missing, &[], "is not there; make one with --blocks-create N"),
        (directory.path(), &[], "is not a regular file"),
        (&other, &[], "is no file of blocks"),
        // A program that runs cannot be written.
        (Path::new(env!("CARGO_BIN_EXE_loopswap")), &[], "cannot be opened for reading and writing"),
        (&path, &["--blocks-max", "63"], "has 64 blocks; --blocks-max allows 63"),
        (&missing, &["--blocks-create", "9", "--blocks-max", "8"], "--blocks-create 9 is more than --blocks-max 8 allows"),
        (Path::new("/proc/blocks"), &["--blocks-create", "9"], "cannot be made"),
    ];
    for (path, args, words) in cases {
        let mut command = loopswap();
        let ended = output(command.args(["--runtime", "tokio", "--log", "error", "--addr", &addr, "--blocks-file"]).arg(path).args(args));
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(words) && ended.stderr.lines().count() == 1, "{words}: {}", ended.stderr);
    }
    let ended = output(loopswap().args(["--blocks-create", "9"]));
    assert!(ended.status.code() == Some(2) && ended.stderr.contains("--blocks-file"), "{}", ended.stderr);
}

#[test]
fn a_missing_file_is_made_when_asked_for() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("blocks");
    let mut command = loopswap();
    command.env("LOOPSWAP_BLOCKS_FILE", &path).env("LOOPSWAP_BLOCKS_CREATE", "5");
    command.env("LOOPSWAP_RUNTIME", "tokio").env("LOOPSWAP_ADDR", "127.0.0.1:0").env("LOOPSWAP_WORKERS", "1");
    let server = crate::support::served(&mut command);
    block_on(async { assert_eq!(append(&mut blocks(&server).await).await.unwrap(), 5) });
    assert_is_blocks(&path, 6);
}

#[test]
fn flags_of_another_call_are_refused() {
    for (args, words) in [
        (&["--call", "blocks.Blocks/Read", "-d", "{}"][..], "--data is for helloworld.Greeter/SayHello"),
        (&["--call", "blocks.Blocks/Append", "--block", "1"], "--block is for blocks.Blocks/Read"),
        (&["--block", "1"], "--block is for blocks.Blocks/Read"),
        (&["--call", "blocks.Blocks/Write"], "blocks.Blocks/Append"),
    ] {
        let ended = output(loopswap().arg("load").args(args));
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}

/// The library's own server over the same file: a worker's service is made by its factory.
#[test]
fn a_library_user_serves_them_too() {
    let (_directory, path) = file();
    let store = Arc::new(Store::open(&path, 100).unwrap());
    let service = move |worker: &loopswap::rt::Worker| BlocksServer::new(FileBlocks::new(Arc::clone(&store), worker.index as u64));
    let server = host(Server::builder().listen("127.0.0.1:0").workers(1), "tokio", service);
    let addr: SocketAddr = server.local_addr().to_string().parse().expect("a TCP address");
    block_on(async {
        assert_eq!(read(&mut blocks_at(addr).await, Some(3)).await.unwrap().0, 3);
        let status = hello(&mut greeter(addr).await, "Joe", 0).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    });
}
