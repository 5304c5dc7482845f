//! The last header blocks that were decoded, and what they said: clients send the same few again and again.

use super::super::head::Head;
use super::super::hpack::{Decoder, FieldId};

/// The last header blocks that were decoded, each with the head that it came to.
///
/// A block that changes nothing in the dynamic table means the same again, for as long as the table stays as it is: that costs a comparison. Where the table
/// has changed, or the block's varying field has, the block is [sketched](Decoder::sketch): one that has the same fields comes to the same head with
/// another value, and nothing is copied, judged or allocated.
#[derive(Debug, Default)]
pub(super) struct HeadCache {
    known: [Option<KnownHead>; Self::N],
    next: usize,
    /// What the block at hand has.
    ids: Vec<FieldId>,
}

#[derive(Debug)]
struct KnownHead {
    block: Box<[u8]>,
    /// In which the block means the head; `None` for a block that changes the table.
    generation: Option<u64>,
    /// Empty for a head that other blocks cannot mean: it has fields that no table has.
    ids: Box<[FieldId]>,
    head: Head,
}

impl HeadCache {
    /// Most clients call one or two methods at a time.
    const N: usize = 2;

    /// The head of a block that is known as it stands.
    #[inline]
    pub(super) fn find(&self, block: &[u8], generation: u64) -> Option<Head> {
        let known = self.known.iter().flatten().find(|known| known.generation == Some(generation) && *known.block == *block)?;
        Some(known.head.clone())
    }

    /// The head of a block whose fields are known, but for the value of the varying one. The decoder has then done what the block does to its table; otherwise
    /// nothing.
    pub(super) fn find_sketched(&mut self, block: &[u8], decoder: &mut Decoder) -> Option<Head> {
        let Self { known, ids, .. } = self;
        // Not worth a look before anything is known.
        known[0].as_ref()?;
        let sketch = decoder.sketch(block, ids)?;
        let known = known.iter_mut().flatten().find(|known| *known.ids == **ids && !ids.is_empty())?;
        let head = match decoder.sketched_value(&sketch) {
            None => known.head.clone(),
            Some(value) => known.head.with_varying(value)?,
        };
        if sketch.is_constant() {
            *known = KnownHead {
                block: block.into(),
                generation: Some(decoder.generation()),
                ids: std::mem::take(&mut known.ids),
                head: head.clone(),
            };
        }
        decoder.accept(sketch);
        Some(head)
    }

    /// Keeps what a block came to. `ids` are its fields, if all of them have one; `generation` is the table's, if the block has not changed it.
    pub(super) fn keep(&mut self, block: &[u8], generation: Option<u64>, ids: Option<&[FieldId]>, head: &Head) {
        if generation.is_some() || ids.is_some() {
            let ids = ids.unwrap_or_default().into();
            self.known[self.next] = Some(KnownHead { block: block.into(), generation, ids, head: head.clone() });
            self.next = (self.next + 1) % Self::N;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::VecDeque;
    use std::time::Instant;

    use super::super::super::{Connection, ErrorCode, Event, Limits};
    use super::*;

    type Field = (&'static str, String);

    /// A client's encoder, as the RFC has it: a list of entries, the newest first.
    struct Client {
        connection: Connection,
        entries: VecDeque<Field>,
        table_bytes_max: usize,
        id: u32,
    }

    /// How a field that is in no table is sent.
    #[derive(Clone, Copy)]
    enum Literal {
        Enters,
        Passes,
    }

    impl Client {
        fn new(table_bytes_max: usize) -> Self {
            let mut connection = Connection::new(Limits::default().into(), Instant::now());
            let mut opening = &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..];
            assert!(connection.receive(&mut opening).is_none());
            Self { connection, entries: VecDeque::new(), table_bytes_max, id: 1 }
        }

        /// Sends a request, and returns what it came to.
        fn request(&mut self, fields: &[(Field, Literal)]) -> Head {
            let mut block = Vec::new();
            if self.id == 1 {
                block.extend_from_slice(&[0x3f, (self.table_bytes_max - 31) as u8 & 0x7f | 0x80, ((self.table_bytes_max - 31) >> 7) as u8]);
            }
            block.extend_from_slice(&[0x83, 0x86]);
            for (field, literal) in fields {
                self.field(&mut block, field, *literal);
            }
            let mut frame = vec![0, (block.len() >> 8) as u8, block.len() as u8, 1, 5];
            frame.extend_from_slice(&self.id.to_be_bytes());
            frame.extend_from_slice(&block);
            self.id += 2;
            let mut input = &frame[..];
            let Some(Event::Request { stream, head, .. }) = self.connection.receive(&mut input) else {
                panic!("no request: {:?}", self.connection.closing());
            };
            self.connection.send_head(stream, 200, super::super::super::Fields::Static(&[]), true);
            self.connection.reset(stream, ErrorCode::CANCEL);
            self.connection.take_output(Vec::new());
            head
        }

        fn field(&mut self, block: &mut Vec<u8>, field: &Field, literal: Literal) {
            if let Some(place) = self.entries.iter().position(|entry| entry == field) {
                return integer(block, 62 + place, 7, 0x80);
            }
            let (n_bits, pattern) = match literal {
                Literal::Enters => (6, 0x40),
                Literal::Passes => (4, 0),
            };
            match self.entries.iter().position(|entry| entry.0 == field.0) {
                Some(place) => integer(block, 62 + place, n_bits, pattern),
                None => {
                    block.push(pattern);
                    integer(block, field.0.len(), 7, 0);
                    block.extend_from_slice(field.0.as_bytes());
                }
            }
            integer(block, field.1.len(), 7, 0);
            block.extend_from_slice(field.1.as_bytes());
            if let Literal::Enters = literal {
                self.entries.push_front(field.clone());
                let size = |entries: &VecDeque<Field>| entries.iter().map(|(name, value)| name.len() + value.len() + 32).sum::<usize>();
                while size(&self.entries) > self.table_bytes_max {
                    self.entries.pop_back();
                }
            }
        }
    }

    fn integer(out: &mut Vec<u8>, value: usize, n_bits: u32, pattern: u8) {
        let mask = (1 << n_bits) - 1;
        if value < mask {
            return out.push(pattern | value as u8);
        }
        out.push(pattern | mask as u8);
        let mut rest = value - mask;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }

    fn common(path: &str) -> Vec<(Field, Literal)> {
        let fields = [(":path", path), (":authority", "localhost:1"), ("content-type", "application/grpc"), ("te", "trailers")];
        fields.map(|(name, value)| ((name, value.to_owned()), Literal::Enters)).into()
    }

    /// Counts the heads that share nothing with an earlier one.
    fn is_new(head: &Head) -> bool {
        let made = Cell::new(false);
        head.memo(|_| made.set(true));
        made.get()
    }

    /// Whatever the order of known blocks, new entries, evictions and deadlines: what a head says is what the client sent.
    #[test]
    fn a_head_says_what_was_sent() {
        for table_bytes_max in [4096, 400, 300, 200, 60] {
            let mut client = Client::new(table_bytes_max);
            let mut seed = table_bytes_max as u32;
            let mut random = |n: u32| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 16) % n
            };
            for _ in 0..3000 {
                let literal = |n| if n == 0 { Literal::Passes } else { Literal::Enters };
                let mut fields = common(["/a/B", "/a/C", "/a/B", "/a/B"][random(4) as usize]);
                let own = match random(8) {
                    0 => None,
                    1 => Some("123456789012S".to_owned()),
                    2 => Some(String::new()),
                    3 => Some(["1S", "2S"][random(2) as usize].to_owned()),
                    _ => Some(format!("{}u", random(9_999))),
                };
                for _ in 0..=random(20) / 19 {
                    if let Some(own) = &own {
                        let own = if random(9) == 0 { "7H".to_owned() } else { own.clone() };
                        fields.push((("grpc-timeout", own), literal(random(3))));
                    }
                }
                if random(3) > 0 {
                    fields.push((("authorization", ["x", "y"][(random(30) / 29) as usize].to_owned()), literal(random(20))));
                }
                let head = client.request(&fields);
                let path = fields.remove(0).0.1;
                let authority = fields.remove(0).0.1;
                assert_eq!((head.path(), head.authority()), (path.as_bytes(), Some(authority.as_bytes())));
                let mut sent: Vec<_> = fields.iter().map(|((name, value), _)| (*name, value.as_str())).collect();
                // The first deadline, if it is short, stands before the rest.
                if let Some(place) = sent.iter().position(|(name, value)| *name == "grpc-timeout" && (1..=11).contains(&value.len()))
                    && sent.iter().position(|(name, _)| *name == "grpc-timeout") == Some(place)
                {
                    let own = sent.remove(place);
                    assert_eq!(head.varying(), Some(own.1.as_bytes()));
                    sent.insert(0, own);
                } else {
                    assert_eq!(head.varying(), None);
                }
                let said: Vec<_> =
                    head.fields().map(|(name, value)| (std::str::from_utf8(name).unwrap(), std::str::from_utf8(value).unwrap())).collect();
                assert_eq!(said, sent);
            }
        }
    }

    /// As grpc-go sends: every deadline enters the table, metadata follows it, and old entries are evicted and sent again.
    #[test]
    fn deadlines_that_enter_the_table_share_their_heads() {
        for literal in [Literal::Enters, Literal::Passes] {
            let mut client = Client::new(4096);
            let mut n_new = 0;
            for i in 0..1000 {
                let mut fields = common("/a/B");
                fields.push((("grpc-timeout", format!("{}u", 900_000 + i)), literal));
                fields.push((("authorization", "Bearer of a token".to_owned()), Literal::Enters));
                n_new += u32::from(is_new(&client.request(&fields)));
            }
            // 4096 bytes are 77 deadlines; when the other fields have gone by, they are sent once more.
            assert!(n_new <= 1000 / 77 * 2 + 2, "{n_new}");
        }
    }

    /// A table that has changed does not make known fields new ones.
    #[test]
    fn another_method_does_not_spoil_what_is_known() {
        let mut client = Client::new(4096);
        assert!(is_new(&client.request(&common("/a/B"))));
        assert!(is_new(&client.request(&common("/a/C"))));
        for path in ["/a/B", "/a/C", "/a/C", "/a/B", "/a/B"] {
            assert!(!is_new(&client.request(&common(path))), "{path}");
        }
    }

    /// A block of the same fields may still be over the limit by the varying value alone.
    #[test]
    fn a_limit_holds_for_known_fields_too() {
        let fields = |timeout: &str| {
            let mut fields = common("/a/B");
            fields.push((("grpc-timeout", timeout.to_owned()), Literal::Passes));
            fields
        };
        let mut client = Client::new(4096);
        client.request(&fields("1S"));
        let sent = |fields: &[(Field, Literal)]| fields.iter().map(|((name, value), _)| name.len() + value.len() + 32).sum::<usize>();
        // `:method` and `:scheme` count too.
        let exactly = sent(&fields("1S")) + (7 + 4 + 32) + (7 + 4 + 32);
        let mut client = Client::new(4096);
        let limits = Limits { header_list_bytes_max: exactly as u32, ..Limits::default() };
        client.connection = Connection::new(limits.into(), Instant::now());
        assert!(client.connection.receive(&mut &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..]).is_none());
        client.request(&fields("1S"));
        client.request(&fields("2S"));
        let over = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| client.request(&fields("10S"))));
        assert!(over.is_err(), "a byte more than the limit is no request");
    }
}
