//! What tracing systems add to a context: the field `tracestate` of W3C Trace Context, level 2. It means nothing here; it goes on as it came, if it is valid.

/// Entries that a list may have ("List").
const MEMBERS_MAX: usize = 32;

/// What of it goes on: as much as everyone must pass on at least ("Limits").
const BYTES_MAX: usize = 512;

/// Entries that are longer are the first to be left out where that is too much.
const LONG_MEMBER_BYTES: usize = 128;

/// A member's key, and its value.
const PART_BYTES_MAX: usize = 256;

/// One list of all fields of the name. `None`, where there is nothing in them, or one is not valid: then they are left out as a whole.
pub(super) fn joined(fields: &[Vec<u8>]) -> Option<String> {
    let mut members = Vec::new();
    for field in fields {
        let members_of_field = std::str::from_utf8(field).ok()?.split(',').map(|member| member.trim_matches([' ', '\t']));
        members.extend(members_of_field.filter(|member| !member.is_empty()));
    }
    if members.is_empty() || members.len() > MEMBERS_MAX || !members.iter().all(|member| is_valid(member)) {
        return None;
    }
    let is_too_much = |members: &[&str]| members.iter().map(|member| member.len() + 1).sum::<usize>() > BYTES_MAX + 1;
    while is_too_much(&members)
        && let Some(long) = members.iter().rposition(|member| member.len() > LONG_MEMBER_BYTES)
    {
        members.remove(long);
    }
    while is_too_much(&members) {
        members.pop();
    }
    (!members.is_empty()).then(|| members.join(","))
}

fn is_valid(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let is_of_key = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    let is_of_value = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    let starts_well = key.starts_with(|character: char| character.is_ascii_lowercase() || character.is_ascii_digit());
    starts_well
        && key.len() <= PART_BYTES_MAX
        && key.bytes().all(is_of_key)
        && (1..=PART_BYTES_MAX).contains(&value.len())
        && value.bytes().all(is_of_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[&str]) -> Option<String> {
        joined(&fields.iter().map(|field| field.as_bytes().to_vec()).collect::<Vec<_>>())
    }

    /// Cases of the specification's own test suite (w3c/trace-context, test/test.py).
    #[test]
    fn valid_lists_go_on_as_one() {
        let members = (0..32).map(|n| format!("bar{n:02}={n:02}")).collect::<Vec<_>>().join(",");
        let (key, value) = ("k".repeat(256), "v".repeat(255));
        for (fields, list) in [
            (&["foo=1"][..], "foo=1"),
            (&["foo=1,bar=2"], "foo=1,bar=2"),
            (&["foo=1", "bar=2"], "foo=1,bar=2"),
            (&["foo=1,", "", " ,\tbar=2 "], "foo=1,bar=2"),
            (&["foo=1 2"], "foo=1 2"),
            (&["1a-b/c*d_e@f=!\"#$%&'()*+-./:;<>?@[]^_`{|}~"], "1a-b/c*d_e@f=!\"#$%&'()*+-./:;<>?@[]^_`{|}~"),
            // Two entries of one key are for those to judge who can read them.
            (&["foo=1,foo=2"], "foo=1,foo=2"),
            (&[&members], &members),
            (&[&format!("{key}={value}")], &format!("{key}={value}")),
        ] {
            assert_eq!(read(fields).as_deref(), Some(list), "{fields:?}");
        }
    }

    #[test]
    fn others_are_left_out() {
        let members = (0..33).map(|n| format!("bar{n:02}={n:02}")).collect::<Vec<_>>().join(",");
        let (long, key) = (format!("foo={}", "v".repeat(257)), format!("{}=1", "k".repeat(257)));
        let bad = [
            "",
            " ,",
            "foo",
            "foo=",
            "=1",
            "foo =1",
            "FOO=1",
            "foo.bar=1",
            "@foo=1",
            "foo=1=2",
            "foo=\u{7f}",
            "foo=ü",
            "foo=1,BAR=2",
            &members,
            &long,
            &key,
        ];
        for field in bad {
            assert_eq!(read(&[field]), None, "{field}");
        }
        assert_eq!(read(&[]), None);
        assert_eq!(read(&["foo=1", "bar"]), None, "all fields are one list");
    }

    #[test]
    fn what_is_too_much_loses_long_entries_and_then_the_last() {
        let long = format!("long={}", "v".repeat(200));
        let short: Vec<_> = (0..30).map(|n| format!("a{n:02}={}", "v".repeat(16))).collect();
        // 30 × 20, and the commas: 29 too many bytes, and 21 are an entry and its comma.
        let list = joined(&[format!("{long},{}", short.join(",")).into_bytes()]).unwrap();
        assert!(list.len() <= BYTES_MAX && list.len() + 21 > BYTES_MAX, "{}", list.len());
        assert_eq!(list, short[..24].join(","));
        // It fits as it is: 2 × 205 and a comma.
        let two = format!("{long},{long}");
        assert_eq!(read(&[&two]), Some(two));
        let three = format!("{long},a=1,{long},{long}");
        assert_eq!(read(&[&three]), Some(format!("{long},a=1,{long}")), "of the long ones the last");
    }
}
