//! YAML text → trees in which every key and value knows its place.
//!
//! Scalars become what `kubectl` makes of them (YAML 1.1: `yes` and `on` are booleans), so that a manifest means the
//! same in local mode and in a cluster. A key given twice is an error here, because the later one would silently win.

use std::{collections::HashMap, ops::Range};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

/// Nodes of one file, aliases followed: more than any manifest, fewer than an alias bomb.
const MAX_NODES: usize = 200_000;
/// Levels of nesting.
const MAX_DEPTH: usize = 64;

/// A value and the bytes it stands in.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub content: Content,
    /// Bytes of the file: the whole scalar, or from the first to the last entry of a collection.
    pub span: Range<usize>,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Text, number, boolean or null.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// A mapping in the order of the file.
    Mapping(Vec<(Key, Node)>),
}

/// A scalar as it was written and as what it counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// The value.
    pub value: Value,
    /// The text it was read from, without quotes and indentation.
    pub text: String,
    /// How it was written.
    pub style: ScalarStyle,
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub name: String,
    /// Its bytes.
    pub span: Range<usize>,
}

/// The text is not YAML, or YAML that no manifest uses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct YamlError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Where.
    pub span: Range<usize>,
}

impl YamlError {
    fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, span }
    }

    fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Node {
    /// The value of `key`, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The key and the value of `key`, when this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<(&Key, &Node)> {
        match &self.content {
            Content::Mapping(entries) => {
                entries.iter().find(|(found, _)| found.name == key).map(|(key, node)| (key, node))
            }
            _ => None,
        }
    }

    /// The text, when this is text.
    pub fn as_str(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(Scalar { value: Value::String(text), .. }) => Some(text),
            _ => None,
        }
    }

    /// Whether this is null, or nothing was written.
    pub fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar(Scalar { value: Value::Null, .. }))
    }

    /// As JSON, without the fields that are null: the API server drops those, too.
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(scalar) => scalar.value.clone(),
            Content::Sequence(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Content::Mapping(entries) => {
                let entries = entries.iter().filter(|(_, value)| !value.is_null());
                Value::Object(entries.map(|(key, value)| (key.name.clone(), value.to_json())).collect::<Map<_, _>>())
            }
        }
    }
}

/// Reads all documents of `text`; the first error ends the reading, and the documents before it are kept.
pub fn parse(text: &str) -> (Vec<Node>, Option<YamlError>) {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        bytes: text.char_indices().map(|(at, _)| at).chain([text.len()]).collect(),
        text,
        anchors: HashMap::new(),
        open: Vec::new(),
        nodes: 0,
    };
    let mut documents = Vec::new();
    loop {
        match reader.document() {
            Ok(Some(document)) => documents.push(document),
            Ok(None) => return (documents, None),
            Err(error) => return (documents, Some(error)),
        }
    }
}

struct Reader<'t> {
    events: Parser<'t, saphyr_parser::StrInput<'t>>,
    /// Byte offset of each character: the parser counts characters.
    bytes: Vec<usize>,
    text: &'t str,
    anchors: HashMap<usize, Node>,
    /// Where the `[` and `{` stand that are not closed yet.
    open: Vec<usize>,
    nodes: usize,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Option<Node>, YamlError> {
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                Event::StreamEnd => return Ok(None),
                event => return self.node(event, span, 0).map(Some),
            }
        }
        Ok(None)
    }

    fn next(&mut self) -> Result<Option<(Event<'t>, Range<usize>)>, YamlError> {
        match self.events.next() {
            None => Ok(None),
            Some(Ok((event, span))) => Ok(Some((event, self.range(span)))),
            Some(Err(error)) => {
                let at = self.byte(error.marker().index());
                let error = YamlError::new(at..at, format!("this is not YAML: {}", error.info()));
                if let Some(open) = self.open.last() {
                    let bracket = &self.text[*open..=*open];
                    let close = if bracket == "[" { "]" } else { "}" };
                    let message = format!("this is not YAML: what `{bracket}` opens here is not right");
                    return Err(YamlError::new(*open..open + 1, message)
                        .with_help(format!("separate entries with commas, and close it with `{close}`")));
                }
                Err(match self.text.get(..at).and_then(|before| before.lines().last()) {
                    Some(line) if line.contains('\t') || self.text[at..].starts_with('\t') => {
                        error.with_help("indent with spaces, never with tabs")
                    }
                    Some(line) if line.matches(": ").count() >= 1 && error.message.contains("mapping values") => {
                        error.with_help("put text that contains `: ` in quotes")
                    }
                    _ => error,
                })
            }
        }
    }

    fn byte(&self, character: usize) -> usize {
        self.bytes.get(character).copied().unwrap_or(self.text.len())
    }

    fn range(&self, span: Span) -> Range<usize> {
        let (start, end) = (self.byte(span.start.index()), self.byte(span.end.index()));
        let content = self.text.get(start..end).unwrap_or_default();
        start..start + content.trim_end().len()
    }

    fn node(&mut self, event: Event<'t>, span: Range<usize>, depth: usize) -> Result<Node, YamlError> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(YamlError::new(span, "this document is nested too deeply or too large for a manifest"));
        }
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
                    let message = format!("manifests use no tags such as `{}{}`", tag.handle, tag.suffix);
                    return Err(YamlError::new(span, message).with_help("remove the tag"));
                }
                let value = if style == ScalarStyle::Plain { plain(&text) } else { Value::String(text.to_string()) };
                (anchor, Node { content: Content::Scalar(Scalar { value, text: text.into_owned(), style }), span })
            }
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                let bracket = matches!(self.text.as_bytes().get(span.start), Some(b'[' | b'{')) && !span.is_empty();
                if bracket {
                    self.open.push(span.start);
                }
                let is_list = matches!(event, Event::SequenceStart(..));
                let node = if is_list { self.sequence(span, depth)? } else { self.mapping(span, depth)? };
                if bracket {
                    self.open.pop();
                }
                (anchor, node)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| YamlError::new(span.clone(), "this alias stands before its anchor"))?;
                self.nodes += count(&node);
                if depth + levels(&node) > MAX_DEPTH {
                    return Err(YamlError::new(span, "this document is nested too deeply for a manifest"));
                }
                (0, node)
            }
            _ => return Err(YamlError::new(span, "a value is missing here")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn sequence(&mut self, span: Range<usize>, depth: usize) -> Result<Node, YamlError> {
        let mut items = Vec::new();
        let mut end = span.end;
        while let Some((event, item)) = self.next()? {
            if event == Event::SequenceEnd {
                end = end.max(item.end.min(self.text.len()));
                break;
            }
            let node = self.node(event, item, depth + 1)?;
            end = node.span.end;
            items.push(node);
        }
        Ok(Node { content: Content::Sequence(items), span: self.trimmed(span.start..end) })
    }

    fn mapping(&mut self, span: Range<usize>, depth: usize) -> Result<Node, YamlError> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut end = span.end;
        while let Some((event, place)) = self.next()? {
            if event == Event::MappingEnd {
                end = end.max(place.end.min(self.text.len()));
                break;
            }
            let Event::Scalar(name, ..) = event else {
                return Err(YamlError::new(place, "a key of a manifest is text"));
            };
            if name == "<<" {
                return Err(YamlError::new(place, "manifests have no merge keys (`<<`)").with_help("repeat the fields"));
            }
            if entries.iter().any(|(key, _)| key.name == *name) {
                let message = format!("the field `{name}` is given twice");
                return Err(YamlError::new(place, message).with_help("keep one of them"));
            }
            let Some((event, value)) = self.next()? else { break };
            let node = self.node(event, value, depth + 1)?;
            end = node.span.end.max(place.end);
            entries.push((Key { name: name.into_owned(), span: place }, node));
        }
        Ok(Node { content: Content::Mapping(entries), span: self.trimmed(span.start..end) })
    }

    fn trimmed(&self, range: Range<usize>) -> Range<usize> {
        let content = self.text.get(range.clone()).unwrap_or_default();
        range.start..range.start + content.trim_end().len()
    }
}

fn count(node: &Node) -> usize {
    match &node.content {
        Content::Scalar(_) => 1,
        Content::Sequence(items) => 1 + items.iter().map(count).sum::<usize>(),
        Content::Mapping(entries) => 1 + entries.iter().map(|(_, value)| count(value)).sum::<usize>(),
    }
}

fn levels(node: &Node) -> usize {
    match &node.content {
        Content::Scalar(_) => 1,
        Content::Sequence(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        Content::Mapping(entries) => 1 + entries.iter().map(|(_, value)| levels(value)).max().unwrap_or(0),
    }
}

/// What an unquoted scalar is (YAML 1.1 as Kubernetes reads it).
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "y" | "Y" | "on" | "On" | "ON" => return Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "n" | "N" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    integer(text).or_else(|| float(text)).unwrap_or_else(|| Value::String(text.to_owned()))
}

fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        // YAML 1.1: a leading zero means octal.
        Some(start) if start.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let value = i64::from_str_radix(digits, radix).ok()?;
    Some(Value::from(if negative { -value } else { value }))
}

fn float(text: &str) -> Option<Value> {
    let number_like =
        text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    if !number_like || !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().and_then(Number::from_f64).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn one(text: &str) -> Node {
        let (mut documents, error) = parse(text);
        assert_eq!(error, None);
        documents.remove(0)
    }

    #[test]
    fn values_are_what_kubectl_reads() {
        let text = "a: 5\nb: yes\nc: '5'\nd: 1.5\ne: 0x10\nf: ~\ng: 1Mi\nh: 010\ni: -3\nj: [x, {k: v}]\nk: 5s\n";
        let expected = json!({"a": 5, "b": true, "c": "5", "d": 1.5, "e": 16, "g": "1Mi", "h": 8, "i": -3, "j": ["x", {"k": "v"}], "k": "5s"});
        assert_eq!(one(text).to_json(), expected);
    }

    #[test]
    fn every_node_knows_its_bytes() {
        let text = "ä: \"ö\"\nlist:\n  - first\n  - k: v\nblock: |\n  one\n  two\nend: 1\n";
        let node = one(text);
        let (key, value) = node.entry("ä").unwrap();
        assert_eq!((&text[key.span.clone()], &text[value.span.clone()]), ("ä", "\"ö\""));
        assert_eq!(&text[node.get("list").unwrap().span.clone()], "- first\n  - k: v");
        assert_eq!(&text[node.get("block").unwrap().span.clone()], "one\n  two");
        assert_eq!(&text[node.get("end").unwrap().span.clone()], "1");
    }

    #[test]
    fn several_documents_and_aliases() {
        let (documents, error) = parse("---\na: &x {b: 1}\nc: *x\n---\n---\nd: 2\n");
        assert_eq!(error, None);
        let json: Vec<Value> = documents.iter().map(Node::to_json).collect();
        assert_eq!(json, [json!({"a": {"b": 1}, "c": {"b": 1}}), Value::Null, json!({"d": 2})]);
    }

    #[test]
    fn mistakes_are_located() {
        for (text, message, place) in [
            ("a: 1\na: 2\n", "the field `a` is given twice", 5..6),
            ("a: b: c\n", "this is not YAML: mapping values are not allowed in this context", 4..4),
            ("a: !x 1\n", "manifests use no tags such as `!x`", 3..7),
            ("a:\n  <<: {}\n", "manifests have no merge keys (`<<`)", 5..7),
        ] {
            let (_, error) = parse(text);
            let error = error.unwrap();
            assert_eq!((error.message.as_str(), error.span), (message, place), "{text}");
        }
    }

    #[test]
    fn alias_bombs_are_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let before = level - 1;
            let aliases = vec![format!("*a{before}"); 9].join(", ");
            text = format!("{text}a{level}: &a{level} [{aliases}]\n");
        }
        let (_, error) = parse(&text);
        assert!(error.unwrap().message.contains("too large"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_panic(text in "[-a-z0-9:#\\n \\t\\[\\]{}&*!|>'\"%@`,?é]{0,200}") {
            let (documents, error) = parse(&text);
            for node in documents {
                prop_assert!(text.get(node.span.clone()).is_some());
            }
            if let Some(error) = error {
                prop_assert!(error.span.end <= text.len());
            }
        }
    }
}
