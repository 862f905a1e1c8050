//! A JSON text with an index of its nodes.

use std::cell::Cell;

use super::super::path::index_from;
use super::super::{Map, Text, Value, number};
use super::{JsonError, scan};

/// A node of a [`Document`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct NodeId(u32);

impl NodeId {
    /// The whole document.
    pub(crate) const ROOT: Self = Self(0);
}

/// What a node is. Strings and numbers say what reading them will need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    True,
    False,
    Int,
    Float,
    /// An integer or float that was read: the node has the number instead of the places of its text.
    KnownInt,
    KnownFloat,
    /// A string without escapes: its text is a slice of the document.
    Plain,
    /// A string with escapes.
    Escaped,
    List,
    Map,
}

/// One value, 24 bytes. Of a scalar `start..end` is its text (a string's without its quotes), of a list or map `end` is
/// the node after it and everything inside it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) key: Key,
    pub(super) kind: Kind,
}

impl Node {
    /// The node of a number that has been read, given as 64 bits.
    fn known(self, kind: Kind, bits: u64) -> Self {
        Self { start: (bits >> 32) as u32, end: bits as u32, kind, ..self }
    }

    /// The bits of a number that has been read.
    fn bits(&self) -> u64 {
        u64::from(self.start) << 32 | u64::from(self.end)
    }

    fn is_container(&self) -> bool {
        matches!(self.kind, Kind::List | Kind::Map)
    }
}

/// Where the key of an entry of a map is, without its quotes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Key {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) escaped: bool,
}

/// Where the values of a JSON text are.
#[derive(Debug)]
pub struct Index {
    /// Numbers are read once, for whoever asks next.
    nodes: Vec<Cell<Node>>,
}

/// Nodes whose room is kept for the next text of this thread; larger indexes are given back.
const KEPT_NODES: usize = 4096;

thread_local! {
    static KEPT: Cell<Vec<Cell<Node>>> = const { Cell::new(Vec::new()) };
}

impl Index {
    /// Validates `text` (RFC 8259) and indexes it; nothing is decoded yet.
    pub fn of(text: &str) -> Result<Self, JsonError> {
        let nodes = scan::scan(text, KEPT.try_with(Cell::take).unwrap_or_default())?;
        Ok(Self { nodes })
    }

    /// The number of a node that was read before.
    #[inline]
    pub(crate) fn known(&self, id: NodeId) -> Option<Known> {
        let node = self.nodes[id.0 as usize].get();
        match node.kind {
            Kind::KnownFloat => Some(Known::Float(f64::from_bits(node.bits()))),
            Kind::KnownInt => Some(Known::Int(node.bits().cast_signed())),
            _ => None,
        }
    }

    /// The document of `text`, of which this is the index.
    pub(crate) fn document<'d>(&'d self, text: &'d Text) -> Document<'d> {
        Document { text, index: self }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        if self.nodes.capacity() <= KEPT_NODES {
            self.nodes.clear();
            // While a thread ends there is nobody to keep it for.
            let _ = KEPT.try_with(|kept| kept.set(std::mem::take(&mut self.nodes)));
        }
    }
}

/// A number that was read before.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Known {
    Int(i64),
    Float(f64),
}

impl From<Known> for Value {
    #[inline]
    fn from(known: Known) -> Self {
        match known {
            Known::Int(int) => Self::Int(int.into()),
            Known::Float(float) => Self::Float(float),
        }
    }
}

/// A validated JSON text from which values are read on demand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Document<'d> {
    text: &'d Text,
    index: &'d Index,
}

impl<'d> Document<'d> {
    /// The value of the whole document.
    pub(crate) fn all(self) -> Value {
        self.value(NodeId::ROOT)
    }

    /// The value under `key` of a map; the last one when the key occurs more than once. Adds to `passed` the nodes it
    /// went by.
    pub(crate) fn key(self, id: NodeId, key: &[u8], passed: &mut usize) -> Option<NodeId> {
        let nodes = self.index.nodes.as_slice();
        let text = self.text.as_bytes();
        let map = nodes[id.0 as usize].get();
        if map.kind != Kind::Map {
            return None;
        }
        let (mut node, mut entries) = (0, 0);
        let mut at = id.0 + 1;
        while at < map.end {
            entries += 1;
            let entry = nodes[at as usize].get();
            if is_key(text, &entry.key, key) {
                node = at;
            }
            at = if entry.is_container() { entry.end } else { at + 1 };
        }
        *passed += entries;
        (node != 0).then_some(NodeId(node))
    }

    /// The element of a list: 1 is the first, -1 the last. Adds to `passed` the nodes it went by.
    pub(crate) fn index(self, id: NodeId, index: i128, passed: &mut usize) -> Option<NodeId> {
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
        *passed += wanted.min(self.size(id)) + counted;
        self.children(id).nth(wanted)
    }

    /// Number of nodes from this one on that belong to it.
    #[inline]
    pub(crate) fn size(self, id: NodeId) -> usize {
        (self.next(id) - id.0) as usize
    }

    /// The text inside a string node; `None` when the node is something else.
    pub(crate) fn string(self, id: NodeId) -> Option<Text> {
        let node = self.node(id);
        match node.kind {
            Kind::Plain | Kind::Escaped => Some(self.text_of(node.start, node.end, node.kind == Kind::Escaped)),
            _ => None,
        }
    }

    /// The value of a node.
    #[inline]
    pub(crate) fn value(self, id: NodeId) -> Value {
        match self.index.known(id) {
            Some(known) => known.into(),
            None => self.build(id),
        }
    }

    /// Builds the value of a node.
    #[inline(never)]
    pub(crate) fn build(self, id: NodeId) -> Value {
        let node = self.node(id);
        match node.kind {
            Kind::Null => Value::Null,
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Int => self.know(id, number::parse_int(self.raw(node.start, node.end))),
            Kind::Float => self.know(id, number::parse_float(self.raw(node.start, node.end)).unwrap_or_default()),
            Kind::KnownInt | Kind::KnownFloat => self.value(id),
            Kind::Plain => Value::Text(self.text_of(node.start, node.end, false)),
            Kind::Escaped => Value::Text(self.text_of(node.start, node.end, true)),
            Kind::List => Value::list(self.children(id).map(|child| self.value(child)).collect()),
            Kind::Map => {
                let mut map = Map::new();
                for child in self.children(id) {
                    let key = self.node(child).key;
                    map.insert(self.text_of(key.start, key.end, key.escaped), self.value(child));
                }
                Value::map(map)
            }
        }
    }

    /// Keeps a number that was read, if it has 64 bits.
    fn know(self, id: NodeId, number: Value) -> Value {
        let known = match number {
            Value::Float(float) => Some((Kind::KnownFloat, float.to_bits())),
            Value::Int(int) => i64::try_from(int).ok().map(|int| (Kind::KnownInt, int.cast_unsigned())),
            _ => None,
        };
        if let Some((kind, bits)) = known {
            self.index.nodes[id.0 as usize].set(self.node(id).known(kind, bits));
        }
        number
    }

    fn children(self, id: NodeId) -> impl Iterator<Item = NodeId> + use<'d> {
        let end = self.next(id);
        let mut at = id.0 + 1;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let child = NodeId(at);
            at = self.next(child);
            Some(child)
        })
    }

    #[inline]
    fn node(self, id: NodeId) -> Node {
        self.index.nodes[id.0 as usize].get()
    }

    /// The node after this one and everything inside it.
    #[inline]
    fn next(self, id: NodeId) -> u32 {
        let node = self.node(id);
        if node.is_container() { node.end } else { id.0 + 1 }
    }

    fn raw(self, start: u32, end: u32) -> &'d str {
        &self.text[start as usize..end as usize]
    }

    fn text_of(self, start: u32, end: u32, escaped: bool) -> Text {
        if escaped {
            Text::from(scan::unescape(self.raw(start, end)))
        } else {
            self.text.slice(start as usize..end as usize)
        }
    }
}

#[inline]
fn is_key(text: &[u8], found: &Key, wanted: &[u8]) -> bool {
    if found.escaped {
        let raw = text.get(found.start as usize..found.end as usize).and_then(|raw| std::str::from_utf8(raw).ok());
        return raw.is_some_and(|raw| scan::unescape(raw).as_bytes() == wanted);
    }
    found.end - found.start == wanted.len() as u32
        && text.get(found.start as usize..).is_some_and(|rest| rest.starts_with(wanted))
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
        let text = Text::from(r#"{"a":[1,{"b":"x"}],"a":[{"\u0063":"é\n"},2,3], "d": {}}"#);
        let index = Index::of(&text).unwrap();
        let (document, passed) = (index.document(&text), &mut 0);
        let list = document.key(NodeId::ROOT, b"a", passed).expect("the last `a`");
        assert_eq!((document.key(NodeId::ROOT, b"a", passed), *passed), (Some(list), 6));
        assert_eq!(document.value(document.index(list, -1, passed).unwrap()), Value::Int(3));
        assert_eq!(document.index(list, 0, passed), None);
        assert_eq!(document.index(list, 4, passed), None);
        assert_eq!(document.index(list, -4, passed), None);
        let first = document.index(list, 1, passed).unwrap();
        assert_eq!(document.string(document.key(first, b"c", passed).unwrap()).unwrap().as_str(), "é\n");
        assert_eq!(document.key(list, b"a", passed), None);
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
