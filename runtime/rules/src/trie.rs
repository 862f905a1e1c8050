//! The topic filter trie: from one topic to everything registered under a matching filter.
//!
//! One type serves rules, subscriptions and access rules. It owns the filters' levels and the values under them;
//! it does not validate filters (see [`crate::topic`]) and gives no order to its answers.
//!
//! Shape: nodes live in one vector and name each other by index; the edges of *all* nodes live in one hash table
//! keyed by (parent, level), so that a filter that shares a prefix costs one node and one edge, and a lookup is one
//! probe per topic level however many filters there are. Wildcard children are fields of the node: they need no probe.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

const ROOT: u32 = 0;
const NONE: u32 = u32::MAX;
/// Branch points a lookup remembers before it needs the heap: one per level that has both a `+` and an exact child.
const BRANCHES: usize = 8;

/// Values under topic filters, found by topic.
///
/// ```
/// use isthmus_rules::trie::FilterTrie;
/// let mut trie = FilterTrie::new();
/// trie.insert("vehicles/+/telemetry", 1);
/// trie.insert("vehicles/#", 2);
/// let mut found = Vec::new();
/// trie.for_each_match("vehicles/7/telemetry", |value| found.push(*value));
/// found.sort();
/// assert_eq!(found, [1, 2]);
/// ```
#[derive(Debug, Clone)]
pub struct FilterTrie<T> {
    nodes: Vec<Node<T>>,
    edges: HashTable<Edge>,
    hasher: RandomState,
    free: Vec<u32>,
    len: usize,
}

#[derive(Debug, Clone)]
struct Node<T> {
    /// Child of the level `+`, or `NONE`.
    plus: u32,
    /// Child of the level `#`, or `NONE`.
    hash: u32,
    /// Number of exact children.
    exact: u32,
    values: Values<T>,
}

#[derive(Debug, Clone)]
struct Edge {
    parent: u32,
    child: u32,
    level: Box<str>,
}

/// Most filters carry one value: it needs no allocation of its own.
#[derive(Debug, Clone)]
enum Values<T> {
    None,
    One(T),
    Many(Vec<T>),
}

impl<T> Values<T> {
    fn push(&mut self, value: T) {
        *self = match std::mem::replace(self, Self::None) {
            Self::None => Self::One(value),
            Self::One(first) => Self::Many(vec![first, value]),
            Self::Many(mut values) => {
                values.push(value);
                Self::Many(values)
            }
        };
    }

    fn as_slice(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }

    fn take(&mut self, pred: impl FnMut(&T) -> bool) -> Option<T> {
        let at = self.as_slice().iter().position(pred)?;
        match std::mem::replace(self, Self::None) {
            Self::None => None,
            Self::One(value) => Some(value),
            Self::Many(mut values) => {
                let value = values.remove(at);
                *self = match values.len() {
                    1 => values.pop().map_or(Self::None, Self::One),
                    _ => Self::Many(values),
                };
                Some(value)
            }
        }
    }
}

impl<T> Node<T> {
    fn new() -> Self {
        Self { plus: NONE, hash: NONE, exact: 0, values: Values::None }
    }

    fn is_empty(&self) -> bool {
        self.plus == NONE && self.hash == NONE && self.exact == 0 && matches!(self.values, Values::None)
    }
}

impl<T> Default for FilterTrie<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> FilterTrie<T> {
    /// An empty trie.
    pub fn new() -> Self {
        Self {
            nodes: vec![Node::new()],
            edges: HashTable::new(),
            hasher: RandomState::default(),
            free: Vec::new(),
            len: 0,
        }
    }

    /// Number of values (not of distinct filters).
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds `value` under `filter`. The same filter may carry many values, equal ones too.
    pub fn insert(&mut self, filter: &str, value: T) {
        let mut node = ROOT;
        for level in filter.split('/') {
            node = match self.child(node, level) {
                NONE => self.add_child(node, level),
                child => child,
            };
        }
        self.nodes[node as usize].values.push(value);
        self.len += 1;
    }

    /// The first value under exactly this `filter`, to be changed where it is.
    pub fn first_mut(&mut self, filter: &str) -> Option<&mut T> {
        let mut node = ROOT;
        for level in filter.split('/') {
            node = self.child(node, level);
            if node == NONE {
                return None;
            }
        }
        match &mut self.nodes[node as usize].values {
            Values::None => None,
            Values::One(value) => Some(value),
            Values::Many(values) => values.first_mut(),
        }
    }

    /// Removes the first value under exactly this `filter` that satisfies `pred`, and every node that only it needed.
    pub fn remove(&mut self, filter: &str, pred: impl FnMut(&T) -> bool) -> Option<T> {
        let mut path = Vec::with_capacity(8);
        let mut node = ROOT;
        for level in filter.split('/') {
            path.push((node, level));
            node = self.child(node, level);
            if node == NONE {
                return None;
            }
        }
        let value = self.nodes[node as usize].values.take(pred)?;
        self.len -= 1;
        while let Some((parent, level)) = path.pop() {
            if !self.nodes[node as usize].is_empty() {
                break;
            }
            self.drop_child(parent, level);
            self.free.push(node);
            node = parent;
        }
        Some(value)
    }

    /// Calls `f` with every value whose filter matches `topic`, in no particular order. Returns how many nodes it looked at.
    ///
    /// Costs one table probe per topic level plus one per `+` branch that exists; allocates nothing unless a topic
    /// passes more than 32 levels that have both a `+` and an exact child.
    pub fn for_each_match<'a>(&'a self, topic: &str, mut f: impl FnMut(&'a T)) -> usize {
        let mut visited = 0;
        let system = topic.starts_with('$');
        let mut waiting = Waiting::new();
        let mut next = Some((ROOT, Some(topic)));
        while let Some((id, rest)) = next {
            visited += 1;
            let node = &self.nodes[id as usize];
            // MQTT-4.7.2-1: a leading wildcard does not match a leading `$`.
            let wildcards = !(system && id == ROOT);
            if wildcards && node.hash != NONE {
                self.nodes[node.hash as usize].values.as_slice().iter().for_each(&mut f);
            }
            let Some(rest) = rest else {
                node.values.as_slice().iter().for_each(&mut f);
                next = waiting.pop();
                continue;
            };
            let (level, deeper) = match memchr::memchr(b'/', rest.as_bytes()) {
                Some(at) => (&rest[..at], Some(&rest[at + 1..])),
                None => (rest, None),
            };
            let exact = if node.exact == 0 { NONE } else { self.find_edge(id, level) };
            let plus = if wildcards { node.plus } else { NONE };
            next = match (exact, plus) {
                (NONE, NONE) => waiting.pop(),
                (NONE, child) | (child, NONE) => Some((child, deeper)),
                (exact, plus) => {
                    waiting.push((plus, deeper));
                    Some((exact, deeper))
                }
            };
        }
        visited
    }

    /// Every value, with no order; for counting and for tearing down.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.nodes.iter().flat_map(|node| node.values.as_slice())
    }

    fn child(&self, parent: u32, level: &str) -> u32 {
        match level {
            "+" => self.nodes[parent as usize].plus,
            "#" => self.nodes[parent as usize].hash,
            _ => self.find_edge(parent, level),
        }
    }

    fn find_edge(&self, parent: u32, level: &str) -> u32 {
        let hash = self.hasher.hash_one((parent, level));
        self.edges.find(hash, |edge| edge.parent == parent && *edge.level == *level).map_or(NONE, |edge| edge.child)
    }

    fn add_child(&mut self, parent: u32, level: &str) -> u32 {
        let child = self.free.pop().unwrap_or(self.nodes.len() as u32);
        if child as usize == self.nodes.len() {
            self.nodes.push(Node::new());
        }
        match level {
            "+" => self.nodes[parent as usize].plus = child,
            "#" => self.nodes[parent as usize].hash = child,
            _ => {
                let hash = self.hasher.hash_one((parent, level));
                let hasher = &self.hasher;
                self.edges.insert_unique(hash, Edge { parent, child, level: level.into() }, |edge| {
                    hasher.hash_one((edge.parent, &*edge.level))
                });
                self.nodes[parent as usize].exact += 1;
            }
        }
        child
    }

    fn drop_child(&mut self, parent: u32, level: &str) {
        match level {
            "+" => self.nodes[parent as usize].plus = NONE,
            "#" => self.nodes[parent as usize].hash = NONE,
            _ => {
                let hash = self.hasher.hash_one((parent, level));
                if let Ok(edge) = self.edges.find_entry(hash, |edge| edge.parent == parent && *edge.level == *level) {
                    edge.remove();
                    self.nodes[parent as usize].exact -= 1;
                }
            }
        }
    }
}

type Branch<'t> = (u32, Option<&'t str>);

/// Branches still to visit: on the stack while few, so that a lookup does not allocate and a hostile filter of many
/// levels cannot exhaust the call stack.
struct Waiting<'t> {
    near: [Branch<'t>; BRANCHES],
    used: usize,
    far: Vec<Branch<'t>>,
}

impl<'t> Waiting<'t> {
    fn new() -> Self {
        Self { near: [(NONE, None); BRANCHES], used: 0, far: Vec::new() }
    }

    fn push(&mut self, branch: Branch<'t>) {
        if self.used < BRANCHES {
            self.near[self.used] = branch;
            self.used += 1;
        } else {
            self.far.push(branch);
        }
    }

    fn pop(&mut self) -> Option<Branch<'t>> {
        self.far.pop().or_else(|| {
            self.used = self.used.checked_sub(1)?;
            Some(self.near[self.used])
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::topic;

    fn found<T: Clone + Ord>(trie: &FilterTrie<T>, topic: &str) -> Vec<T> {
        let mut values = Vec::new();
        trie.for_each_match(topic, |value| values.push(value.clone()));
        values.sort();
        values
    }

    #[test]
    fn removing_the_last_value_prunes_its_nodes() {
        let mut trie = FilterTrie::new();
        trie.insert("a/b/c", 1);
        trie.insert("a/b/c", 2);
        trie.insert("a/+/#", 3);
        assert_eq!(trie.remove("a/b/c", |value| *value == 2), Some(2));
        assert_eq!(trie.remove("a/b/c", |value| *value == 2), None);
        assert_eq!(trie.remove("a/b", |_| true), None);
        for (filter, first) in [("a/b", None), ("a/b/c", Some(1)), ("a/+/#", Some(3)), ("a/x", None)] {
            assert_eq!(trie.first_mut(filter).copied(), first, "{filter}");
        }
        assert_eq!(trie.remove("a/b/c", |value| *value == 1), Some(1));
        assert_eq!(trie.edges.len(), 1, "only the level `a` is left");
        assert_eq!(trie.remove("a/+/#", |_| true), Some(3));
        assert!(trie.is_empty() && trie.edges.is_empty());
        assert!(trie.nodes[ROOT as usize].is_empty());
        assert_eq!(trie.free.len(), trie.nodes.len() - 1, "every node but the root is free again");
    }

    #[test]
    fn many_levels_and_branches_neither_overflow_nor_miss() {
        let mut trie = FilterTrie::new();
        let depth = 200;
        let plain = vec!["a"; depth].join("/");
        trie.insert(&plain, 0);
        for level in 0..depth {
            let mut levels = vec!["a"; depth];
            levels[level] = "+";
            trie.insert(&levels.join("/"), level + 1);
        }
        trie.insert(&vec!["+"; 30_000].join("/"), 9_999);
        assert_eq!(found(&trie, &plain).len(), depth + 1);
        assert_eq!(found(&trie, &"/".repeat(29_999)), [9_999]);
    }

    fn level() -> impl Strategy<Value = String> {
        prop_oneof![Just(String::new()), Just("a".into()), Just("b".into()), Just("$s".into()), Just("é".into())]
    }

    fn topic_strategy() -> impl Strategy<Value = String> {
        prop::collection::vec(level(), 1..5).prop_map(|levels| levels.join("/")).prop_filter("empty", |t| !t.is_empty())
    }

    fn filter_strategy() -> impl Strategy<Value = String> {
        let wild = prop_oneof![3 => level(), 1 => Just("+".to_owned())];
        (prop::collection::vec(wild, 0..5), any::<bool>())
            .prop_map(|(mut levels, hash)| {
                if hash {
                    levels.push("#".into());
                }
                levels.join("/")
            })
            .prop_filter("empty", |f| !f.is_empty())
    }

    proptest! {
        #[test]
        fn finds_exactly_the_filters_that_match(
            filters in prop::collection::vec(filter_strategy(), 0..40),
            removed in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
            topics in prop::collection::vec(topic_strategy(), 1..10),
        ) {
            let mut trie = FilterTrie::new();
            let mut kept: Vec<(usize, &str)> = Vec::new();
            for (id, filter) in filters.iter().enumerate() {
                prop_assert_eq!(topic::validate_filter(filter), Ok(()));
                trie.insert(filter, id);
                kept.push((id, filter));
            }
            for index in removed {
                if kept.is_empty() { break }
                let (id, filter) = kept.remove(index.index(kept.len()));
                prop_assert_eq!(trie.remove(filter, |value| *value == id), Some(id));
            }
            prop_assert_eq!(trie.len(), kept.len());
            prop_assert_eq!(trie.values().count(), kept.len());
            for topic in topics {
                let expected: Vec<usize> =
                    kept.iter().filter(|(_, filter)| topic::matches(filter, &topic)).map(|(id, _)| *id).collect();
                prop_assert_eq!(found(&trie, &topic), expected);
            }
        }
    }
}
