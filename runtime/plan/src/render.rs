//! Resources and the plan in force → plan and findings. Pure: the same input gives the same plan, byte by byte.
//!
//! A resource with an error is left out, and so is what refers to it; everything else is rendered. When it runs in the plan
//! in force, what runs is kept instead, whole: a wrong edit changes nothing that runs. Each finding is attached to the
//! resource that has to change. A Secret that is not there, or lacks a key, is an error that leaves
//! nothing out: it may come back any moment, and until then what waits for Kafka stays in its buffer.

mod bridge;
mod connector;
mod keep;
mod link;
mod rule;
mod secret;
mod sink;
mod source;
mod template;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use isthmus_api::{Bridge, Connector, ObjectRef, Rule, Sink, Source};

use crate::{
    Borrowed, Finding, Plan, Resources, RuleCache, Severity,
    document::{Part, Rule as PlanRule},
    resources::{index, reference},
    revision,
};

use self::keep::InForce;
pub use self::keep::Kept;

/// What to render.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The Bridge to render, as namespace and name. `None`: the only one there is.
    pub bridge: Option<(String, String)>,
}

/// The outcome of [`render`].
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// Everything that passed, and what was kept; absent when there is no Bridge to render.
    pub plan: Option<Plan>,
    /// What is wrong, in the order Bridge, Connectors, Sinks, Sources, Rules. Empty: everything given is in the plan.
    pub findings: Vec<Finding>,
    /// What goes on in its last good version, in the order Bridge, Sinks, Sources, Rules.
    pub kept: Vec<Kept>,
}

impl Rendered {
    /// Whether anything of what was given is not in the plan.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// The resources around one Bridge, by name, and what was found so far.
struct Scope<'a> {
    namespace: &'a str,
    bridge: &'a str,
    bridges: BTreeMap<String, &'a Bridge>,
    connectors: BTreeMap<String, &'a Connector>,
    sinks: BTreeMap<String, &'a Sink>,
    sources: BTreeMap<String, &'a Source>,
    /// Keys of the Secrets that exist in the namespace.
    secrets: BTreeMap<&'a str, &'a BTreeSet<String>>,
    /// Resources that exist and cannot be read.
    unreadable: &'a [ObjectRef],
    in_force: InForce<'a>,
    findings: Vec<Finding>,
    kept: Vec<Kept>,
}

impl Scope<'_> {
    fn report(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

/// Renders the plan of one Bridge. `in_force` is the plan that runs now, if there is one: what it has of a resource that
/// is wrong now is kept.
///
/// Resources of other Bridges are not looked at, except that a reference to a Bridge that does not exist is a
/// finding in every plan. A named Bridge that does not exist gives findings and no plan.
pub fn render(resources: &Resources, options: &Options, in_force: Option<&Plan>) -> Rendered {
    render_readable(resources, &[], options, in_force)
}

/// The same when more resources exist than could be read: what runs of those is kept. A Bridge that could not be read is in
/// `resources` with any settings; those in force stay.
pub fn render_readable(
    resources: &Resources,
    unreadable: &[ObjectRef],
    options: &Options,
    in_force: Option<&Plan>,
) -> Rendered {
    render_all(&Borrowed::from(resources), unreadable, options, &mut RuleCache::default(), in_force)
}

/// The same for resources that stay where they are and are rendered again and again: Rules that `rules` knows from the
/// last time are not compiled again.
pub fn render_kept(
    resources: &Borrowed<'_>,
    options: &Options,
    rules: &mut RuleCache,
    in_force: Option<&Plan>,
) -> Rendered {
    rules.begin();
    let rendered = render_all(resources, &[], options, rules, in_force);
    rules.end();
    rendered
}

fn render_all(
    resources: &Borrowed<'_>,
    unreadable: &[ObjectRef],
    options: &Options,
    cache: &mut RuleCache,
    in_force: Option<&Plan>,
) -> Rendered {
    let mut findings = Vec::new();
    let chosen = bridge::choose(resources, options, &mut findings);
    let (namespace, name) = match (chosen, &options.bridge) {
        (Some(chosen), _) => {
            let ObjectRef { namespace, name, .. } = reference(chosen);
            (namespace, name)
        }
        // What refers to it is looked at all the same: each resource learns what is wrong with it.
        (None, Some(named)) => named.clone(),
        (None, None) => return Rendered { plan: None, findings, kept: Vec::new() },
    };
    let mut scope = Scope {
        bridges: index(&resources.bridges, &namespace, &mut findings),
        connectors: index(&resources.connectors, &namespace, &mut findings),
        sinks: index(&resources.sinks, &namespace, &mut findings),
        sources: index(&resources.sources, &namespace, &mut findings),
        secrets: secret::index(&resources.secrets, &namespace),
        namespace: &namespace,
        bridge: &name,
        unreadable,
        in_force: InForce::of(in_force, &namespace, &name),
        findings,
        kept: Vec::new(),
    };
    let rules = by_age(index(&resources.rules, &namespace, &mut scope.findings), &resources.rules);

    let bridge = chosen.map(|chosen| bridge::render(chosen, &mut scope));
    let connectors = connector::render_all(&mut scope);
    let sinks = sink::render_all(&connectors, &mut scope);
    let sources = source::render_all(&connectors, &mut scope);
    let accepted = rule::Accepted {
        sinks: sinks.iter().map(|sink| (sink.name(), sink)).collect(),
        sources: sources.iter().map(Part::name).collect::<BTreeSet<_>>(),
    };
    let rules: Vec<PlanRule> = rule::render_all(rules, &accepted, &mut scope, cache);

    let Scope { findings, kept, .. } = scope;
    let Some(bridge) = bridge else { return Rendered { plan: None, findings, kept: Vec::new() } };
    let mut plan = Plan { revision: String::new(), bridge, sinks, sources, rules };
    plan.revision = revision::of(&plan);
    Rendered { plan: Some(plan), findings, kept }
}

/// Oldest first, as rules see a message in the order in which they were made; among rules that carry no time (local
/// mode) the order in which they were given stands.
fn by_age<'a>(indexed: BTreeMap<String, &'a Rule>, given: &[&'a Rule]) -> Vec<&'a Rule> {
    // Of two rules of one name the one that is indexed is meant.
    let kept: HashSet<*const Rule> = indexed.into_values().map(std::ptr::from_ref).collect();
    let mut rules: Vec<&Rule> =
        given.iter().copied().filter(|rule| kept.contains(&std::ptr::from_ref(*rule))).collect();
    rules.sort_by(|a, b| {
        let time = |rule: &Rule| rule.metadata.creation_timestamp.as_ref().map(|time| time.0);
        match (time(a), time(b)) {
            (Some(one), Some(other)) => one.cmp(&other).then_with(|| a.metadata.name.cmp(&b.metadata.name)),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => std::cmp::Ordering::Equal,
        }
    });
    rules
}
