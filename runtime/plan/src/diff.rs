//! What differs between two plans, by name: what a reload has to touch, and what it must leave alone.

use std::collections::{HashMap, HashSet};

use crate::Plan;
use crate::document::{Part as _, Rule, Sink, Source};

/// The parts of one kind, by what became of them. Names are sorted as in the plans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The same in both: not to be touched.
    pub unchanged: Vec<String>,
    /// In both, with other settings.
    pub changed: Vec<String>,
    /// Only in the new plan, or made from another resource of the name: then it is in `removed` too.
    pub added: Vec<String>,
    /// Only in the old plan, or as above.
    pub removed: Vec<String>,
}

impl Changes {
    /// Whether nothing of this kind has to be touched.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.added.is_empty() && self.removed.is_empty()
    }
}

/// What differs between two plans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// Whether authentication, limits or the grace period changed: they apply to the next connection.
    pub settings: bool,
    /// Listeners: a changed one moved to another port or protocol.
    pub listeners: Changes,
    /// Sinks. A Sink whose Connector changed is changed. One with another uid is another Sink. (Another generation alone
    /// is no change, of whatever kind.)
    pub sinks: Changes,
    /// Sources. A Source whose Connector changed is changed.
    pub sources: Changes,
    /// Rules. A rule whose Sink changed is unchanged: it names the Sink.
    pub rules: Changes,
    /// Whether the rules see messages in another order.
    pub rule_order: bool,
}

impl Diff {
    /// From `old` to `new`.
    pub fn between(old: &Plan, new: &Plan) -> Self {
        let settings =
            |plan: &Plan| (plan.bridge.authentication.clone(), plan.bridge.mqtt.clone(), plan.bridge.drain.clone());
        Self {
            settings: settings(old) != settings(new),
            listeners: changes(
                &old.bridge.listeners,
                &new.bridge.listeners,
                |listener| &listener.name,
                |old, new| Some(old == new),
            ),
            sinks: changes(&old.sinks, &new.sinks, |sink| &sink.name, Sink::succeeded_by),
            sources: changes(&old.sources, &new.sources, |source| &source.name, Source::succeeded_by),
            rules: changes(&old.rules, &new.rules, |rule| &rule.name, Rule::succeeded_by),
            rule_order: !in_the_same_order(&old.rules, &new.rules),
        }
    }

    /// Whether the two plans run the same.
    pub fn is_empty(&self) -> bool {
        !self.settings
            && !self.rule_order
            && [&self.listeners, &self.sinks, &self.sources, &self.rules].into_iter().all(Changes::is_empty)
    }
}

/// `same` says whether two parts of one name run the same; nothing when they are no two versions of one resource.
fn changes<T>(old: &[T], new: &[T], name: impl Fn(&T) -> &String, same: impl Fn(&T, &T) -> Option<bool>) -> Changes {
    let mut changes = Changes::default();
    let mut before: HashMap<&str, &T> = old.iter().map(|part| (name(part).as_str(), part)).collect();
    for part in new {
        let name = name(part);
        let list = match before.get(name.as_str()).and_then(|before| same(before, part)) {
            Some(true) => &mut changes.unchanged,
            Some(false) => &mut changes.changed,
            None => {
                changes.added.push(name.clone());
                continue;
            }
        };
        before.remove(name.as_str());
        list.push(name.clone());
    }
    let gone = old.iter().map(name).filter(|name| before.contains_key(name.as_str()));
    changes.removed = gone.cloned().collect();
    changes
}

/// Whether the rules that are in both come in the same order.
fn in_the_same_order(old: &[Rule], new: &[Rule]) -> bool {
    let (in_old, in_new): (HashSet<_>, HashSet<_>) = (names(old).collect(), names(new).collect());
    names(old).filter(|name| in_new.contains(name)).eq(names(new).filter(|name| in_old.contains(name)))
}

fn names(rules: &[Rule]) -> impl Iterator<Item = &str> {
    rules.iter().map(|rule| rule.name.as_str())
}
