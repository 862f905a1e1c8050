//! What the API server holds, as far as it concerns us, arranged by Bridge. Fed by watches; pure.
//!
//! Owns the answer to two questions: which Bridge does a changed object concern ([`Index`]'s methods return the
//! [`BridgeKey`]s to visit), and what is there around one Bridge ([`Index::neighbourhood`]). It knows no client and
//! no clock.
//!
//! * `resource`: the five kinds, parsed, or why they cannot be parsed.
//! * `child`: what we made for Bridges.
//! * `pod`: what is to be known of a pod.
//! * `secret`: which keys a Secret has; never their values.

pub mod child;
mod key;
pub mod pod;
pub mod resource;
pub mod secret;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use isthmus_api::{Bridge, Connector, Rule, Sink, Source};
use isthmus_plan::Plan;
pub use key::BridgeKey;

use self::{
    child::{Child, ChildKind},
    pod::Pod,
    resource::{Kind, Parent, Stored, Table},
    secret::{Secret, SecretName},
};

/// Everything, by namespace and by Bridge.
#[derive(Debug, Default)]
pub struct Index {
    namespaces: HashMap<String, Namespace>,
    children: HashMap<BridgeKey, BTreeMap<(ChildKind, String), Arc<Child>>>,
    pods: HashMap<BridgeKey, BTreeMap<String, Arc<Pod>>>,
    secrets: HashMap<SecretName, Secret>,
}

/// The five kinds in one namespace.
#[derive(Debug, Default)]
pub struct Namespace {
    pub(crate) bridges: Table<Bridge>,
    pub(crate) connectors: Table<Connector>,
    pub(crate) sinks: Table<Sink>,
    pub(crate) sources: Table<Source>,
    pub(crate) rules: Table<Rule>,
}

/// What is there around one Bridge. Pointers, not copies.
#[derive(Debug, Default)]
pub struct Neighbourhood {
    /// Name of the Bridge, which may not exist.
    pub name: String,
    /// The Bridge itself, if it exists.
    pub bridge: Option<Stored<Bridge>>,
    /// All Bridges of the namespace that can be read.
    pub bridges: Vec<Arc<Bridge>>,
    /// Names of all of them, whether they can be read or not.
    pub bridge_names: BTreeSet<String>,
    /// All Connectors of the namespace.
    pub connectors: Vec<Stored<Connector>>,
    /// All Sinks of the namespace.
    pub sinks: Vec<Stored<Sink>>,
    /// All Sources of the namespace.
    pub sources: Vec<Stored<Source>>,
    /// The Rules of this Bridge.
    pub rules: Vec<Stored<Rule>>,
    /// Rules that name a Bridge which does not exist.
    pub stray_rules: Vec<Stored<Rule>>,
    /// Whose pods run what leads to no Bridge any more, by kind and name.
    pub runners: HashMap<(String, String), String>,
    /// What we made for it.
    pub children: BTreeMap<(ChildKind, String), Arc<Child>>,
    /// Its pods, by name.
    pub pods: Vec<Arc<Pod>>,
}

impl Neighbourhood {
    /// Whether nothing is left of the Bridge and what belongs to it.
    pub fn is_empty(&self) -> bool {
        self.bridge.is_none()
            && self.rules.is_empty()
            && self.children.is_empty()
            && self.connectors_here().next().is_none()
            && self.of_connectors_here(&self.sinks).next().is_none()
            && self.of_connectors_here(&self.sources).next().is_none()
    }

    /// The Connectors of this Bridge.
    pub fn connectors_here(&self) -> impl Iterator<Item = &Stored<Connector>> {
        self.connectors.iter().filter(|connector| self.is_here(*connector))
    }

    /// Of Sinks or Sources, those of this Bridge. Those whose Connector does not exist belong to the Bridge whose pods run
    /// them, otherwise to the one without a name.
    pub fn of_connectors_here<'a, K: Kind>(&'a self, all: &'a [Stored<K>]) -> impl Iterator<Item = &'a Stored<K>> {
        all.iter().filter(|stored| self.is_here(*stored))
    }

    /// Takes what leads to no Bridge to the one whose pods run it: an edit that is wrong takes a resource to nobody else.
    /// `plans` are those in force in the namespace, by name of the Bridge.
    pub fn take_strays(&mut self, plans: &[(String, Arc<Plan>)]) {
        let mut strays = Vec::new();
        self.find_strays(&self.connectors, &mut strays);
        self.find_strays(&self.sinks, &mut strays);
        self.find_strays(&self.sources, &mut strays);
        self.find_strays(&self.stray_rules, &mut strays);
        if strays.is_empty() {
            return;
        }
        let running: HashMap<(&str, &str), &str> = plans
            .iter()
            .filter(|(bridge, _)| self.bridge_names.contains(bridge))
            .flat_map(|(bridge, plan)| parts(plan).map(move |part| (part, bridge.as_str())))
            .collect();
        let runner = |(kind, name): (String, String)| {
            let bridge = (*running.get(&(kind.as_str(), name.as_str()))?).to_owned();
            Some(((kind, name), bridge))
        };
        self.runners = strays.into_iter().filter_map(runner).collect();
        let mut rules = std::mem::take(&mut self.rules);
        rules.retain(|rule| self.is_here(rule));
        // Those that name this Bridge when it does not exist are among them already.
        if self.bridge.is_some() {
            rules.extend(self.stray_rules.iter().filter(|rule| self.is_here(*rule)).cloned());
        }
        self.rules = rules;
    }

    /// Whether something that leads to no Bridge, and that this one's pods ran so far, is not in its new plan.
    pub fn lets_go(&self, plan: &Plan) -> bool {
        let mine = self.runners.iter().filter(|(_, runner)| **runner == self.name);
        let runs = |kind: &str, name: &str| parts(plan).any(|part| part == (kind, name));
        mine.into_iter().any(|((kind, name), _)| !runs(kind, name))
    }

    fn find_strays<K: Kind>(&self, all: &[Stored<K>], into: &mut Vec<(String, String)>) {
        let strays = all.iter().filter(|stored| !self.bridge_names.contains(self.leads_to(*stored)));
        into.extend(strays.map(|stored| (K::kind(&()).into_owned(), stored.name().to_owned())));
    }

    fn is_here<K: Kind>(&self, stored: &Stored<K>) -> bool {
        // Hardly ever is there one: no name is copied to look for it.
        let runner = (!self.runners.is_empty())
            .then(|| self.runners.get(&(K::kind(&()).into_owned(), stored.name().to_owned())))
            .flatten();
        runner.map_or_else(|| self.leads_to(stored), String::as_str) == self.name
    }

    /// Name of the Bridge that a resource leads to, which may not exist; empty when its Connector does not.
    fn leads_to<'a, K: Kind>(&'a self, stored: &'a Stored<K>) -> &'a str {
        match stored.parent() {
            Parent::Itself => stored.name(),
            Parent::Bridge(name) => name,
            Parent::Connector(name) => {
                match self.connectors.iter().find(|connector| connector.name() == name).map(Stored::parent) {
                    Some(Parent::Bridge(name)) => name,
                    _ => "",
                }
            }
        }
    }
}

/// What a plan runs, by kind and name.
fn parts(plan: &Plan) -> impl Iterator<Item = (&'static str, &str)> {
    let of_sinks = plan.sinks.iter().flat_map(|sink| [("Connector", &*sink.connector), ("Sink", &*sink.name)]);
    let of_sources =
        plan.sources.iter().flat_map(|source| [("Connector", &*source.connector), ("Source", &*source.name)]);
    of_sinks.chain(of_sources).chain(plan.rules.iter().map(|rule| ("Rule", &*rule.name)))
}

impl Index {
    /// Takes a new or changed resource; returns which Bridges it concerns.
    pub fn put<K: Kind>(&mut self, stored: &Stored<K>) -> BTreeSet<BridgeKey> {
        let name = stored.namespace().to_owned();
        let namespace = self.namespaces.entry(name.clone()).or_default();
        let before = K::table(namespace).get(stored.name()).cloned();
        if before.as_ref().is_some_and(|before| before.is_newer_than(stored)) {
            return BTreeSet::new();
        }
        let same = before.as_ref().is_some_and(|before| before.says_the_same(stored));
        let mut keys = BTreeSet::new();
        if !same {
            keys.extend(before.as_ref().map(|before| namespace.key(&name, before)));
        }
        let moved = before.as_ref().is_none_or(|before| before.parent() != stored.parent());
        K::table(namespace).insert(stored.name().to_owned(), stored.clone());
        if !same {
            keys.insert(namespace.key(&name, stored));
            if moved {
                namespace.add_neighbours::<K>(&name, &mut keys);
            }
            namespace.add_runners(&name, stored, &mut keys);
        }
        keys
    }

    /// Forgets a resource; returns which Bridges that concerns.
    pub fn remove<K: Kind>(&mut self, in_namespace: &str, name: &str) -> BTreeSet<BridgeKey> {
        let mut keys = BTreeSet::new();
        let Some(namespace) = self.namespaces.get_mut(in_namespace) else { return keys };
        if let Some(gone) = K::table(namespace).remove(name) {
            keys.insert(namespace.key(in_namespace, &gone));
            namespace.add_runners(in_namespace, &gone, &mut keys);
            namespace.add_neighbours::<K>(in_namespace, &mut keys);
        }
        keys
    }

    /// Names of the resources of a kind, as namespace and name.
    pub fn names<K: Kind>(&mut self) -> BTreeSet<(String, String)> {
        let mut names = BTreeSet::new();
        for (namespace, content) in &mut self.namespaces {
            names.extend(K::table(content).keys().map(|name| (namespace.clone(), name.clone())));
        }
        names
    }

    /// Takes a new or changed child.
    pub fn put_child(&mut self, child: Child) -> Option<BridgeKey> {
        let key = child.bridge.clone()?;
        let children = self.children.entry(key.clone()).or_default();
        let place = (child.kind, child.name.clone());
        if children.get(&place).is_some_and(|before| before.is_newer_than(&child)) {
            return None;
        }
        let changed = children.get(&place).is_none_or(|before| !before.says_the_same(&child));
        children.insert(place, Arc::new(child));
        changed.then_some(key)
    }

    /// Forgets a child.
    pub fn remove_child(&mut self, kind: ChildKind, namespace: &str, name: &str) -> Option<BridgeKey> {
        let key = self.children.iter().find_map(|(key, children)| {
            (key.namespace == namespace && children.contains_key(&(kind, name.to_owned()))).then(|| key.clone())
        })?;
        let children = self.children.get_mut(&key)?;
        children.remove(&(kind, name.to_owned()));
        if children.is_empty() {
            self.children.remove(&key);
        }
        Some(key)
    }

    /// Names of the children of a kind.
    pub fn child_names(&self, kind: ChildKind) -> BTreeSet<(String, String)> {
        self.children
            .iter()
            .flat_map(|(key, children)| {
                children
                    .keys()
                    .filter(move |(found, _)| *found == kind)
                    .map(|(_, name)| (key.namespace.clone(), name.clone()))
            })
            .collect()
    }

    /// Takes a new or changed pod.
    pub fn put_pod(&mut self, pod: Pod) -> Option<BridgeKey> {
        let key = pod.bridge.clone();
        let pods = self.pods.entry(key.clone()).or_default();
        let changed = pods.get(&pod.name).is_none_or(|before| **before != pod);
        pods.insert(pod.name.clone(), Arc::new(pod));
        changed.then_some(key)
    }

    /// Forgets a pod.
    pub fn remove_pod(&mut self, namespace: &str, name: &str) -> Option<BridgeKey> {
        let key = self
            .pods
            .iter()
            .find_map(|(key, pods)| (key.namespace == namespace && pods.contains_key(name)).then(|| key.clone()))?;
        let pods = self.pods.get_mut(&key)?;
        pods.remove(name);
        if pods.is_empty() {
            self.pods.remove(&key);
        }
        Some(key)
    }

    /// Names of the pods.
    pub fn pod_names(&self) -> BTreeSet<(String, String)> {
        self.pods.iter().flat_map(|(key, pods)| pods.keys().map(|name| (key.namespace.clone(), name.clone()))).collect()
    }

    /// Takes what is known of a Secret; returns whether that is news.
    pub fn put_secret(&mut self, name: SecretName, secret: &Secret) -> bool {
        self.secrets.insert(name, secret.clone()).is_none_or(|before| before != *secret)
    }

    /// Forgets a Secret that nobody needs any more.
    pub fn forget_secret(&mut self, name: &SecretName) {
        self.secrets.remove(name);
    }

    /// What is known of a Secret.
    pub fn secret(&self, name: &SecretName) -> Option<&Secret> {
        self.secrets.get(name)
    }

    /// Every Bridge there is or that something refers to.
    pub fn keys(&self) -> BTreeSet<BridgeKey> {
        let mut keys: BTreeSet<BridgeKey> = self.children.keys().cloned().collect();
        for (name, namespace) in &self.namespaces {
            namespace.add_all(name, &mut keys);
        }
        keys
    }

    /// Whether a Bridge exists.
    pub fn has_bridge(&self, key: &BridgeKey) -> bool {
        self.namespaces.get(&key.namespace).is_some_and(|namespace| namespace.bridges.contains_key(&key.name))
    }

    /// What is there around a Bridge.
    pub fn neighbourhood(&self, key: &BridgeKey) -> Neighbourhood {
        let mut found = Neighbourhood {
            name: key.name.clone(),
            children: self.children.get(key).cloned().unwrap_or_default(),
            pods: self.pods.get(key).into_iter().flatten().map(|(_, pod)| Arc::clone(pod)).collect(),
            ..Neighbourhood::default()
        };
        if let Some(namespace) = self.namespaces.get(&key.namespace) {
            found.bridge = namespace.bridges.get(&key.name).cloned();
            found.bridges = namespace.bridges.values().filter_map(|stored| stored.object().cloned()).collect();
            found.bridge_names = namespace.bridges.keys().cloned().collect();
            found.connectors = namespace.connectors.values().cloned().collect();
            found.sinks = namespace.sinks.values().cloned().collect();
            found.sources = namespace.sources.values().cloned().collect();
            found.rules =
                namespace.rules.values().filter(|rule| namespace.bridge_of(*rule) == key.name).cloned().collect();
            found.stray_rules = namespace.rules.values().filter(|rule| namespace.is_stray(*rule)).cloned().collect();
        }
        found
    }

    /// The uids of all Bridges, Sinks, Sources and Rules.
    pub fn uids(&self) -> HashSet<String> {
        let mut uids = HashSet::new();
        for namespace in self.namespaces.values() {
            uids.extend(namespace.bridges.values().filter_map(|stored| stored.metadata().uid.clone()));
            uids.extend(namespace.sinks.values().filter_map(|stored| stored.metadata().uid.clone()));
            uids.extend(namespace.sources.values().filter_map(|stored| stored.metadata().uid.clone()));
            uids.extend(namespace.rules.values().filter_map(|stored| stored.metadata().uid.clone()));
        }
        uids
    }

    /// How many resources there are, by kind.
    pub fn counts(&self) -> [(&'static str, usize); 5] {
        let sum = |count: fn(&Namespace) -> usize| self.namespaces.values().map(count).sum();
        [
            ("Bridge", sum(|namespace| namespace.bridges.len())),
            ("Connector", sum(|namespace| namespace.connectors.len())),
            ("Sink", sum(|namespace| namespace.sinks.len())),
            ("Source", sum(|namespace| namespace.sources.len())),
            ("Rule", sum(|namespace| namespace.rules.len())),
        ]
    }

    /// What all conditions say, as kind, type and status, and how many say so.
    pub fn conditions(&self) -> BTreeMap<(&'static str, &str, &str), usize> {
        let mut found = BTreeMap::new();
        for namespace in self.namespaces.values() {
            resource::conditions("Bridge", &namespace.bridges, |status| &status.conditions, &mut found);
            resource::conditions("Connector", &namespace.connectors, |status| &status.conditions, &mut found);
            resource::conditions("Sink", &namespace.sinks, |status| &status.conditions, &mut found);
            resource::conditions("Source", &namespace.sources, |status| &status.conditions, &mut found);
            resource::conditions("Rule", &namespace.rules, |status| &status.conditions, &mut found);
        }
        found
    }
}

impl Namespace {
    /// The Bridge that a resource belongs to. What leads nowhere belongs to the Bridge without a name.
    pub(crate) fn key<K: Kind>(&self, namespace: &str, stored: &Stored<K>) -> BridgeKey {
        BridgeKey::new(namespace, self.bridge_of(stored))
    }

    fn bridge_of<'a, K: Kind>(&'a self, stored: &'a Stored<K>) -> &'a str {
        match stored.parent() {
            Parent::Itself => stored.name(),
            Parent::Bridge(name) => name,
            Parent::Connector(name) => self.connectors.get(name).map_or("", |connector| match connector.parent() {
                Parent::Bridge(name) => name,
                _ => "",
            }),
        }
    }

    /// What appeared, vanished or moved may be what others refer to, or misspell.
    fn add_neighbours<K: Kind>(&self, namespace: &str, keys: &mut BTreeSet<BridgeKey>) {
        if K::kind(&()) != "Rule" {
            self.add_all(namespace, keys);
        }
    }

    /// Whether a resource leads to no Bridge.
    fn is_stray<K: Kind>(&self, stored: &Stored<K>) -> bool {
        !self.bridges.contains_key(self.bridge_of(stored))
    }

    /// The pods of any Bridge may run what leads to none.
    fn add_runners<K: Kind>(&self, namespace: &str, stored: &Stored<K>, keys: &mut BTreeSet<BridgeKey>) {
        if self.is_stray(stored) {
            keys.extend(self.bridges.keys().map(|name| BridgeKey::new(namespace, name)));
        }
    }

    fn add_all(&self, namespace: &str, keys: &mut BTreeSet<BridgeKey>) {
        let mut names: BTreeSet<&str> = self.bridges.keys().map(String::as_str).collect();
        names.extend(self.connectors.values().map(|stored| self.bridge_of(stored)));
        names.extend(self.sinks.values().map(|stored| self.bridge_of(stored)));
        names.extend(self.sources.values().map(|stored| self.bridge_of(stored)));
        names.extend(self.rules.values().map(|stored| self.bridge_of(stored)));
        keys.extend(names.into_iter().map(|name| BridgeKey::new(namespace, name)));
    }
}

#[cfg(test)]
mod tests;
