//! The floor: what a loop's sockets alone cost. Every request is answered by the same bytes, without HPACK, handlers or flow control.
//!
//! It is no server: it knows just enough of HTTP/2 for a client that behaves. Its distance to a row is what HTTP/2, gRPC and the handler cost there.

mod answer;

use std::net::TcpListener;
use std::process::ExitCode;

use loopswap::rt::{BoundListener, Connection, Listener, Runtime, Worker};
use loopswap::{EventLoop, Loop, UseLoop};
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

use self::answer::{Input, opening};

/// The child: serves on this loop until SIGTERM.
pub(crate) fn serve(word: &str) -> ExitCode {
    let event_loop = match Loop::choose(word) {
        Ok(event_loop) => event_loop,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut signals = Signals::new([SIGTERM]).expect("SIGTERM can be handled");
    std::thread::spawn(move || {
        signals.forever().next();
        std::process::exit(0);
    });
    event_loop.with(Floor)
}

struct Floor;

impl UseLoop for Floor {
    type Output = ExitCode;

    fn with<R: Runtime>(self, runtime: R) -> ExitCode {
        let on = runtime.clone();
        let served = runtime.run(&Worker::new(0), move || async move {
            let socket = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
            println!("listening on {}", socket.local_addr().expect("bound"));
            let mut listener = on.listen(BoundListener::Tcp(socket)).expect("the loop takes a listener");
            while let Some(accepted) = listener.accept().await {
                if let Ok(connection) = accepted {
                    on.spawn(answer(connection));
                }
            }
        });
        match served {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("error: {why}");
                ExitCode::FAILURE
            }
        }
    }
}

async fn answer<C: Connection>(mut connection: C) {
    let mut output = Vec::new();
    opening(&mut output);
    let mut input = Input::default();
    loop {
        let received = connection.receive(|bytes| input.take(bytes, &mut output) && !bytes.is_empty()).await;
        if !matches!(received, Ok(true)) {
            return;
        }
        if !output.is_empty() {
            let (sent, buffer) = connection.send(output).await;
            if sent.is_err() {
                return;
            }
            output = buffer;
        }
    }
}
