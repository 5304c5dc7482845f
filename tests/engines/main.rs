//! The same call to both engines, native and hyper, on a loop in memory: in whatever pieces its bytes come, they must come to the same end.
//!
//! * `call` makes calls, good ones and such with one fault, and their bytes.
//! * `verdict` is what a client can make of the answer.
//! * `differences` is what each fault comes to, and where the engines may differ, and why.

mod call;
mod differences;
mod verdict;

use loopswap::greeter::{GreeterServer, Hello};
use loopswap::{Http2, Limits, Lone, Router};
use loopswap_memory::{Memory, World, pair};
use proptest::prelude::*;

use call::{Call, Fault};
use verdict::Verdict;

/// What comes of a call on an engine: the verdict on itself, and on a good one behind it.
fn judge(http2: Http2, call: &Call, cuts: &[usize]) -> [Verdict; 2] {
    let world = World::enter();
    let (connection, peer) = pair();
    let lone = Lone::new(Limits::default());
    let served = lone.serve(Memory, connection, http2, Router::from(GreeterServer::new(Hello)));
    world.spawn(async move {
        let _ = served.await;
    });
    let bytes = [call::opening(), call.bytes(1), Call::good().bytes(3)].concat();
    let mut rest = &bytes[..];
    for cut in cuts {
        let (piece, more) = rest.split_at((*cut).min(rest.len()));
        rest = more;
        peer.send(piece);
        world.turn();
    }
    peer.send(rest);
    world.turn();
    // Deadlines and sleeps.
    world.pass(std::time::Duration::from_secs(1));
    verdict::of(&peer.take(), [1, 3])
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        // All at once, octet by octet for a while, and anything.
        Just(Vec::new()),
        Just(vec![1; 400]),
        prop::collection::vec(1..200_usize, 0..12),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn good_calls_in_any_pieces(call in call::good(), pieces in cuts()) {
        let [native, hyper] = [Http2::Native, Http2::Hyper].map(|http2| judge(http2, &call, &pieces));
        prop_assert!(matches!(native[0], Verdict::Ok(_)), "{native:?}");
        prop_assert_eq!(&native[0], &Verdict::Ok(call.expected_reply()));
        prop_assert_eq!(native, hyper);
    }

    #[test]
    fn calls_with_a_fault_in_any_pieces((call, fault) in call::with_a_fault(), pieces in cuts()) {
        let verdicts = Http2::ALL.map(|http2| judge(http2, &call, &pieces));
        if let Err(complaint) = differences::check(&call, fault, &verdicts) {
            prop_assert!(false, "{complaint}");
        }
    }
}

/// Each fault, whole and octet by octet: so that none depends on chance.
#[test]
fn every_fault() {
    let mut complaints = Vec::new();
    for fault in Fault::ALL {
        let call = Call::good().with(*fault);
        for pieces in [vec![], vec![1; 2000]] {
            let verdicts = Http2::ALL.map(|http2| judge(http2, &call, &pieces));
            if let Err(complaint) = differences::check(&call, *fault, &verdicts) {
                complaints.push(complaint);
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
