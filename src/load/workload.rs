//! What every call of a run is: its method and its request; and which replies to it are right.

use std::cell::RefCell;
use std::collections::HashSet;
use std::time::Duration;

use prost::Message;

use crate::Error;
use crate::blocks::{AppendReply, AppendRequest, ReadReply, ReadRequest, holds};
use crate::client::{Prepared, SAY_HELLO, Target};
use crate::greeter::{HelloReply, HelloRequest};

/// The methods of the Blocks.
const READ: &str = "/blocks.Blocks/Read";
const APPEND: &str = "/blocks.Blocks/Append";

/// A call that can be made again and again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Workload {
    /// The Greeter says hello to the one who asks.
    SayHello(HelloRequest),
    /// The Blocks read a block; without a number a random one.
    ReadBlock(Option<u64>),
    /// The Blocks append a block.
    AppendBlock,
}

impl Workload {
    /// The call as bytes.
    ///
    /// # Errors
    ///
    /// The target's name cannot stand in `:authority`; the timeout leaves no time.
    pub(super) fn prepare(&self, target: &Target, timeout: Duration) -> Result<Prepared, Error> {
        match self {
            Self::SayHello(request) => Prepared::new(target, SAY_HELLO, request, timeout),
            Self::ReadBlock(block) => Prepared::new(target, READ, &ReadRequest { block: *block }, timeout),
            Self::AppendBlock => Prepared::new(target, APPEND, &AppendRequest {}, timeout),
        }
    }

    /// Who checks its replies.
    pub(super) fn judge(&self) -> Judge {
        match self {
            Self::SayHello(request) => {
                let greeting = format!("Hello, {}!", request.name);
                Judge::Greeting { encoded: HelloReply { message: greeting.clone() }.encode_to_vec(), greeting }
            }
            Self::ReadBlock(block) => Judge::Block { asked_for: *block },
            Self::AppendBlock => Judge::Appended { seen: RefCell::default() },
        }
    }
}

/// Knows the right replies to a workload.
#[derive(Debug)]
pub(super) enum Judge {
    Greeting {
        greeting: String,
        /// A reply with these bytes needs no decoding.
        encoded: Vec<u8>,
    },
    Block {
        asked_for: Option<u64>,
    },
    Appended {
        /// The numbers so far, some 16 bytes a call: each may come once.
        seen: RefCell<HashSet<u64>>,
    },
}

impl Judge {
    /// Whether a reply's message is right; if not, what is wrong.
    pub(super) fn check(&self, message: &[u8]) -> Result<(), String> {
        match self {
            Self::Greeting { greeting, encoded } => check_greeting(message, greeting, encoded),
            Self::Block { asked_for } => check_block(message, *asked_for),
            Self::Appended { seen } => {
                let AppendReply { block } =
                    AppendReply::decode(message).map_err(|error| format!("wrong reply: not an AppendReply: {error}"))?;
                if seen.borrow_mut().insert(block) { Ok(()) } else { Err(format!("wrong reply: block {block} was appended twice")) }
            }
        }
    }
}

fn check_greeting(message: &[u8], greeting: &str, encoded: &[u8]) -> Result<(), String> {
    if message == encoded {
        return Ok(());
    }
    match HelloReply::decode(message) {
        Ok(reply) if reply.message == greeting => Ok(()),
        Ok(reply) => Err(format!("wrong reply: {:?} where {greeting:?} was expected", reply.message)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::contents;

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
}
