//! What we know of a field by its name and octets, judged once: when it enters the table, not whenever it is referred to.

/// The one field whose value clients change from call to call while the rest of the block stays: a deadline, as the time that is left. What it means is not
/// ours to know; requests that differ by it alone share the rest of their heads.
pub(crate) const VARYING: &[u8] = b"grpc-timeout";

/// What a field of a request is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Method,
    Scheme,
    Authority,
    Path,
    Host,
    ContentLength,
    Te,
    /// [`VARYING`].
    Varying,
    /// It speaks of the connection, and has no place in HTTP/2 (RFC 9113, 8.2.2).
    ConnectionSpecific,
    /// Octets that no field may have (8.2.1), or a pseudo-header field that no request has (8.3).
    Malformed,
    Other,
}

impl Kind {
    /// Of a field that has been sent as a literal.
    pub(super) fn of(name: &[u8], value: &[u8]) -> Self {
        Self::of_name(name).with(value)
    }

    /// Of a field that has its name from an entry of this kind.
    #[inline]
    pub(super) fn of_next(self, name: &[u8], value: &[u8]) -> Self {
        match self {
            // It may have been the value's fault.
            Self::Malformed => Self::of(name, value),
            kind => kind.with(value),
        }
    }

    fn of_name(name: &[u8]) -> Self {
        match name {
            b":method" => Self::Method,
            b":scheme" => Self::Scheme,
            b":authority" => Self::Authority,
            b":path" => Self::Path,
            b"host" => Self::Host,
            b"content-length" => Self::ContentLength,
            b"te" => Self::Te,
            VARYING => Self::Varying,
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => Self::ConnectionSpecific,
            _ if is_name(name) => Self::Other,
            _ => Self::Malformed,
        }
    }

    #[inline]
    fn with(self, value: &[u8]) -> Self {
        if is_value(value) { self } else { Self::Malformed }
    }
}

/// A token (RFC 9110, 5.6.2) without capital letters. A colon is none of its octets, so an unknown pseudo-header field is no name.
fn is_name(name: &[u8]) -> bool {
    const ALLOWED: [bool; 256] = {
        let mut allowed = [false; 256];
        let octets = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
        let mut i = 0;
        while i < octets.len() {
            allowed[octets[i] as usize] = true;
            i += 1;
        }
        allowed
    };
    !name.is_empty() && name.iter().all(|octet| ALLOWED[usize::from(*octet)])
}

/// RFC 9110, 5.5: no control characters but tabs, and no white space at its ends.
fn is_value(value: &[u8]) -> bool {
    let is_space = |octet: Option<&u8>| matches!(octet, Some(b' ' | b'\t'));
    // Looked at to the end, whatever is found: so the compiler takes many octets at once.
    let is_control = |octet: u8| (octet < b' ' && octet != b'\t') | (octet == 0x7f);
    !is_space(value.first()) && !is_space(value.last()) && !value.iter().fold(false, |any, octet| any | is_control(*octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_octets_but_those_of_tokens() {
        for octet in 0..=255_u8 {
            let allowed = octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&octet);
            let expected = if allowed { Kind::Other } else { Kind::Malformed };
            for name in [&[octet][..], &[b'x', octet], &[octet, b'x'], &[b'x', octet, b'x']] {
                assert_eq!(Kind::of(name, b"value"), expected, "{name:?}");
            }
        }
        for name in [&b""[..], b":", b":status", b":protocol", b":Method", b"Host", b"n\xc3\xa9"] {
            assert_eq!(Kind::of(name, b"value"), Kind::Malformed, "{name:?}");
        }
    }

    #[test]
    fn values_have_no_control_characters_but_tabs_and_no_space_at_their_ends() {
        for octet in 0..=255_u8 {
            let inside = if (octet < 0x20 && octet != b'\t') || octet == 0x7f { Kind::Malformed } else { Kind::Other };
            let at_an_end = if matches!(octet, b' ' | b'\t') { Kind::Malformed } else { inside };
            for n in [1, 7, 30, 100] {
                let fill = vec![b'a'; n];
                assert_eq!(Kind::of(b"name", &[&fill[..], &[octet], &fill].concat()), inside, "{octet}");
                assert_eq!(Kind::of(b"name", &[&fill[..], &[octet]].concat()), at_an_end, "{octet}");
                assert_eq!(Kind::of(b"name", &[&[octet], &fill[..]].concat()), at_an_end, "{octet}");
            }
            assert_eq!(Kind::of(b"name", &[octet]), at_an_end, "{octet}");
        }
        assert_eq!(Kind::of(b"name", b""), Kind::Other);
    }

    /// A bad value spoils a field of any name, and no field that has its name from it.
    #[test]
    fn a_kind_is_passed_on_with_the_name() {
        let names: &[(&[u8], Kind)] = &[
            (b":method", Kind::Method),
            (b":scheme", Kind::Scheme),
            (b":authority", Kind::Authority),
            (b":path", Kind::Path),
            (b"host", Kind::Host),
            (b"content-length", Kind::ContentLength),
            (b"te", Kind::Te),
            (b"connection", Kind::ConnectionSpecific),
            (b"keep-alive", Kind::ConnectionSpecific),
            (b"proxy-connection", Kind::ConnectionSpecific),
            (b"transfer-encoding", Kind::ConnectionSpecific),
            (b"upgrade", Kind::ConnectionSpecific),
            (b"grpc-timeout", Kind::Varying),
            (b"grpc-encoding", Kind::Other),
            (b":status", Kind::Malformed),
        ];
        for (name, kind) in names {
            assert_eq!(Kind::of(name, b"x"), *kind);
            assert_eq!(Kind::of(name, b"\0"), Kind::Malformed);
            assert_eq!(kind.of_next(name, b"\0"), Kind::Malformed);
            assert_eq!(Kind::Malformed.of_next(name, b"x"), *kind);
            assert_eq!(kind.of_next(name, b"x"), *kind);
        }
    }
}
