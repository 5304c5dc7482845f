//! What every call of a run is: its method and its request; and which replies to it are right.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use prost::Message;

use crate::Error;
use crate::blocks::{AppendReply, AppendRequest, ReadReply, ReadRequest, contents, holds};
use crate::client::{Ended, Inspector, Prepared, SAY_HELLO};
use crate::greeter::{HelloReply, HelloRequest};
use crate::load::promise::Promise;
use crate::load::tally::Outcome;
use crate::load::{Method, Plan};

/// The methods of the Blocks.
const READ: &str = "/blocks.Blocks/Read";
const APPEND: &str = "/blocks.Blocks/Append";

/// A call that can be made again and again.
#[derive(Clone, Debug)]
pub(crate) enum Workload {
    /// The Greeter says hello to the one who asks.
    SayHello(HelloRequest),
    /// The Blocks read a block; without a number a random one.
    ReadBlock(Option<u64>),
    /// The Blocks append a block, and one is uploaded.
    AppendBlock,
    /// A method of somebody's service, whose reply is of a known type.
    Method(Method),
}

impl Workload {
    fn path(&self) -> &str {
        match self {
            Self::SayHello(_) => SAY_HELLO,
            Self::ReadBlock(_) => READ,
            Self::AppendBlock => APPEND,
            Self::Method(method) => &method.path,
        }
    }

    /// The request's messages.
    fn messages(&self) -> Vec<Vec<u8>> {
        match self {
            Self::SayHello(request) => vec![request.encode_to_vec()],
            Self::ReadBlock(block) => vec![ReadRequest { block: *block }.encode_to_vec()],
            Self::AppendBlock => vec![AppendRequest { data: contents(0) }.encode_to_vec()],
            Self::Method(method) => method.requests.clone(),
        }
    }

    /// How many messages a call sends, where requests or answers are streams.
    pub(super) fn sends(&self) -> Option<usize> {
        match self {
            Self::Method(method) if method.streams_requests || method.streams_replies => Some(method.requests.len()),
            _ => None,
        }
    }

    fn judge(&self) -> Judge {
        match self {
            Self::SayHello(request) => Judge::Greeting(format!("Hello, {}!", request.name)),
            Self::ReadBlock(block) => Judge::Block { asked_for: *block },
            Self::AppendBlock => Judge::Appended { seen: RefCell::default() },
            Self::Method(method) => Judge::Decodes(Rc::new(Replies { method: method.clone(), last: RefCell::default() })),
        }
    }
}

/// Knows the right replies to a workload.
#[derive(Debug)]
pub(super) enum Judge {
    /// This text.
    Greeting(String),
    /// A block with its contents; this one, if one was named.
    Block { asked_for: Option<u64> },
    /// A number that was not seen before: these were, at some 16 bytes a call.
    Appended { seen: RefCell<HashSet<u64>> },
    /// What decodes, and keeps what was promised.
    Decodes(Rc<Replies>),
}

/// The replies of a method from a file.
#[derive(Debug)]
pub(super) struct Replies {
    method: Method,
    /// The last one that was right, with what was promised of it: the same again needs no decoding.
    last: RefCell<(Option<Promise>, Vec<u8>)>,
}

impl Replies {
    /// Whether the reply at this place of its answer is right; if not, what is wrong.
    fn check(&self, place: u64, message: &[u8]) -> Result<(), String> {
        let mut last = self.last.borrow_mut();
        let promise = self.method.promise(place);
        if promise == last.0 && message == last.1 {
            return Ok(());
        }
        if let Some(why) = self.method.reject(place, message) {
            return Err(why);
        }
        last.0 = promise;
        last.1.clear();
        last.1.extend_from_slice(message);
        Ok(())
    }

    /// Whether an answer has as many messages as it is to have.
    fn check_number(&self, n_messages: u64) -> Result<(), String> {
        match self.method.n_replies {
            Some(expected) if expected != n_messages => {
                Err(format!("wrong reply: a stream of {n_messages} messages where {expected} were expected"))
            }
            _ => Ok(()),
        }
    }
}

/// How much of a wrong reply is shown, in characters.
const SHOWN_MAX: usize = 200;

impl Judge {
    /// The judge of a plan's replies, and its call as bytes.
    ///
    /// # Errors
    ///
    /// The plan's target or timeout means nothing to a call.
    pub(super) fn new(plan: &Plan) -> Result<(Self, Prepared), Error> {
        let Plan { workload, target, timeout, .. } = plan;
        let call = Prepared::new(target, workload.path(), &[], *timeout)?.sending(&workload.messages()).worded(plan.wording);
        let judge = workload.judge();
        let call = match &judge {
            Self::Greeting(message) => call.expecting(&HelloReply { message: message.clone() }.encode_to_vec()),
            Self::Decodes(replies) if replies.method.streams_replies => {
                let replies = Rc::clone(replies);
                call.inspecting(Inspector::new(move |place, message| replies.check(place, message)))
            }
            Self::Block { .. } | Self::Appended { .. } | Self::Decodes(_) => call,
        };
        Ok((judge, call))
    }

    #[inline]
    pub(super) fn outcome(&self, how: Ended) -> Outcome {
        match how {
            Ended::AsExpected => Outcome::Right { n_messages: 1 },
            Ended::Message(message) => self.check(&message).map_or_else(Outcome::Wrong, |()| Outcome::Right { n_messages: 1 }),
            Ended::Stream { wrong: Some(what), .. } => Outcome::Wrong(what),
            Ended::Stream { n_messages, wrong: None } => {
                self.check_number(n_messages).map_or_else(Outcome::Wrong, |()| Outcome::Right { n_messages })
            }
            Ended::Failed(status) | Ended::Unprocessed(status) => Outcome::Failed(status),
        }
    }

    /// Whether a reply's message is right; if not, what is wrong.
    fn check(&self, message: &[u8]) -> Result<(), String> {
        match self {
            Self::Greeting(greeting) => check_greeting(message, greeting),
            Self::Block { asked_for } => check_block(message, *asked_for),
            Self::Appended { seen } => {
                let AppendReply { block } =
                    AppendReply::decode(message).map_err(|error| format!("wrong reply: not an AppendReply: {error}"))?;
                if seen.borrow_mut().insert(block) { Ok(()) } else { Err(format!("wrong reply: block {block} was appended twice")) }
            }
            Self::Decodes(replies) => replies.check(0, message),
        }
    }

    /// Whether a stream has as many messages as it is to have. Each was looked at when it came.
    fn check_number(&self, n_messages: u64) -> Result<(), String> {
        if let Self::Decodes(replies) = self { replies.check_number(n_messages) } else { Ok(()) }
    }
}

/// Other bytes than the expected ones may still say the same: protobuf leaves some freedom to the writer.
fn check_greeting(message: &[u8], greeting: &str) -> Result<(), String> {
    match HelloReply::decode(message) {
        Ok(reply) if reply.message == greeting => Ok(()),
        Ok(reply) => Err(format!("wrong reply: {} where {} was expected", shown(&reply.message), shown(greeting))),
        Err(error) => Err(format!("wrong reply: not a HelloReply: {error}")),
    }
}

fn check_block(message: &[u8], asked_for: Option<u64>) -> Result<(), String> {
    let ReadReply { block, data } = ReadReply::decode(message).map_err(|error| format!("wrong reply: not a ReadReply: {error}"))?;
    if let Some(asked_for) = asked_for.filter(|asked_for| *asked_for != block) {
        return Err(format!("wrong reply: block {block} where {asked_for} was asked for"));
    }
    if holds(block, &data) { Ok(()) } else { Err(format!("wrong reply: {} bytes that are not what block {block} holds", data.len())) }
}

/// A text in quotes; of a long one the beginning, and how long it is.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        None => format!("{text:?}"),
        Some((at, _)) => format!("{:?}… ({} bytes)", &text[..at], text.len()),
    }
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    #[test]
    fn a_greeting_is_right_in_any_encoding() {
        let judge = Workload::SayHello(HelloRequest { name: "Joe".into(), sleep_millisecond: 0 }).judge();
        assert_eq!(judge.check(b"\x0a\x0bHello, Joe!"), Ok(()));
        // The field twice, of which the last counts; and one that is unknown.
        assert_eq!(judge.check(b"\x0a\x03abc\x0a\x0bHello, Joe!\x10\x05"), Ok(()));
        assert_eq!(judge.check(b"\x0a\x03Bye").unwrap_err(), r#"wrong reply: "Bye" where "Hello, Joe!" was expected"#);
        assert!(judge.check(b"\x0a\x7f").unwrap_err().starts_with("wrong reply: not a HelloReply: "));
    }

    #[test]
    fn a_block_is_right_with_its_own_contents() {
        let reply = |block, data| ReadReply { block, data }.encode_to_vec();
        let any = Workload::ReadBlock(None).judge();
        assert_eq!(any.check(&reply(7, contents(7))), Ok(()));
        assert_eq!(any.check(&reply(7, contents(8))).unwrap_err(), "wrong reply: 4096 bytes that are not what block 7 holds");
        assert!(any.check(&reply(7, Vec::new())).is_err() && any.check(b"\x12\x7f").is_err());
        let seventh = Workload::ReadBlock(Some(7)).judge();
        assert_eq!(seventh.check(&reply(7, contents(7))), Ok(()));
        assert_eq!(seventh.check(&reply(8, contents(8))).unwrap_err(), "wrong reply: block 8 where 7 was asked for");
    }

    #[test]
    fn each_append_has_a_block_of_its_own() {
        let judge = Workload::AppendBlock.judge();
        let reply = |block| AppendReply { block }.encode_to_vec();
        assert_eq!((judge.check(&reply(7)), judge.check(&reply(8))), (Ok(()), Ok(())));
        assert_eq!(judge.check(&reply(7)).unwrap_err(), "wrong reply: block 7 was appended twice");
        assert!(judge.check(b"\x08").is_err());
    }

    #[test]
    fn how_a_call_ended_is_kept() {
        let judge = Workload::ReadBlock(None).judge();
        assert!(matches!(judge.outcome(Ended::AsExpected), Outcome::Right { n_messages: 1 }));
        assert!(matches!(judge.outcome(Ended::Message(b"\x12\x7f".to_vec())), Outcome::Wrong(_)));
        assert!(matches!(judge.outcome(Ended::Failed(Status::out_of_range(""))), Outcome::Failed(_)));
    }

    #[test]
    fn long_texts_are_cut() {
        let text = shown(&"ü".repeat(1000));
        assert_eq!(text, format!("\"{}\"… (2000 bytes)", "ü".repeat(SHOWN_MAX)));
    }
}
