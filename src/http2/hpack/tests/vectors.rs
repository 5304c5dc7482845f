//! Vectors in `tests/vectors/`, where `hpack_vectors.py` says what their lines mean: blocks of another implementation that our decoder must
//! read as that one does, and blocks of ours that it has read.

use super::super::{Decoder, Encoder, TABLE_BYTES_INITIAL};
use super::{Field, decode, hex};

const DECODE: &str = include_str!("../../../../tests/vectors/hpack-decode.txt");
const ENCODE: &str = include_str!("../../../../tests/vectors/hpack-encode.txt");
const ANSWERS: &str = include_str!("../../../../tests/vectors/hpack-answers.txt");

fn unescape(text: &str) -> Vec<u8> {
    let (first, rest) = text.split_once("\\x").unwrap_or((text, ""));
    let mut octets = first.as_bytes().to_vec();
    for part in rest.split("\\x").filter(|part| !part.is_empty()) {
        let (digits, plain) = part.split_at(2);
        octets.extend(hex(digits));
        octets.extend(plain.as_bytes());
    }
    octets
}

fn field(rest: &str) -> Field {
    let (name, value) = rest.split_once('\t').expect("a tab");
    (unescape(name), unescape(value))
}

fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().map(|line| line.split_once(' ').unwrap_or((line, "")))
}

#[test]
fn blocks_of_another_encoder() {
    let mut lines = words(DECODE).peekable();
    let (mut case, mut decoder) = ("", Decoder::new(0));
    let (mut n_blocks, mut n_refused) = (0, 0);
    while let Some((word, rest)) = lines.next() {
        match word {
            "#" => {}
            "case" => case = rest,
            "table" => decoder = Decoder::new(rest.parse().expect("bytes")),
            "block" => {
                let mut expected = Vec::new();
                while let Some((_, rest)) = lines.next_if(|(word, _)| *word == "field") {
                    expected.push(field(rest));
                }
                assert_eq!(decode(&mut decoder, &hex(rest)), Ok(expected), "{case}: {rest}");
                n_blocks += 1;
            }
            "refused" => {
                assert!(decode(&mut decoder, &hex(rest)).is_err(), "{case}: {rest}");
                n_refused += 1;
            }
            _ => panic!("{word} {rest}"),
        }
    }
    assert!(n_blocks >= 200 && n_refused >= 50, "{n_blocks} and {n_refused}");
}

/// To change one of the files, write it without its blocks, take what this test says it should be, and have `hpack_vectors.py check` read it.
#[test]
fn blocks_of_our_encoder() {
    for (file, name) in [(ENCODE, "hpack-encode.txt"), (ANSWERS, "hpack-answers.txt")] {
        let written = encoded(file);
        assert!(written == file, "{name} should be\n{written}");
    }
}

/// The file with the blocks that our encoder makes of its fields, which our decoder reads.
fn encoded(file: &str) -> String {
    let mut lines = words(file).peekable();
    let mut decoder = Decoder::new(TABLE_BYTES_INITIAL);
    let mut encoder = Encoder::new();
    let mut written = String::new();
    while let Some((word, rest)) = lines.next() {
        match word {
            "#" => {}
            "case" => (encoder, decoder) = (Encoder::new(), Decoder::new(TABLE_BYTES_INITIAL)),
            "table" => encoder.set_table_bytes_max(rest.parse().expect("bytes")),
            "block" => {
                let (mut block, mut list, mut fields) = (Vec::new(), String::new(), Vec::new());
                encoder.begin(&mut block);
                while let Some((word, rest)) = lines.next_if(|(word, _)| matches!(*word, "field" | "common" | "secret")) {
                    let (name, value) = field(rest);
                    match word {
                        "common" => encoder.common_field(&mut block, &name, &value),
                        "secret" => encoder.sensitive_field(&mut block, &name, &value),
                        _ => encoder.field(&mut block, &name, &value),
                    }
                    list += &format!("{word} {rest}\n");
                    fields.push((name, value));
                }
                assert_eq!(decode(&mut decoder, &block), Ok(fields));
                let hex: String = block.iter().map(|octet| format!("{octet:02x}")).collect();
                written += &format!("block {hex}\n{list}");
                continue;
            }
            _ => panic!("{word} {rest}"),
        }
        written += &format!("{word} {rest}\n");
    }
    written
}
