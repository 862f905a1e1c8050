//! A JSON text with an index of its nodes.

use std::cell::Cell;

use super::super::path::index_from;
use super::super::{Map, Text, Value, number};
use super::{JsonError, scan};

/// A node of a [`Document`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeId(pub(super) u32);

/// What a node is. Strings and numbers say what reading them will need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    True,
    False,
    Int,
    Float,
    /// A string without escapes: its text is a slice of the document.
    Plain,
    /// A string with escapes.
    Escaped,
    List,
    Map,
}

/// 16 bytes per node: `start..end` is the text of a scalar (a string without its quotes), `next` the node after this
/// one and everything inside it. Inside a map, keys and values alternate, and `next` of a key is the next key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) next: u32,
    pub(super) kind: Kind,
}

/// A validated JSON text from which values are read on demand.
#[derive(Debug, Clone)]
pub struct Document {
    text: Text,
    nodes: Vec<Node>,
    /// Nodes passed over since the last [`Document::take_passed`].
    passed: Cell<usize>,
}

impl Document {
    /// Validates `text` (RFC 8259) and indexes it; one allocation, nothing is decoded yet.
    pub fn parse(text: Text) -> Result<Self, JsonError> {
        let nodes = scan::scan(&text)?;
        Ok(Self { text, nodes, passed: Cell::new(0) })
    }

    /// The whole document.
    pub fn root(&self) -> NodeId {
        NodeId(0)
    }

    /// The text the document was made from.
    pub fn text(&self) -> &Text {
        &self.text
    }

    /// The value under `key` of a map; the last one when the key occurs more than once.
    pub fn key(&self, id: NodeId, key: &str) -> Option<NodeId> {
        let map = self.node(id);
        if map.kind != Kind::Map {
            return None;
        }
        let text = self.text.as_bytes();
        let mut found = None;
        let mut at = id.0 + 1;
        let mut passed = 0;
        while at < map.next {
            passed += 1;
            let name = self.node(NodeId(at));
            let hit = match name.kind {
                Kind::Plain => {
                    (name.end - name.start) as usize == key.len()
                        && text.get(name.start as usize..name.end as usize) == Some(key.as_bytes())
                }
                _ => scan::unescape(self.raw(name)) == key,
            };
            if hit {
                found = Some(NodeId(at + 1));
            }
            at = name.next;
        }
        self.passed.set(self.passed.get().saturating_add(passed));
        found
    }

    /// The element of a list: 1 is the first, -1 the last.
    pub fn index(&self, id: NodeId, index: i128) -> Option<NodeId> {
        let node = self.node(id);
        if node.kind != Kind::List {
            return None;
        }
        let (wanted, counted) = if index > 0 {
            (usize::try_from(index - 1).ok()?, 0)
        } else {
            let count = self.children(id).count();
            (index_from(index, count)?, count)
        };
        let passed = wanted.min((node.next - id.0) as usize) + counted;
        self.passed.set(self.passed.get().saturating_add(passed));
        self.children(id).nth(wanted)
    }

    /// Number of nodes from this one on that belong to it.
    pub(crate) fn size(&self, id: NodeId) -> usize {
        (self.node(id).next - id.0) as usize
    }

    /// How many nodes were passed over on the way to keys and elements since the last time.
    pub(crate) fn take_passed(&self) -> usize {
        self.passed.take()
    }

    /// The text inside a string node; `None` when the node is something else.
    pub fn string(&self, id: NodeId) -> Option<Text> {
        let node = self.node(id);
        match node.kind {
            Kind::Plain => Some(self.text.slice(node.start as usize..node.end as usize)),
            Kind::Escaped => Some(Text::from(scan::unescape(self.raw(node)))),
            _ => None,
        }
    }

    /// Builds the value of a node.
    pub fn value(&self, id: NodeId) -> Value {
        let node = self.node(id);
        match node.kind {
            Kind::Null => Value::Null,
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Int => number::parse_int(self.raw(node)),
            Kind::Float => number::parse_float(self.raw(node)).unwrap_or_default(),
            Kind::Plain | Kind::Escaped => self.string(id).map(Value::Text).unwrap_or_default(),
            Kind::List => Value::list(self.children(id).map(|child| self.value(child)).collect()),
            Kind::Map => {
                let mut map = Map::new();
                let mut at = id.0 + 1;
                while at < node.next {
                    if let Some(key) = self.string(NodeId(at)) {
                        map.insert(key, self.value(NodeId(at + 1)));
                    }
                    at = self.node(NodeId(at)).next;
                }
                Value::map(map)
            }
        }
    }

    fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let end = self.node(id).next;
        let mut at = id.0 + 1;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let child = NodeId(at);
            at = self.node(child).next;
            Some(child)
        })
    }

    fn node(&self, id: NodeId) -> Node {
        self.nodes[id.0 as usize]
    }

    fn raw(&self, node: Node) -> &str {
        &self.text[node.start as usize..node.end as usize]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Value, JsonError> {
        Value::from_json(&Text::from(text))
    }

    #[test]
    fn places_are_read_without_building_the_rest() {
        let document = Document::parse(Text::from(r#"{"a":[1,{"b":"x"}],"a":[{"c":"é\n"},2,3], "d": {}}"#)).unwrap();
        let list = document.key(document.root(), "a").expect("the last `a`");
        assert_eq!(document.value(document.index(list, -1).unwrap()), Value::Int(3));
        assert_eq!(document.index(list, 0), None);
        assert_eq!(document.index(list, 4), None);
        assert_eq!(document.index(list, -4), None);
        let first = document.index(list, 1).unwrap();
        assert_eq!(document.string(document.key(first, "c").unwrap()).unwrap().as_str(), "é\n");
        assert_eq!(document.key(list, "a"), None);
    }

    #[test]
    fn numbers_keep_128_bits() {
        assert_eq!(parse("18446744073709551615"), Ok(Value::Int(u64::MAX.into())));
        assert_eq!(parse("-0"), Ok(Value::Int(0)));
        assert_eq!(parse("1.50"), Ok(Value::Float(1.5)));
        assert_eq!(parse(&"9".repeat(60)), Ok(Value::Float(1e60)));
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        for (text, at) in [
            ("", 0),
            ("{", 1),
            ("[1,]", 3),
            ("{\"a\":1,}", 7),
            ("01", 1),
            ("1.", 2),
            ("-", 1),
            ("nul", 0),
            ("\"a", 2),
            ("\"\u{1}\"", 1),
            ("\"\\x\"", 2),
            ("\"\\ud800\"", 1),
            ("[1 2]", 3),
            ("{1:2}", 1),
            ("1 1", 2),
            ("1e999", 0),
            ("\"\\", 2),
            ("\"\\u12", 2),
            ("+1", 0),
            (".5", 0),
        ] {
            assert_eq!(parse(text).map_err(|error| error.at), Err(at), "{text}");
        }
    }

    #[test]
    fn nesting_is_limited() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(crate::limits::MAX_VALUE_DEPTH)).is_ok());
        assert!(parse(&nested(crate::limits::MAX_VALUE_DEPTH + 1)).is_err());
        assert!(parse(&"[".repeat(1_000_000)).is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_any_text(text in r#"[\[\]{}:,0-9eE+\-. "\\untrlfas/é\x01]{0,24}"#) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            let ours = parse(&text);
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
            if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                prop_assert_eq!(ours, Value::from(&theirs));
            }
        }

        #[test]
        fn agrees_with_serde_json_on_json(json in json_strategy()) {
            let text = json.to_string();
            prop_assert_eq!(parse(&text), Ok(Value::from(&json)));
            let pretty = serde_json::to_string_pretty(&json).unwrap();
            prop_assert_eq!(parse(&pretty), Ok(Value::from(&json)));
            let value = parse(&text).unwrap();
            prop_assert_eq!(parse(&value.to_json()), Ok(value));
        }
    }

    pub(crate) fn json_strategy() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            any::<u64>().prop_map(serde_json::Value::from),
            (-1e9..1e9).prop_map(serde_json::Value::from),
            any::<String>().prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                prop::collection::btree_map(".{0,6}", inner, 0..6)
                    .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
            ]
        })
    }
}
