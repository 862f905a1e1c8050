//! What the last revisions of each Bridge held, and since when the newest is asked of the pods.
//!
//! A pod that runs an older revision runs most of the newest one already: an edited Rule says nothing about the others.
//! So each resource is compared by its own content, and only the ones that changed are said to be on their way. After
//! a restart older revisions are unknown; until the pods have the newest, nothing is claimed.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use isthmus_plan::{Plan, document};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;

use crate::index::BridgeKey;

/// Revisions that are remembered for each Bridge.
const REMEMBERED: usize = 4;

/// The last revisions of each Bridge.
#[derive(Debug, Default)]
pub struct History(Mutex<HashMap<BridgeKey, VecDeque<Revision>>>);

#[derive(Debug, Clone)]
struct Revision {
    name: String,
    since: Timestamp,
    contents: Arc<Contents>,
}

/// What a revision holds, as a hash for each part.
#[derive(Debug, Default, PartialEq, Eq)]
struct Contents {
    connectors: BTreeMap<String, u64>,
    sinks: BTreeMap<String, u64>,
    sources: BTreeMap<String, u64>,
    rules: BTreeMap<String, u64>,
}

/// A part of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// All of it.
    Whole,
    /// What Sinks and Sources have of this Connector.
    Connector(&'a str),
    /// This Sink.
    Sink(&'a str),
    /// This Source.
    Source(&'a str),
    /// This Rule.
    Rule(&'a str),
}

/// The revisions of one Bridge at one moment.
#[derive(Debug, Clone, Default)]
pub struct Revisions {
    known: Vec<Revision>,
}

impl History {
    /// Takes the newest plan of a Bridge, and returns what is known of its revisions.
    pub fn note(&self, key: &BridgeKey, plan: &Plan, now: Timestamp) -> Revisions {
        let mut history = self.0.lock();
        let known = history.entry(key.clone()).or_default();
        if known.front().is_none_or(|newest| newest.name != plan.revision) {
            let contents = Arc::new(Contents::of(plan));
            known.push_front(Revision { name: plan.revision.clone(), since: now, contents });
            known.truncate(REMEMBERED);
        }
        Revisions { known: known.iter().cloned().collect() }
    }

    /// Forgets a Bridge.
    pub fn forget(&self, key: &BridgeKey) {
        self.0.lock().remove(key);
    }
}

impl Revisions {
    /// Name of the newest.
    pub fn newest(&self) -> &str {
        self.known.first().map(|newest| newest.name.as_str()).unwrap_or_default()
    }

    /// Since when the newest is asked for.
    pub fn since(&self) -> Option<Timestamp> {
        self.known.first().map(|newest| newest.since)
    }

    /// Whether who runs `revision` has `part` as the newest has it.
    pub fn is_current(&self, revision: &str, part: Part<'_>) -> bool {
        let Some(newest) = self.known.first() else { return false };
        if newest.name == revision {
            return true;
        }
        let Some(other) = self.known.iter().find(|known| known.name == revision) else { return false };
        match part {
            Part::Whole => false,
            Part::Connector(name) => newest.contents.connectors.get(name) == other.contents.connectors.get(name),
            Part::Sink(name) => newest.contents.sinks.get(name) == other.contents.sinks.get(name),
            Part::Source(name) => newest.contents.sources.get(name) == other.contents.sources.get(name),
            Part::Rule(name) => newest.contents.rules.get(name) == other.contents.rules.get(name),
        }
    }
}

impl Contents {
    fn of(plan: &Plan) -> Self {
        let mut contents = Self::default();
        let of_sinks = plan.sinks.iter().map(|document::Sink { connector, kafka, .. }| (connector, kafka));
        let of_sources = plan.sources.iter().map(|document::Source { connector, kafka, .. }| (connector, kafka));
        for (connector, kafka) in of_sinks.chain(of_sources) {
            contents.connectors.entry(connector.clone()).or_insert_with(|| hash(kafka));
        }
        contents.sinks = plan.sinks.iter().map(|sink| (sink.name.clone(), hash(sink))).collect();
        contents.sources = plan.sources.iter().map(|source| (source.name.clone(), hash(source))).collect();
        contents.rules = plan.rules.iter().map(|rule| (rule.name.clone(), hash(rule))).collect();
        contents
    }
}

/// Held against other hashes of this process only.
fn hash(part: &impl Serialize) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(part).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures;

    #[test]
    fn an_edited_rule_says_nothing_about_the_others() {
        let key = BridgeKey::new("plant", "fleet");
        let bridge = fixtures::bridge(&json!({}));
        let plan = |sql: &str| {
            fixtures::plan(&bridge, vec![fixtures::rule("a", "SELECT * FROM \"a\""), fixtures::rule("b", sql)])
        };
        let history = History::default();
        let (old, new) = (plan("SELECT * FROM \"b\""), plan("SELECT * FROM \"c\""));
        let first = Timestamp::from_second(1).unwrap();
        let second = Timestamp::from_second(2).unwrap();
        history.note(&key, &old, first);
        let revisions = history.note(&key, &new, second);
        assert_eq!((revisions.newest(), revisions.since()), (new.revision.as_str(), Some(second)));
        let current = |part| revisions.is_current(&old.revision, part);
        assert!(current(Part::Rule("a")) && current(Part::Sink("vehicles")) && current(Part::Connector("kafka")));
        assert!(!current(Part::Rule("b")) && !current(Part::Whole));
        assert!(revisions.is_current(&new.revision, Part::Whole));
        assert!(!revisions.is_current("unknown", Part::Rule("a")));
        // The same plan again is not asked for anew.
        assert_eq!(history.note(&key, &new, Timestamp::from_second(9).unwrap()).since(), Some(second));
    }
}
