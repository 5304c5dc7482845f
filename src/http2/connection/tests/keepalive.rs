//! Keepalive, and what a connection says of its idleness, in time made by hand.

use super::*;

const TIME: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(20);

fn open() -> Peer {
    Peer::open(Limits { keepalive_time: Some(TIME), keepalive_timeout: TIMEOUT, ..Limits::default() })
}

impl Peer {
    /// Lets time pass, as a driver with a timer for keepalive does.
    fn wait(&mut self, time: Duration) {
        self.pass(time);
        self.connection.keep_alive();
    }

    /// Sends bytes as a driver gives them on.
    fn says(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) {
        self.connection.heard();
        self.frame(kind, flags, id, payload);
    }

    /// The payload of the PING that is sent, if that is all.
    fn asked(&mut self) -> Option<Vec<u8>> {
        match &self.output()[..] {
            [] => None,
            [(header, payload)] if header.kind == kind::PING && header.flags == 0 => Some(payload.clone()),
            other => panic!("{other:?}"),
        }
    }

    /// How long until it is to be looked after.
    fn due_in(&self) -> Option<Duration> {
        self.connection.poll_keepalive().map(|due| due.saturating_duration_since(self.now))
    }
}

#[test]
fn a_silent_peer_is_asked_and_given_up() {
    let mut peer = open();
    assert_eq!(peer.due_in(), Some(TIME));
    peer.wait(TIME - Duration::from_millis(1));
    assert_eq!(peer.asked(), None);
    peer.wait(Duration::from_millis(1));
    assert!(peer.asked().is_some());
    assert_eq!(peer.due_in(), Some(TIMEOUT));
    peer.wait(TIMEOUT - Duration::from_millis(1));
    assert_eq!((peer.asked(), peer.connection.closing()), (None, None), "one PING is enough");
    peer.wait(Duration::from_millis(1));
    assert_eq!(peer.violation(), Violation::Keepalive);
    assert_eq!(peer.connection.closing().map(|closing| closing.code), Some(ErrorCode::NO_ERROR));
    assert_eq!((peer.due_in(), peer.connection.is_done()), (None, true));
}

#[test]
fn an_answer_is_waited_for_anew_and_is_no_frame_too_many() {
    let mut peer = open();
    for _ in 0..2000 {
        peer.wait(TIME);
        let ping = peer.asked().expect("it was silent");
        peer.pass(TIMEOUT / 2);
        peer.says(kind::PING, flag::ACK, 0, &ping);
        assert_eq!(peer.due_in(), Some(TIME));
    }
    assert_eq!(peer.connection.closing(), None);
    // What was not asked for costs the peer its budget (1000 frames and 100 a second).
    for _ in 0..1000 {
        peer.says(kind::PING, flag::ACK, 0, b"keepaliv");
    }
    assert_eq!(peer.connection.closing(), None);
    peer.says(kind::PING, flag::ACK, 0, b"keepaliv");
    assert_eq!(peer.violation(), Violation::UnknownFrames);
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let mut peer = open();
    for n in 0..5 {
        peer.wait(TIME - Duration::from_secs(1));
        assert_eq!(peer.asked(), None, "{n}");
        peer.connection.heard();
    }
    peer.wait(TIME);
    let ping = peer.asked().expect("it was silent");
    // Half a frame; the answer waits behind it, and is known when it comes.
    peer.wait(TIMEOUT / 2);
    peer.connection.heard();
    peer.send(&frame_of(kind::PRIORITY, 0, 1, &[0; 5])[..7]);
    assert_eq!(peer.due_in(), Some(TIME));
    peer.wait(TIMEOUT);
    assert_eq!(peer.connection.closing(), None);
    peer.connection.heard();
    peer.send(&[&[0, 1][..], &[0; 5], &frame_of(kind::PING, flag::ACK, 0, &ping)].concat());
    assert_eq!(peer.connection.closing(), None);
    assert!(!peer.connection.keepalive.is_answered(*b"keepaliv"), "it was this PING's answer");
}

#[test]
fn a_drain_and_keepalive_tell_their_answers_apart() {
    let mut peer = open();
    peer.request(1, true);
    peer.wait(TIME);
    let keepalive = peer.asked().expect("it was silent");
    peer.connection.drain("max_age");
    let drain = peer.output().pop().expect("GOAWAY and PING").1;
    assert_ne!(keepalive, drain);
    peer.says(kind::PING, flag::ACK, 0, &keepalive);
    assert_eq!(peer.output(), [], "the drain still waits");
    peer.says(kind::PING, flag::ACK, 0, &drain);
    assert_eq!(peer.output().len(), 1, "the second GOAWAY");
    // A long call on a connection that is drained is looked after too.
    peer.wait(TIME);
    assert!(peer.asked().is_some());
    peer.wait(TIMEOUT);
    assert_eq!(peer.violation(), Violation::Keepalive);
}

#[test]
fn without_a_time_nobody_is_asked() {
    let mut peer = Peer::open(Limits { keepalive_time: None, ..Limits::default() });
    assert_eq!(peer.due_in(), None);
    peer.wait(Duration::from_secs(86_400));
    assert_eq!((peer.asked(), peer.connection.closing()), (None, None));
    assert_eq!(Peer::open(Limits::default()).due_in(), Some(Duration::from_secs(7200)), "gRFC A9");
}

#[test]
fn idleness_begins_with_the_end_of_the_last_call() {
    let mut peer = open();
    let start = peer.now;
    peer.pass(TIME);
    peer.says(kind::PING, 0, 0, &[0; 8]);
    assert_eq!(peer.connection.idle_since(), Some(start), "no PING is a call");
    let (first, second) = (peer.request(1, true), peer.request(3, true));
    answer(&mut peer, first, b"x");
    assert_eq!(peer.connection.idle_since(), None);
    peer.pass(TIME);
    answer(&mut peer, second, b"x");
    assert_eq!(peer.connection.idle_since(), Some(peer.now));
    // Nor is a call that the client gives up.
    peer.request(5, false);
    peer.pass(TIME);
    peer.frame(kind::RST_STREAM, 0, 5, &[0; 4]);
    assert_eq!(peer.connection.idle_since(), Some(peer.now));
    peer.connection.drain("test");
    assert_eq!(peer.connection.idle_since(), None, "it is on its way out");
}

#[test]
fn a_cut_says_why_and_takes_all_streams() {
    let mut peer = open();
    peer.request(1, true);
    peer.connection.drain("max_age");
    peer.output();
    peer.connection.cut(Violation::AgeGrace);
    peer.connection.cut(Violation::Keepalive);
    let (_, payload) = peer.output().pop().expect("GOAWAY");
    assert_eq!((&payload[..8], &payload[8..]), (&[0, 0, 0, 1, 0, 0, 0, 0][..], &b"max_age_grace"[..]));
    assert_eq!(peer.connection.take_violations(), [Violation::AgeGrace]);
    assert_eq!((peer.connection.n_streams(), peer.connection.is_done()), (0, true));
}
