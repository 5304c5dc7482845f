//! What every call of a run is: its bytes, and which reply is right.

use std::cell::RefCell;

use prost::Message;

use crate::Error;
use crate::client::{Ended, Prepared, SAY_HELLO};
use crate::greeter::HelloReply;
use crate::load::tally::Outcome;
use crate::load::{Asked, Method, Plan};

/// How the replies of a run are judged.
#[derive(Debug)]
pub(super) enum Work {
    /// This text is right.
    Greeting(String),
    /// What decodes is right; the last reply that did needs no decoding again.
    Method { method: Method, last: RefCell<Option<Vec<u8>>> },
}

/// How much of a wrong reply is shown, in characters.
const SHOWN_MAX: usize = 200;

impl Work {
    /// The judge of a plan's replies, and its call as bytes.
    ///
    /// # Errors
    ///
    /// The plan's target or timeout means nothing to a call.
    pub(super) fn new(plan: &Plan) -> Result<(Self, Prepared), Error> {
        match &plan.asked {
            Asked::Hello(request) => {
                let greeting = format!("Hello, {}!", request.name);
                let expected = HelloReply { message: greeting.clone() }.encode_to_vec();
                let call = Prepared::new(&plan.target, SAY_HELLO, &request.encode_to_vec(), plan.timeout)?;
                Ok((Self::Greeting(greeting), call.expecting(&expected)))
            }
            Asked::Method(method) => {
                let call = Prepared::new(&plan.target, &method.path, &method.request, plan.timeout)?;
                Ok((Self::Method { method: method.clone(), last: RefCell::default() }, call))
            }
        }
    }

    #[inline]
    pub(super) fn judge(&self, how: Ended) -> Outcome {
        match how {
            Ended::AsExpected => Outcome::Right,
            Ended::Message(message) => match self {
                Self::Greeting(greeting) => judge_greeting(greeting, &message),
                Self::Method { method, last } => judge_reply(method, &mut last.borrow_mut(), message),
            },
            Ended::Failed(status) | Ended::Unprocessed(status) => Outcome::Failed(status),
        }
    }
}

/// Other bytes may still say the same: protobuf leaves some freedom to the writer.
fn judge_greeting(greeting: &str, message: &[u8]) -> Outcome {
    match HelloReply::decode(message) {
        Ok(reply) if reply.message == greeting => Outcome::Right,
        Ok(reply) => Outcome::Wrong(format!("wrong reply: {} where {} was expected", shown(&reply.message), shown(greeting))),
        Err(error) => Outcome::Wrong(format!("wrong reply: not a HelloReply: {error}")),
    }
}

fn judge_reply(method: &Method, last: &mut Option<Vec<u8>>, message: Vec<u8>) -> Outcome {
    if last.as_ref() == Some(&message) {
        return Outcome::Right;
    }
    match method.reject(&message) {
        Some(why) => Outcome::Wrong(why),
        None => {
            *last = Some(message);
            Outcome::Right
        }
    }
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
    use super::*;

    #[test]
    fn a_reply_in_other_bytes_is_right() {
        let work = Work::Greeting("Hello, Joe!".into());
        // The field twice, of which the last counts; and one that is unknown.
        let message = b"\x0a\x03abc\x0a\x0bHello, Joe!\x10\x05".to_vec();
        assert!(matches!(work.judge(Ended::Message(message)), Outcome::Right));
        let Outcome::Wrong(what) = work.judge(Ended::Message(b"\x0a\x03Bye".to_vec())) else { panic!("it is wrong") };
        assert_eq!(what, r#"wrong reply: "Bye" where "Hello, Joe!" was expected"#);
        let Outcome::Wrong(what) = work.judge(Ended::Message(b"\x0a\x7f".to_vec())) else { panic!("it is wrong") };
        assert!(what.starts_with("wrong reply: not a HelloReply: "), "{what}");
    }

    #[test]
    fn long_texts_are_cut() {
        let text = shown(&"ü".repeat(1000));
        assert_eq!(text, format!("\"{}\"… (2000 bytes)", "ü".repeat(SHOWN_MAX)));
    }
}
