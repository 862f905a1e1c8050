//! The resources that a plan is rendered from, indexed by name.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use isthmus_api::{Bridge, Connector, ObjectRef, Rule, Sink, Source};
use kube::{Resource, ResourceExt as _};

use crate::finding::{Finding, reason};

/// All resources that may matter, of any number of Bridges and namespaces, in the order in which they were given.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    /// Bridges.
    pub bridges: Vec<Bridge>,
    /// Connectors.
    pub connectors: Vec<Connector>,
    /// Sinks.
    pub sinks: Vec<Sink>,
    /// Sources.
    pub sources: Vec<Source>,
    /// Rules.
    pub rules: Vec<Rule>,
    /// Secrets that exist, by namespace and name, and the keys that each has. Values never come near a plan.
    pub secrets: BTreeMap<(String, String), BTreeSet<String>>,
}

/// The same resources where they are: nothing is copied to render a plan.
#[derive(Debug, Clone, Default)]
pub struct Borrowed<'a> {
    /// Bridges.
    pub bridges: Vec<&'a Bridge>,
    /// Connectors.
    pub connectors: Vec<&'a Connector>,
    /// Sinks.
    pub sinks: Vec<&'a Sink>,
    /// Sources.
    pub sources: Vec<&'a Source>,
    /// Rules.
    pub rules: Vec<&'a Rule>,
    /// Secrets that exist, by namespace and name, and the keys that each has.
    pub secrets: BTreeMap<&'a (String, String), &'a BTreeSet<String>>,
}

impl<'a> From<&'a Resources> for Borrowed<'a> {
    fn from(resources: &'a Resources) -> Self {
        Self {
            bridges: resources.bridges.iter().collect(),
            connectors: resources.connectors.iter().collect(),
            sinks: resources.sinks.iter().collect(),
            sources: resources.sources.iter().collect(),
            rules: resources.rules.iter().collect(),
            secrets: resources.secrets.iter().collect(),
        }
    }
}

/// The namespace of a resource that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// Namespace of a resource.
pub(crate) fn namespace<K: Resource<DynamicType = ()>>(object: &K) -> &str {
    object.meta().namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE)
}

/// Kind, namespace and name of a resource.
pub(crate) fn reference<K: Resource<DynamicType = ()>>(object: &K) -> ObjectRef {
    ObjectRef::new(K::kind(&()), namespace(object), object.name_any())
}

/// The resources of one kind in one namespace, by name; a second resource of the same name is a finding.
pub(crate) fn index<'a, K: Resource<DynamicType = ()>>(
    all: &[&'a K],
    in_namespace: &str,
    findings: &mut Vec<Finding>,
) -> BTreeMap<String, &'a K> {
    let mut by_name = BTreeMap::new();
    for object in all.iter().copied().filter(|object| namespace(*object) == in_namespace) {
        let name = object.name_any();
        match by_name.entry(name) {
            Entry::Vacant(place) => {
                place.insert(object);
            }
            Entry::Occupied(first) => {
                let object = reference(object);
                let message = format!("there is already a {} called `{}`", object.kind, first.key());
                findings.push(
                    Finding::error(&object, "metadata.name", reason::DUPLICATE_NAME, message)
                        .with_help("give one of them another name, or remove it"),
                );
            }
        }
    }
    by_name
}
