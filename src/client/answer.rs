//! Reading the answer to a call: its status, and with OK exactly one message, or a stream of them.

use tonic::Status;

use crate::client::prepared::{Inspector, PREFIX_BYTES, Prepared, message};
use crate::client::status::Judged;
use crate::http2::client::AnswerHead;

/// The most bytes that a reply, or a message of a stream, may have, prefix included: gRPC's default of 4 MiB.
const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With OK, and the reply that was expected.
    AsExpected,
    /// With OK, and another message, encoded.
    Message(Vec<u8>),
    /// With OK, and a stream of so many messages; and what was wrong with the first of them that was wrong.
    Stream { n_messages: u64, wrong: Option<String> },
    /// With another status, the server's or ours.
    Failed(Status),
    /// The server has not looked at it, for this reason: it may be made again.
    Unprocessed(Status),
}

/// What has come of an answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is to be one message.
    One(OneMessage),
    /// It is to be a stream. Boxed, because most are not.
    Stream(Box<Messages>),
}

impl Answer {
    /// To a call of this sort.
    #[inline]
    pub(super) fn to(call: &Prepared) -> Self {
        if call.inspector().is_some() { Self::Stream(Box::default()) } else { Self::One(OneMessage::default()) }
    }

    /// Takes the head. An error ends the call.
    #[inline]
    pub(super) fn head(&mut self, head: &AnswerHead, end: bool) -> Result<(), Status> {
        let judged = head.memo(Judged::of);
        if let Err(status) = &judged.as_head {
            return Err(status.clone());
        }
        if end { Err(no_status()) } else { Ok(()) }
    }

    /// Whether the head is the whole answer, a stream without a message: what gRPC calls Trailers-Only. Then it is to be taken as trailers.
    #[inline]
    pub(super) fn is_whole(&self, head: &AnswerHead, end: bool) -> bool {
        end && matches!(self, Self::Stream(_)) && head.memo(Judged::of).carried.is_some()
    }

    /// Takes a part of the body. An error ends the call.
    #[inline]
    pub(super) fn data(&mut self, bytes: &[u8], call: &Prepared) -> Result<(), Status> {
        match self {
            Self::One(message) => message.data(bytes, call.expected()),
            Self::Stream(messages) => messages.data(bytes, call.inspector().expect("it was made for a stream")),
        }
    }

    /// Takes the trailers, which end the call.
    #[inline]
    pub(super) fn trailers(self, trailers: &AnswerHead, call: &Prepared) -> Ended {
        match &trailers.memo(Judged::of).carried {
            Some(Ok(())) => match self {
                Self::One(message) => message.whole(call.expected()),
                Self::Stream(messages) => messages.whole(),
            },
            Some(Err(status)) => Ended::Failed(status.clone()),
            None => Ended::Failed(no_status()),
        }
    }

    /// The body has ended, and there are no trailers.
    pub(super) fn end(self) -> Ended {
        Ended::Failed(no_status())
    }
}

/// What has come of an answer that is to be one message.
///
/// The reply that is right is not kept: what arrives is compared with it, and its first bytes are written down only when others follow that differ.
#[derive(Debug, Default)]
pub(super) struct OneMessage {
    n_as_expected: usize,
    /// A body that differs.
    other: Option<Vec<u8>>,
}

impl OneMessage {
    #[inline]
    fn data(&mut self, bytes: &[u8], expected: &[u8]) -> Result<(), Status> {
        if self.other.is_none() && expected[self.n_as_expected..].starts_with(bytes) {
            self.n_as_expected += bytes.len();
            return Ok(());
        }
        let other = self.other.get_or_insert_with(|| expected[..self.n_as_expected].to_vec());
        if other.len() + bytes.len() > REPLY_BYTES_MAX {
            return Err(Status::resource_exhausted(format!("the reply is longer than {REPLY_BYTES_MAX} bytes")));
        }
        other.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn whole(self, expected: &[u8]) -> Ended {
        if self.other.is_none() && !expected.is_empty() && self.n_as_expected == expected.len() {
            return Ended::AsExpected;
        }
        let body = self.other.unwrap_or_else(|| expected[..self.n_as_expected].to_vec());
        message(body).map_or_else(|what| Ended::Failed(ok_but(what)), Ended::Message)
    }
}

/// What has come of an answer that is to be a stream: each message is looked at as soon as it is whole, and not kept.
#[derive(Debug, Default)]
pub(super) struct Messages {
    n: u64,
    /// The beginning of a message whose end has not come, with its prefix.
    partial: Vec<u8>,
    /// What was wrong with the first message that was wrong.
    wrong: Option<String>,
}

impl Messages {
    fn data(&mut self, mut bytes: &[u8], inspector: &Inspector) -> Result<(), Status> {
        while !bytes.is_empty() {
            if self.partial.is_empty()
                && let Some(len) = len_of(bytes)?
                && let Some((whole, rest)) = bytes.split_at_checked(len)
            {
                self.look_at(&whole[PREFIX_BYTES..], inspector);
                bytes = rest;
                continue;
            }
            let wanted = len_of(&self.partial)?.unwrap_or(PREFIX_BYTES);
            let (taken, rest) = bytes.split_at((wanted - self.partial.len()).min(bytes.len()));
            self.partial.extend_from_slice(taken);
            bytes = rest;
            if len_of(&self.partial)? == Some(self.partial.len()) {
                let whole = std::mem::take(&mut self.partial);
                self.look_at(&whole[PREFIX_BYTES..], inspector);
            }
        }
        Ok(())
    }

    fn look_at(&mut self, message: &[u8], inspector: &Inspector) {
        let verdict = inspector.inspect(self.n, message);
        self.n += 1;
        if let Err(what) = verdict {
            self.wrong.get_or_insert(what);
        }
    }

    fn whole(self) -> Ended {
        if !self.partial.is_empty() {
            return Ended::Failed(ok_but("with a message that is cut short"));
        }
        Ended::Stream { n_messages: self.n, wrong: self.wrong }
    }
}

/// How long the message is that begins here, with its prefix; `None` where the prefix is not whole.
///
/// # Errors
///
/// It is compressed, or longer than any may be.
fn len_of(bytes: &[u8]) -> Result<Option<usize>, Status> {
    let Some([compressed, len @ ..]) = bytes.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    if *compressed != 0 {
        return Err(Status::internal("the server sent a message that is compressed, which was not offered"));
    }
    let len = PREFIX_BYTES + u32::from_be_bytes(*len) as usize;
    if len > REPLY_BYTES_MAX {
        return Err(Status::resource_exhausted(format!("a message of the reply is longer than {REPLY_BYTES_MAX} bytes")));
    }
    Ok(Some(len))
}

fn no_status() -> Status {
    Status::unknown("the answer ended without grpc-status")
}

fn ok_but(what: &str) -> Status {
    Status::internal(format!("the server answered OK {what}"))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// Places and messages.
    type Seen = Vec<(u64, Vec<u8>)>;

    /// What is seen of a stream whose body comes in pieces of this size, and what it comes to.
    fn read(body: &[u8], piece: usize) -> (Seen, Result<Ended, Status>) {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (kept, mut messages) = (Rc::clone(&seen), Messages::default());
        let inspector = Inspector::new(move |place, message| {
            kept.borrow_mut().push((place, message.to_vec()));
            if message == b"bad" { Err(format!("wrong at {place}")) } else { Ok(()) }
        });
        let read = body.chunks(piece).try_for_each(|bytes| messages.data(bytes, &inspector));
        (seen.take(), read.map(|()| messages.whole()))
    }

    #[test]
    fn any_split_of_a_stream_means_the_same() {
        let long = vec![7; 300];
        let body = [&b"\0\0\0\0\x02ab\0\0\0\0\0\0\0\0\x01\x2c"[..], &long, b"\0\0\0\0\x03bad\0\0\0\0\x03bad"].concat();
        let expected = [&b"ab"[..], b"", &long, b"bad", b"bad"];
        for piece in 1..=body.len() {
            let (seen, ended) = read(&body, piece);
            assert!(seen.iter().map(|(place, message)| (*place, &message[..])).eq((0..).zip(expected)), "in pieces of {piece}: {seen:?}");
            let Ok(Ended::Stream { n_messages: 5, wrong: Some(wrong) }) = ended else { panic!("in pieces of {piece}: {ended:?}") };
            assert_eq!(wrong, "wrong at 3", "the first one is told");
        }
        assert!(matches!(read(b"", 1), (seen, Ok(Ended::Stream { n_messages: 0, wrong: None })) if seen.is_empty()));
    }

    #[test]
    fn a_bad_stream_is_told() {
        let failed = |body: &[u8], piece| match read(body, piece).1 {
            Err(status) | Ok(Ended::Failed(status)) => status.message().to_owned(),
            other => panic!("{body:?}: {other:?}"),
        };
        for piece in [1, 100] {
            assert!(failed(b"\0\0\0\0\x01a\0\0\0\0\x02b", piece).contains("cut short"));
            assert!(failed(b"\0\0\0", piece).contains("cut short"));
            assert!(failed(b"\x01\0\0\0\x01a", piece).contains("compressed"));
            assert!(failed(b"\0\0\x40\0\0", piece).contains("longer than 4194304 bytes"), "the prefix counts");
        }
    }
}
