//! From a field path, and a place in that field's text, to bytes of the manifest.

use std::ops::Range;

use saphyr_parser::ScalarStyle;

use super::yaml::{Content, Node, Scalar};

/// Where `path` (such as `spec.actions[0].sinkRef.name`) stands in the document `root`: its value. For a field that
/// is not written, the nearest part of the path that is: the key if it has one.
pub fn of_path(root: &Node, path: &str) -> Range<usize> {
    let mut place = first_entry(root);
    let mut node = root;
    for step in steps(path) {
        let next = match (step, &node.content) {
            (Step::Field(name), _) => node.entry(name).map(|(key, value)| (Some(key), value)),
            (Step::Index(index), Content::Sequence(items)) => items.get(index).map(|item| (None, item)),
            (Step::Index(_), _) => None,
        };
        let Some((key, value)) = next else { return place };
        node = value;
        place = match (&value.content, key) {
            (Content::Scalar(_), _) if !value.is_null() => value.span.clone(),
            (_, Some(key)) => key.span.clone(),
            (_, None) => first_entry(value),
        };
    }
    place
}

/// Where `part` of the text of the field `path` stands; the whole field when its text is not there as it reads
/// (escapes, a default).
pub fn of_text(file: &str, root: &Node, path: &str, part: &Range<usize>) -> Range<usize> {
    let whole = of_path(root, path);
    let mut node = root;
    for step in steps(path) {
        let next = match (step, &node.content) {
            (Step::Field(name), _) => node.get(name),
            (Step::Index(index), Content::Sequence(items)) => items.get(index),
            (Step::Index(_), _) => None,
        };
        let Some(next) = next else { return whole };
        node = next;
    }
    match &node.content {
        Content::Scalar(scalar) => inside(file, scalar, &node.span, part).unwrap_or(whole),
        _ => whole,
    }
}

/// Points at the first key of a mapping, or else at the first line: a caret under a whole list says nothing.
fn first_entry(node: &Node) -> Range<usize> {
    match &node.content {
        Content::Mapping(entries) => entries.first().map_or(node.span.clone(), |(key, _)| key.span.clone()),
        Content::Sequence(items) => items.first().map_or(node.span.clone(), first_entry),
        Content::Scalar(_) => node.span.clone(),
    }
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Field(&'p str),
    Index(usize),
}

fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split(['.', '[']).filter(|step| !step.is_empty()).map(|step| {
        let index = step.strip_suffix(']').and_then(|index| index.parse().ok());
        index.map_or(Step::Field(step), Step::Index)
    })
}

/// Aligns the text of a scalar with what is written in the file. YAML changes only white space (indentation, folded
/// lines) and escapes, so the n-th visible character of one is the n-th visible character of the other.
fn inside(file: &str, scalar: &Scalar, span: &Range<usize>, part: &Range<usize>) -> Option<Range<usize>> {
    let written = file.get(span.clone())?;
    let (skip, body) = match scalar.style {
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => (1, written.get(1..written.len().checked_sub(1)?)?),
        _ => (0, written),
    };
    let escaped = (scalar.style == ScalarStyle::DoubleQuoted && body.contains('\\'))
        || (scalar.style == ScalarStyle::SingleQuoted && body.contains("''"));
    if escaped {
        return None;
    }
    let visible = |text: &str| text.chars().filter(|character| !character.is_whitespace()).count();
    let before = visible(scalar.text.get(..part.start)?);
    let within = visible(scalar.text.get(part.clone())?);
    let mut places = body.char_indices().filter(|(_, character)| !character.is_whitespace()).map(|(at, character)| {
        let start = span.start + skip + at;
        start..start + character.len_utf8()
    });
    if within == 0 {
        // The end of the text, or a gap: right behind what comes before.
        let end = match before.checked_sub(1) {
            Some(last) => places.nth(last)?.end,
            None => span.start + skip,
        };
        return Some(end..end);
    }
    let first = places.nth(before)?;
    let last = if within == 1 { first.clone() } else { places.nth(within - 2)? };
    Some(first.start..last.end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::manifest::yaml;

    fn document(text: &str) -> Node {
        yaml::parse(text).0.remove(0)
    }

    #[test]
    fn paths_point_at_values_and_missing_fields_at_their_parent() {
        let text = "kind: Rule\nspec:\n  actions:\n    - name: a\n      sinkRef: {name: x}\n    - name: b\n";
        let root = document(text);
        let at = |path: &str| &text[of_path(&root, path)];
        assert_eq!(at("spec.actions[0].sinkRef.name"), "x");
        assert_eq!(at("spec.actions[1].sinkRef"), "name");
        assert_eq!(at("spec.actions[1].name"), "b");
        assert_eq!(at("spec.actions"), "actions");
        assert_eq!(at("spec.sql"), "spec");
        assert_eq!(at(""), "kind");
    }

    #[test]
    fn places_in_block_text_follow_its_indentation() {
        for (header, style) in [("|", "literal"), (">-", "folded"), ("|-  # why", "commented")] {
            let text = format!("spec:\n  sql: {header}\n    SELECT é.x\n    FROM \"t\"\n");
            let root = document(&text);
            let sql = root.get("spec").and_then(|spec| spec.get("sql")).and_then(Node::as_str).unwrap();
            let start = sql.find("FROM").unwrap();
            assert_eq!(&text[of_text(&text, &root, "spec.sql", &(start..start + 8))], "FROM \"t\"", "{style}");
            let start = sql.find(".x").unwrap();
            assert_eq!(&text[of_text(&text, &root, "spec.sql", &(start..start + 2))], ".x", "{style}");
            let end = of_text(&text, &root, "spec.sql", &(sql.len()..sql.len()));
            assert_eq!(end, text.len() - 1..text.len() - 1, "{style}");
        }
    }

    #[test]
    fn places_in_quoted_text() {
        let text = "a: 'x y'\nb: \"x y\"\nc: 'it''s'\nd: x y\n";
        let root = document(text);
        for field in ["a", "b", "d"] {
            assert_eq!(&text[of_text(text, &root, field, &(2..3))], "y", "{field}");
        }
        assert_eq!(&text[of_text(text, &root, "c", &(3..4))], "'it''s'", "escapes: the whole text");
    }

    proptest! {
        #[test]
        fn every_word_of_a_block_is_found(words in prop::collection::vec("[a-zé]{1,6}", 1..12), breaks in prop::collection::vec(any::<bool>(), 12)) {
            let lines: String = words.iter().zip(breaks).map(|(word, new_line)| {
                if new_line { format!("{word}\n    ") } else { format!("{word} ") }
            }).collect();
            let text = format!("sql: |\n    {}\n", lines.trim_end());
            let root = document(&text);
            let sql = root.get("sql").and_then(Node::as_str).unwrap();
            let mut start = 0;
            for word in &words {
                let at = start + sql[start..].find(word.as_str()).unwrap();
                start = at + word.len();
                prop_assert_eq!(&text[of_text(&text, &root, "sql", &(at..start))], word.as_str());
            }
        }
    }
}
