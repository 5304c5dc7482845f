//! What a client can make of an answer: its class, not its wording.

use loopswap::http2::fuzzing::Decoder;

/// The end of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// OK, with these bytes.
    Ok(Vec<u8>),
    /// Another status of gRPC.
    Status(u32),
    /// An HTTP status that is no success.
    Http(u32),
    /// RST_STREAM before an end, with this code.
    Reset(u32),
    /// The connection ended in an error, with this code, and the call with it.
    Connection(u32),
    /// Nothing has come, or the answer has no end.
    Unanswered,
}

#[derive(Debug, Default)]
struct Answer {
    http_status: Option<u32>,
    grpc_status: Option<u32>,
    body: Vec<u8>,
    is_over: bool,
    reset: Option<u32>,
}

/// The verdicts on two streams.
///
/// # Panics
///
/// When these are no frames, or their header blocks mean nothing.
pub(crate) fn of(output: &[u8], ids: [u32; 2]) -> [Verdict; 2] {
    let mut answers = [Answer::default(), Answer::default()];
    let mut goaway = None;
    let mut decoder = Decoder::new(4096);
    let mut rest = output;
    while let Some((header, more)) = rest.split_first_chunk::<9>() {
        let [a, b, c, kind, flags, id @ ..] = *header;
        let (payload, more) = more.split_at(u32::from_be_bytes([0, a, b, c]) as usize);
        rest = more;
        let place = ids.iter().position(|known| *known == u32::from_be_bytes(id));
        let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().expect("four octets"));
        match (kind, place) {
            (0, Some(i)) => answers[i].body.extend_from_slice(payload),
            (1, place) => {
                assert!(flags & 4 != 0, "a block in one frame");
                let mut ignored = Answer::default();
                let answer = place.map_or(&mut ignored, |i| &mut answers[i]);
                let number = |value: &[u8]| std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
                assert!(decoder.decode(payload, |name, value| match name {
                    b":status" => answer.http_status = number(value),
                    b"grpc-status" => answer.grpc_status = number(value),
                    _ => {}
                }));
            }
            (3, Some(i)) => answers[i].reset = answers[i].reset.or(Some(code(0))),
            (7, _) if code(4) != 0 => goaway = Some(code(4)),
            _ => {}
        }
        if let (0 | 1, Some(i)) = (kind, place) {
            answers[i].is_over |= flags & 1 != 0;
        }
    }
    assert!(rest.is_empty(), "half a frame");
    answers.map(|answer| match answer {
        Answer { is_over: true, http_status: Some(200), grpc_status: Some(0), body, .. } => Verdict::Ok(body),
        Answer { is_over: true, http_status: Some(200), grpc_status: Some(status), .. } => Verdict::Status(status),
        Answer { is_over: true, http_status: Some(status), .. } => Verdict::Http(status),
        Answer { reset: Some(code), .. } => Verdict::Reset(code),
        _ => goaway.map_or(Verdict::Unanswered, Verdict::Connection),
    })
}
