//! Comments of a .proto file become documentation, and rustdoc takes a code block in it for a Rust test. Here they are made text, whatever language
//! they say they are in. Indented blocks are left to prost-build, which fences them as text.

use prost_types::FileDescriptorSet;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// Makes text of the code blocks in all comments.
pub(crate) fn make_code_text(files: &mut FileDescriptorSet) {
    let infos = files.file.iter_mut().filter_map(|file| file.source_code_info.as_mut());
    for location in infos.flat_map(|info| &mut info.location) {
        for comment in [&mut location.leading_comments, &mut location.trailing_comments].into_iter().flatten() {
            *comment = code_as_text(comment);
        }
    }
}

/// The same comment, whose fenced blocks are marked as text, and whose code contains no fence of its own: prost-build writes all fences anew, with
/// three backticks, which an inner one would close.
fn code_as_text(comment: &str) -> String {
    let mut text = String::with_capacity(comment.len());
    let mut copied = 0;
    let mut in_code = false;
    // The dialect that prost-build reads.
    let dialect = Options::all() - Options::ENABLE_SMART_PUNCTUATION;
    for (event, range) in Parser::new_ext(comment, dialect).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                in_code = true;
                if let (CodeBlockKind::Fenced(_), Some((fence_end, line_end))) = (kind, opening(comment, range.start)) {
                    text.push_str(&comment[copied..fence_end]);
                    text.push_str("text");
                    copied = line_end;
                }
            }
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Text(_) if in_code && comment[range.clone()].contains("```") => {
                text.push_str(&comment[copied..range.start]);
                text.push_str(&comment[range.clone()].replace("```", "'''"));
                copied = range.end;
            }
            _ => {}
        }
    }
    text.push_str(&comment[copied..]);
    text
}

/// Where the fence that opens a block at `start` ends, and where its line does.
fn opening(comment: &str, start: usize) -> Option<(usize, usize)> {
    let fence_start = start + comment[start..].find(['`', '~'])?;
    let mark = comment[fence_start..].chars().next()?;
    let rest = comment[fence_start..].trim_start_matches(mark);
    let line_length = rest.find('\n').unwrap_or(rest.len());
    let fence_end = comment.len() - rest.len();
    Some((fence_end, fence_end + line_length))
}

#[cfg(test)]
mod tests {
    use super::code_as_text;

    #[test]
    fn fences_say_text() {
        for (comment, expected) in [
            (" See:\n ```rust\n f();\n ```\n", " See:\n ```text\n f();\n ```\n"),
            ("~~~\nf();\n~~~", "~~~text\nf();\n~~~"),
            ("```rust,no_run\nf();\n```\n after", "```text\nf();\n```\n after"),
            ("- item:\n  ```should_panic\n  f();\n  ```\n", "- item:\n  ```text\n  f();\n  ```\n"),
            ("> ```\n> f();\n> ```\n", "> ```text\n> f();\n> ```\n"),
            ("````rust\n```\nf();\n```\n````\n", "````text\n'''\nf();\n'''\n````\n"),
            ("never closed\n```", "never closed\n```text"),
        ] {
            assert_eq!(code_as_text(comment), expected, "{comment:?}");
        }
    }

    #[test]
    fn what_is_no_block_stays() {
        for comment in ["", " plain\n", " inline `code` and ```more``` of it\n", "\n\n    indented();\n", "a ~~struck~~ word", "é ``` ü"]
        {
            assert_eq!(code_as_text(comment), comment);
        }
    }
}
