//! What a server says of bad input: a stream's error, or the connection's (RFC 9113, 5.4).

use super::connection::Connection;
use super::frame::{Frame, code, settings};
use super::response::GoAway;

impl Connection {
    /// The stream is reset, with one of these codes, and the connection lives.
    pub(crate) fn is_reset(&mut self, stream: u32, codes: &[u32]) {
        let response = self.response(stream);
        assert!(response.reset.is_some_and(|code| codes.contains(&code)), "{response:?} should be reset with one of {codes:?}");
        self.greets();
    }

    /// The connection ends with GOAWAY of one of these codes, and is closed.
    pub(crate) fn goes_away(&mut self, codes: &[u32]) -> GoAway {
        let goaway = self.until("GOAWAY with an error comes", |connection| connection.error().cloned());
        assert!(codes.contains(&goaway.code), "{goaway:?} should have one of {codes:?}; {}", self.seen());
        self.until("the connection is closed", |connection| connection.closed.then_some(()));
        goaway
    }

    /// Where the RFC leaves the choice: the stream is reset or the connection ends, with one of these codes.
    pub(crate) fn is_reset_or_goes_away(&mut self, stream: u32, codes: &[u32]) {
        let gone = self.until("a stream or connection error comes", |connection| {
            let over = connection.so_far(stream).reset.is_some();
            if connection.error().is_some() { Some(true) } else { over.then_some(false) }
        });
        if gone {
            self.goes_away(codes);
        } else {
            self.is_reset(stream, codes);
        }
    }

    /// The connection ends because the client costs too much, and the debug data has this word for it.
    pub(crate) fn is_told_to_calm_down(&mut self, words: &[&str]) {
        let goaway = self.goes_away(&[code::ENHANCE_YOUR_CALM]);
        assert!(words.contains(&&goaway.debug[..]), "{goaway:?} should say one of {words:?}");
    }

    /// Waits until the server has come to the end of what was sent, or has ended the connection.
    pub(crate) fn all_is_read(&mut self) {
        let n_acks = self.n_settings_acks;
        self.send([settings(&[])]);
        self.until("SETTINGS are acknowledged, or the connection is over", |connection| {
            (connection.error().is_some() || connection.n_settings_acks > n_acks).then_some(())
        });
    }

    /// Floods: sends what `make` makes for 0, 1, 2 … until the server has ended the connection or `n` are sent; how many that were. Frames are sent
    /// some hundred at a time, and all that comes back is taken.
    pub(crate) fn flood<I: IntoIterator<Item = Frame>>(&mut self, n: usize, make: impl FnMut(usize) -> I) -> usize {
        let mut frames = (0..n).map(make);
        let mut n_sent = 0;
        loop {
            let batch: Vec<_> = frames.by_ref().take(256).collect();
            if batch.is_empty() || self.closed || self.error().is_some() {
                return n_sent;
            }
            n_sent += batch.len();
            self.send(batch.into_iter().flatten());
            self.drain();
        }
    }
}
