//! What runs and stays: the entry of the plan in force goes on where the present version of its resource is wrong.
//!
//! An entry is kept whole, as it is in the plan in force. Only the actions of a Rule follow the Sinks there are. What this
//! version could not run (the plan in force may be of another one) is not kept: it would keep everything else from running.

use std::collections::{BTreeSet, HashMap};

use isthmus_api::ObjectRef;
use isthmus_rules::{
    From,
    template::{Template, TemplateKind},
};
use serde::Serialize;

use super::Scope;
use crate::{
    Plan,
    document::{Action, ActionKind, Part, Rule, Sink, Source},
};

/// A resource whose entry of the plan in force was kept, although its present version has an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The resource.
    pub object: ObjectRef,
    /// The generation that goes on, as far as it is known.
    pub generation: Option<i64>,
}

/// What became of a resource.
pub(super) enum Made<T> {
    /// It is in the plan.
    Right(T),
    /// It has an error, or what it refers to has.
    Wrong,
    /// It is not to run here: disabled, or of another Bridge.
    NotHere,
}

/// The parts of the plan in force, by name.
#[derive(Default)]
pub(super) struct InForce<'a> {
    pub(super) plan: Option<&'a Plan>,
    sinks: HashMap<&'a str, &'a Sink>,
    sources: HashMap<&'a str, &'a Source>,
    rules: HashMap<&'a str, &'a Rule>,
}

impl<'a> InForce<'a> {
    /// Those of `plan`, if it is one of this Bridge.
    pub(super) fn of(plan: Option<&'a Plan>, namespace: &str, bridge: &str) -> Self {
        let Some(plan) = plan.filter(|plan| plan.bridge.namespace == namespace && plan.bridge.name == bridge) else {
            return Self::default();
        };
        Self {
            plan: Some(plan),
            sinks: by_name(&plan.sinks),
            sources: by_name(&plan.sources),
            rules: by_name(&plan.rules),
        }
    }

    /// Whether this Rule runs with an action for this Sink, be it there or gone.
    pub(super) fn hands_to(&self, rule: &str, uid: Option<&str>, sink: &str) -> bool {
        let running = self.rules.get(rule).filter(|running| running.is_of(uid));
        running.is_some_and(|running| running.actions.iter().any(|action| target(action) == Some(sink)))
    }
}

fn by_name<T: Part>(parts: &[T]) -> HashMap<&str, &T> {
    parts.iter().map(|part| (part.name(), part)).collect()
}

/// The Sink that an action is for.
fn target(action: &Action) -> Option<&str> {
    match &action.kind {
        ActionKind::Sink(name) | ActionKind::Missing(name) => Some(name),
        ActionKind::Republish(_) | ActionKind::Console => None,
    }
}

/// A kind of which entries can be kept.
pub(super) trait Keep: Part {
    const KIND: &'static str;
    fn running<'a, 's>(in_force: &'s InForce<'a>) -> &'s HashMap<&'a str, &'a Self>;
    fn runs_in_this_version(&self) -> bool;
}

impl Keep for Sink {
    const KIND: &'static str = "Sink";

    fn running<'a, 's>(in_force: &'s InForce<'a>) -> &'s HashMap<&'a str, &'a Self> {
        &in_force.sinks
    }

    fn runs_in_this_version(&self) -> bool {
        compiles(&self.topic, TemplateKind::Topic)
            && [&self.key, &self.value, &self.timestamp].into_iter().all(|text| compiles(text, TemplateKind::Action))
    }
}

impl Keep for Source {
    const KIND: &'static str = "Source";

    fn running<'a, 's>(in_force: &'s InForce<'a>) -> &'s HashMap<&'a str, &'a Self> {
        &in_force.sources
    }

    fn runs_in_this_version(&self) -> bool {
        self.topic_mapping.iter().all(|mapping| {
            mapping.mqtt_topic.as_ref().is_none_or(|topic| {
                compiles(topic, TemplateKind::Topic) && compiles(&mapping.payload_template, TemplateKind::Action)
            })
        })
    }
}

impl Keep for Rule {
    const KIND: &'static str = "Rule";

    fn running<'a, 's>(in_force: &'s InForce<'a>) -> &'s HashMap<&'a str, &'a Self> {
        &in_force.rules
    }

    fn runs_in_this_version(&self) -> bool {
        let selects = isthmus_rules::Rule::compile(&self.sql)
            .is_ok_and(|compiled| !compiled.rule.from().iter().any(|entry| matches!(entry.from, From::Event(_))));
        selects
            && self.actions.iter().all(|action| match &action.kind {
                ActionKind::Republish(republish) => {
                    [&republish.topic, &republish.payload].into_iter().all(|text| compiles(text, TemplateKind::Topic))
                }
                ActionKind::Sink(_) | ActionKind::Missing(_) | ActionKind::Console => true,
            })
    }
}

fn compiles(text: &str, kind: TemplateKind) -> bool {
    Template::compile(text, kind).is_ok()
}

impl Scope<'_> {
    /// The entry in force of a resource that is wrong now; it is noted as kept.
    pub(super) fn keep<T: Keep>(&mut self, name: &str, uid: Option<&str>) -> Option<T> {
        let running = *T::running(&self.in_force).get(name)?;
        if !running.is_of(uid) || !running.runs_in_this_version() {
            return None;
        }
        let object = ObjectRef::new(T::KIND, self.namespace, name);
        self.kept.push(Kept { object, generation: running.generation() });
        Some(running.clone())
    }

    /// The entries in force of the resources of this kind that exist and cannot be read.
    pub(super) fn keep_unreadable<T: Keep>(&mut self, made: &[T]) -> Vec<T> {
        let known: BTreeSet<&str> = made.iter().map(Part::name).collect();
        let unreadable = self.unreadable.iter().filter(|object| {
            object.kind == T::KIND && object.namespace == self.namespace && !known.contains(object.name.as_str())
        });
        let names: BTreeSet<String> = unreadable.map(|object| object.name.clone()).collect();
        names.into_iter().filter_map(|name| self.keep(&name, None)).collect()
    }

    /// Rules that cannot be read have no place among the others: they stay behind the one that they ran behind.
    pub(super) fn put_back(&self, kept: Vec<Rule>, rules: &mut Vec<Rule>) {
        let mut kept: HashMap<String, Rule> = kept.into_iter().map(|rule| (rule.name.clone(), rule)).collect();
        let Some(plan) = self.in_force.plan.filter(|_| !kept.is_empty()) else { return };
        let mut place = 0;
        for running in &plan.rules {
            if let Some(rule) = kept.remove(&running.name) {
                rules.insert(place, rule);
                place += 1;
            } else if let Some(found) = rules.iter().position(|rule| rule.name == running.name) {
                place = found + 1;
            }
        }
    }
}

/// Lets the actions of a kept Rule follow the Sinks there are.
pub(super) fn retarget(rule: &mut Rule, sinks: impl Fn(&str) -> bool) {
    for action in &mut rule.actions {
        if let ActionKind::Sink(name) | ActionKind::Missing(name) = &mut action.kind {
            let name = std::mem::take(name);
            action.kind = if sinks(&name) { ActionKind::Sink(name) } else { ActionKind::Missing(name) };
        }
    }
}
