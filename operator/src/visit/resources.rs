//! What the plan is rendered from, and what was found about each resource.

use std::collections::HashMap;

use isthmus_api::ObjectRef;
use isthmus_plan::{Borrowed, Finding, Kept, Rendered};

use super::secrets::Present;
use crate::{
    index::{
        Neighbourhood,
        resource::{Kind, Stored},
    },
    status::diagnose::{Diagnosis, LastGood},
};

/// The resources around a Bridge, as far as they can be read. What is being deleted counts as gone.
pub(super) fn gather<'a>(around: &'a Neighbourhood, secrets: &'a Present) -> Borrowed<'a> {
    Borrowed {
        bridges: around.bridges.iter().map(AsRef::as_ref).filter(|bridge| stays(*bridge)).collect(),
        connectors: readable(&around.connectors),
        sinks: readable(&around.sinks),
        sources: readable(&around.sources),
        rules: readable(&around.rules),
        secrets: secrets.iter().collect(),
    }
}

fn readable<K: Kind>(all: &[Stored<K>]) -> Vec<&K> {
    all.iter().filter_map(Stored::object).map(AsRef::as_ref).filter(|object| stays(*object)).collect()
}

fn stays<K: Kind>(object: &K) -> bool {
    object.meta().deletion_timestamp.is_none()
}

/// What was found about each resource.
#[derive(Debug)]
pub(super) struct Diagnoses {
    by_object: HashMap<ObjectRef, Diagnosis>,
}

impl Diagnoses {
    pub(super) fn of(around: &Neighbourhood, Rendered { findings, kept, .. }: &Rendered) -> Self {
        let mut by_object = HashMap::new();
        let mut grouped: HashMap<&ObjectRef, Vec<&Finding>> = HashMap::new();
        for finding in findings {
            grouped.entry(&finding.object).or_default().push(finding);
        }
        let found = &Found { findings: grouped, kept: kept.iter().map(|kept| (&kept.object, kept)).collect() };
        diagnose(around.bridge.as_slice(), found, &mut by_object, |_, _| None);
        diagnose(&around.connectors, found, &mut by_object, |_, _| None);
        diagnose(&around.sinks, found, &mut by_object, |sink, path| match path {
            "spec.topic" => Some(&sink.spec.topic),
            "spec.key" => Some(&sink.spec.key),
            "spec.value" => Some(&sink.spec.value),
            "spec.timestamp" => Some(&sink.spec.timestamp),
            _ => None,
        });
        diagnose(&around.sources, found, &mut by_object, |_, _| None);
        diagnose(&around.rules, found, &mut by_object, |rule, path| (path == "spec.sql").then_some(&*rule.spec.sql));
        Self { by_object }
    }

    pub(super) fn of_resource<K: Kind>(&self, stored: &Stored<K>) -> Diagnosis {
        self.by_object.get(&reference(stored)).cloned().unwrap_or_else(|| Diagnosis::of(&[], |_| None))
    }

    pub(super) fn of_bridge(&self, name: &str) -> Diagnosis {
        let found = self.by_object.iter().find(|(object, _)| object.kind == "Bridge" && object.name == name);
        found.map_or_else(|| Diagnosis::of(&[], |_| None), |(_, diagnosis)| diagnosis.clone())
    }
}

fn reference<K: Kind>(stored: &Stored<K>) -> ObjectRef {
    ObjectRef::new(K::kind(&()), stored.namespace(), stored.name())
}

/// What a rendering found, by resource.
struct Found<'a> {
    findings: HashMap<&'a ObjectRef, Vec<&'a Finding>>,
    kept: HashMap<&'a ObjectRef, &'a Kept>,
}

fn diagnose<K: Kind>(
    all: &[Stored<K>],
    found: &Found<'_>,
    into: &mut HashMap<ObjectRef, Diagnosis>,
    text_of: impl for<'k> Fn(&'k K, &str) -> Option<&'k str>,
) {
    for stored in all {
        let object = reference(stored);
        let diagnosis = match stored {
            Stored::Unreadable(unreadable) => Diagnosis::unreadable(&unreadable.message),
            Stored::Parsed(parsed) => {
                let findings = found.findings.get(&object).map(Vec::as_slice).unwrap_or_default();
                Diagnosis::of(findings, |path| text_of(parsed, path))
            }
        };
        let diagnosis = match found.kept.get(&object) {
            Some(kept) => diagnosis.going_on(LastGood {
                running: kept.generation,
                newest: stored.metadata().generation.unwrap_or_default(),
            }),
            None => diagnosis,
        };
        into.insert(object, diagnosis);
    }
}
