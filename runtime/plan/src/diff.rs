//! What differs between two plans, by name: what a reload has to touch, and what it must leave alone.

use std::collections::{HashMap, HashSet};

use crate::Plan;
use crate::document::Rule;

/// The parts of one kind, by what became of them. Names are sorted as in the plans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The same in both: not to be touched.
    pub unchanged: Vec<String>,
    /// In both, with other settings.
    pub changed: Vec<String>,
    /// Only in the new plan.
    pub added: Vec<String>,
    /// Only in the old plan.
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
    /// Sinks. A Sink whose Connector changed is changed.
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
            listeners: changes(&old.bridge.listeners, &new.bridge.listeners, |listener| &listener.name),
            sinks: changes(&old.sinks, &new.sinks, |sink| &sink.name),
            sources: changes(&old.sources, &new.sources, |source| &source.name),
            rules: changes(&old.rules, &new.rules, |rule| &rule.name),
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

fn changes<T: PartialEq>(old: &[T], new: &[T], name: impl Fn(&T) -> &String) -> Changes {
    let mut changes = Changes::default();
    let mut before: HashMap<&str, &T> = old.iter().map(|part| (name(part).as_str(), part)).collect();
    for part in new {
        let list = match before.remove(name(part).as_str()) {
            Some(before) if before == part => &mut changes.unchanged,
            Some(_) => &mut changes.changed,
            None => &mut changes.added,
        };
        list.push(name(part).clone());
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
