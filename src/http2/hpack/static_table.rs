//! The static table: RFC 7541, Appendix A; and finding names in it.

use super::kind::Kind;

/// Name, value, and what the name means, from index 1 on.
#[rustfmt::skip]
pub(super) static STATIC: [(&[u8], &[u8], Kind); 61] = [
    (b":authority", b"", Kind::Authority),
    (b":method", b"GET", Kind::Method),
    (b":method", b"POST", Kind::Method),
    (b":path", b"/", Kind::Path),
    (b":path", b"/index.html", Kind::Path),
    (b":scheme", b"http", Kind::Scheme),
    (b":scheme", b"https", Kind::Scheme),
    (b":status", b"200", Kind::Malformed),
    (b":status", b"204", Kind::Malformed),
    (b":status", b"206", Kind::Malformed),
    (b":status", b"304", Kind::Malformed),
    (b":status", b"400", Kind::Malformed),
    (b":status", b"404", Kind::Malformed),
    (b":status", b"500", Kind::Malformed),
    (b"accept-charset", b"", Kind::Other),
    (b"accept-encoding", b"gzip, deflate", Kind::Other),
    (b"accept-language", b"", Kind::Other),
    (b"accept-ranges", b"", Kind::Other),
    (b"accept", b"", Kind::Other),
    (b"access-control-allow-origin", b"", Kind::Other),
    (b"age", b"", Kind::Other),
    (b"allow", b"", Kind::Other),
    (b"authorization", b"", Kind::Other),
    (b"cache-control", b"", Kind::Other),
    (b"content-disposition", b"", Kind::Other),
    (b"content-encoding", b"", Kind::Other),
    (b"content-language", b"", Kind::Other),
    (b"content-length", b"", Kind::ContentLength),
    (b"content-location", b"", Kind::Other),
    (b"content-range", b"", Kind::Other),
    (b"content-type", b"", Kind::Other),
    (b"cookie", b"", Kind::Other),
    (b"date", b"", Kind::Other),
    (b"etag", b"", Kind::Other),
    (b"expect", b"", Kind::Other),
    (b"expires", b"", Kind::Other),
    (b"from", b"", Kind::Other),
    (b"host", b"", Kind::Host),
    (b"if-match", b"", Kind::Other),
    (b"if-modified-since", b"", Kind::Other),
    (b"if-none-match", b"", Kind::Other),
    (b"if-range", b"", Kind::Other),
    (b"if-unmodified-since", b"", Kind::Other),
    (b"last-modified", b"", Kind::Other),
    (b"link", b"", Kind::Other),
    (b"location", b"", Kind::Other),
    (b"max-forwards", b"", Kind::Other),
    (b"proxy-authenticate", b"", Kind::Other),
    (b"proxy-authorization", b"", Kind::Other),
    (b"range", b"", Kind::Other),
    (b"referer", b"", Kind::Other),
    (b"refresh", b"", Kind::Other),
    (b"retry-after", b"", Kind::Other),
    (b"server", b"", Kind::Other),
    (b"set-cookie", b"", Kind::Other),
    (b"strict-transport-security", b"", Kind::Other),
    (b"transfer-encoding", b"", Kind::ConnectionSpecific),
    (b"user-agent", b"", Kind::Other),
    (b"vary", b"", Kind::Other),
    (b"via", b"", Kind::Other),
    (b"www-authenticate", b"", Kind::Other),
];

/// Slots of `SLOTS`: more than twice as many as names.
const N_SLOTS: usize = 128;

/// Names by their hash: the index of the first entry of each, at its hash or, where that is taken, behind it; 0 where there is none.
static SLOTS: [u8; N_SLOTS] = slots();

const fn slots() -> [u8; N_SLOTS] {
    let mut slots = [0; N_SLOTS];
    let mut place = 0;
    while place < STATIC.len() {
        if place == 0 || !is_same(STATIC[place].0, STATIC[place - 1].0) {
            let mut slot = hash(STATIC[place].0);
            while slots[slot] != 0 {
                slot = (slot + 1) % N_SLOTS;
            }
            slots[slot] = place as u8 + 1;
        }
        place += 1;
    }
    slots
}

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

/// Chosen so that no name of the table is more than one slot behind its hash.
#[inline]
const fn hash(name: &[u8]) -> usize {
    match name {
        [] => 0,
        [.., last] => (6 * name.len() + 17 * name[name.len() / 2] as usize + 19 * *last as usize) % N_SLOTS,
    }
}

/// The index of the first entry of this name. Entries of the same name follow one another.
#[inline]
pub(super) fn find_name(name: &[u8]) -> Option<usize> {
    let mut slot = hash(name);
    loop {
        let index = usize::from(SLOTS[slot]);
        if index == 0 {
            return None;
        }
        if STATIC[index - 1].0 == name {
            return Some(index);
        }
        slot = (slot + 1) % N_SLOTS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_where_it_first_stands() {
        for (name, ..) in &STATIC {
            let first = STATIC.iter().position(|(other, ..)| other == name).expect("it is there");
            assert_eq!(find_name(name), Some(first + 1));
        }
        for name in [&b""[..], b"a", b"grpc-status", b":pathx", b"Accept", b"\xff\xff"] {
            assert_eq!(find_name(name), None);
        }
    }

    #[test]
    fn a_name_is_at_most_one_slot_away() {
        for (slot, index) in SLOTS.iter().enumerate().filter(|(_, index)| **index != 0) {
            let at = hash(STATIC[usize::from(*index) - 1].0);
            assert!(slot == at || slot == (at + 1) % N_SLOTS, "{index}");
        }
    }

    #[test]
    fn kinds_are_what_the_rules_say() {
        for (name, value, kind) in &STATIC {
            assert_eq!(Kind::of(name, value), *kind);
        }
    }
}
