//! What we know of a field by its name and octets, judged once: when it enters the table, not whenever it is referred to.

/// What a field of a request is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Kind {
    Method,
    Scheme,
    Authority,
    Path,
    Host,
    ContentLength,
    Te,
    /// It speaks of the connection, and has no place in HTTP/2 (RFC 9113, 8.2.2).
    ConnectionSpecific,
    /// Octets that no field may have (8.2.1), or a pseudo-header field that no request has (8.3).
    Malformed,
    Other,
}

impl Kind {
    pub(super) fn of(name: &[u8], value: &[u8]) -> Self {
        if !is_value(value) {
            return Self::Malformed;
        }
        match name {
            b":method" => Self::Method,
            b":scheme" => Self::Scheme,
            b":authority" => Self::Authority,
            b":path" => Self::Path,
            b"host" => Self::Host,
            b"content-length" => Self::ContentLength,
            b"te" => Self::Te,
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => Self::ConnectionSpecific,
            _ if is_name(name) => Self::Other,
            _ => Self::Malformed,
        }
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
    !is_space(value.first()) && !is_space(value.last()) && value.iter().all(|octet| (*octet >= b' ' && *octet != 0x7f) || *octet == b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_judged() {
        let malformed: &[(&[u8], &[u8])] = &[
            (b"", b"x"),
            (b"Name", b"x"),
            (b"na me", b"x"),
            (b"na:me", b"x"),
            (b"n\x00", b"x"),
            (b"n\xc3\xa9", b"x"),
            (b":status", b"200"),
            (b":protocol", b"x"),
            (b"name", b" x"),
            (b"name", b"x\t"),
            (b"name", b"a\x00b"),
            (b"name", b"a\r\nb"),
            (b":path", b"/a\x7f"),
        ];
        for (name, value) in malformed {
            assert_eq!(Kind::of(name, value), Kind::Malformed, "{name:?}: {value:?}");
        }
        assert_eq!(Kind::of(b"x-y_z", b"a\tb \xff c"), Kind::Other);
        assert_eq!(Kind::of(b"name", b""), Kind::Other);
        assert_eq!(Kind::of(b"upgrade", b"h2c"), Kind::ConnectionSpecific);
    }
}
