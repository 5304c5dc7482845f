//! What a fault comes to, by the rules of HTTP/2 and gRPC; and where hyper judges otherwise, and why that is allowed.
//!
//! gRPC's rules are one piece of code above both engines, so that they may differ only in what HTTP/2 says of a request.

use crate::call::{Call, Fault};
use crate::verdict::Verdict;

/// What comes of a call, and of a good one behind it.
type Verdicts = [Verdict; 2];

const PROTOCOL_ERROR: u32 = 1;

// Codes of gRPC.
const INVALID_ARGUMENT: u32 = 3;
const DEADLINE_EXCEEDED: u32 = 4;
const RESOURCE_EXHAUSTED: u32 = 8;
const UNIMPLEMENTED: u32 = 12;
const INTERNAL: u32 = 13;

/// What the native engine makes of a fault: the rule. `None`: the call is in order all the same.
fn rule(fault: Fault) -> Option<Verdict> {
    use Fault as F;
    Some(match fault {
        // statuscodes.md: what cannot be parsed.
        F::FlagTwo | F::CompressedWithoutEncoding | F::TruncatedMessage | F::TruncatedPrefix | F::BadProtobuf => Verdict::Status(INTERNAL),
        // PROTOCOL-HTTP2, and grpc-go's answer to them.
        F::TimeoutGarbage | F::TimeoutTooLong | F::BadBase64 => Verdict::Status(INTERNAL),
        // statuscodes.md: another number of messages than the method has, and what the server does not know.
        F::NoMessage | F::TwoMessages | F::OctetsBehindTheMessage => Verdict::Status(UNIMPLEMENTED),
        F::UnknownEncoding | F::UnknownMethod | F::UnknownService | F::PathWithQuery => Verdict::Status(UNIMPLEMENTED),
        F::AnnouncesTooMuch | F::ListTooLarge | F::TooManyFields => Verdict::Status(RESOURCE_EXHAUSTED),
        F::TimeoutZero | F::DeadlinePasses => Verdict::Status(DEADLINE_EXCEEDED),
        F::SleepsTooLong => Verdict::Status(INVALID_ARGUMENT),
        F::Get => Verdict::Http(405),
        F::WrongContentType | F::NoContentType | F::ContentTypeOfGrpcWeb => Verdict::Http(415),
        F::NoTe => Verdict::Http(400),
        // RFC 9113, 8.1.1: malformed requests are errors of their streams.
        F::PathWithoutSlash | F::EmptyPath | F::NoPath | F::PathTwice | F::NoMethod => Verdict::Reset(PROTOCOL_ERROR),
        F::UpperCaseName | F::NameWithSpace | F::SpaceAtValuesEnd | F::ControlInValue => Verdict::Reset(PROTOCOL_ERROR),
        F::ConnectionField | F::TransferEncoding | F::TeGzip => Verdict::Reset(PROTOCOL_ERROR),
        F::PseudoBehindField | F::UnknownPseudo | F::PseudoInTrailers | F::TrailersWithoutEnd => Verdict::Reset(PROTOCOL_ERROR),
        F::TwoHosts | F::HostIsNotAuthority => Verdict::Reset(PROTOCOL_ERROR),
        F::ContentLengthTooLarge | F::ContentLengthTooSmall | F::ContentLengthNoNumber => Verdict::Reset(PROTOCOL_ERROR),
        F::ResetByClient => Verdict::Unanswered,
        // The first counts.
        F::TimeoutTwice => return None,
    })
}

/// What hyper may make of a fault beside keeping to the rule, and why that is so.
fn of_hyper(fault: Fault) -> Option<(Verdict, &'static str)> {
    use Fault as F;
    Some(match fault {
        F::UpperCaseName | F::NameWithSpace | F::UnknownPseudo | F::ControlInValue => {
            (Verdict::Connection(PROTOCOL_ERROR), "h2 cannot make such a field's types, and ends the connection (reliability: row 27)")
        }
        F::PseudoInTrailers | F::SpaceAtValuesEnd | F::TwoHosts | F::HostIsNotAuthority => {
            (Verdict::Ok(Vec::new()), "h2 does not check it, or not before the call is answered (reliability: row 27)")
        }
        F::TooManyFields => (Verdict::Ok(Vec::new()), "h2 counts a list's octets, not its fields (reliability: 2.1)"),
        F::ListTooLarge => (Verdict::Http(431), "h2 answers by itself, before gRPC is asked (reliability: row 22)"),
        _ => return None,
    })
}

/// What two engines, native and hyper, have made of a call with a fault: in order, or a complaint.
pub(crate) fn check(call: &Call, fault: Fault, [native, hyper]: &[Verdicts; 2]) -> Result<(), String> {
    let reply = call.expected_reply();
    let by_rule = rule(fault).unwrap_or(Verdict::Ok(reply.clone()));
    let (also, why) = of_hyper(fault).unwrap_or((by_rule.clone(), "both keep to the rule"));
    let also = if let Verdict::Ok(_) = also { Verdict::Ok(reply) } else { also };
    for (engine, verdicts, wanted) in [("native", native, [&by_rule; 2]), ("hyper", hyper, [&by_rule, &also])] {
        // h2 judges what it finds malformed in HEADERS before CONTINUATION has come: it resets the stream and ends the connection at the
        // CONTINUATION, of which it then knows nothing; or it forgets the fault with the fragment.
        if engine == "hyper" && call.is_in_parts() && matches!(by_rule, Verdict::Reset(_)) {
            continue;
        }
        if !wanted.contains(&&verdicts[0]) {
            return Err(format!("{fault:?} is {:?} on {engine}, not {wanted:?}: {why}", verdicts[0]));
        }
        // A connection that lives goes on as if nothing had been.
        if matches!(verdicts[0], Verdict::Connection(_)) == matches!(verdicts[1], Verdict::Ok(_)) {
            return Err(format!("behind {fault:?}, a good call is {:?} on {engine}", verdicts[1]));
        }
    }
    Ok(())
}
