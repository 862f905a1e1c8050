//! References: which Bridge a resource belongs to, and what to say when a reference points at nothing.

use std::collections::BTreeMap;

use isthmus_api::ObjectRef;

use super::Scope;
use crate::{Finding, finding::reason};

/// Where a reference to a Bridge, or to something of a Bridge, leads.
pub(super) enum Link {
    /// To the Bridge that is being rendered.
    Here,
    /// To another Bridge that exists.
    Elsewhere,
    /// To nothing: reported.
    Nowhere,
}

/// Follows `spec.bridgeRef` of `object`.
pub(super) fn to_bridge(object: &ObjectRef, name: &str, scope: &mut Scope<'_>) -> Link {
    if scope.bridges.contains_key(name) {
        return if name == scope.bridge { Link::Here } else { Link::Elsewhere };
    }
    let finding = not_found(object, "spec.bridgeRef.name", "Bridge", name, scope.bridges.keys());
    scope.report(finding);
    Link::Nowhere
}

/// Follows `spec.connectorRef` of `object`, and that Connector's Bridge.
pub(super) fn to_connector(object: &ObjectRef, name: &str, scope: &mut Scope<'_>) -> Link {
    let path = "spec.connectorRef.name";
    let Some(connector) = scope.connectors.get(name).copied() else {
        let finding = not_found(object, path, "Connector", name, scope.connectors.keys());
        scope.report(finding);
        return Link::Nowhere;
    };
    let bridge = &connector.spec.bridge_ref.name;
    if scope.bridges.contains_key(bridge) {
        return if bridge == scope.bridge { Link::Here } else { Link::Elsewhere };
    }
    let message = format!("the Connector `{name}` names a Bridge `{bridge}` that does not exist");
    scope.report(
        Finding::error(object, path, reason::REF_NOT_ACCEPTED, message).with_help("correct the Connector first"),
    );
    Link::Nowhere
}

/// A reference to something that does not exist, with the nearest name or all there are.
pub(super) fn not_found<'n>(
    object: &ObjectRef,
    path: impl Into<String>,
    kind: &str,
    name: &str,
    known: impl Iterator<Item = &'n String>,
) -> Finding {
    let message = format!("there is no {kind} called `{name}` in namespace `{}`", object.namespace);
    Finding::error(object, path, reason::REF_NOT_FOUND, message).with_help(suggestion(kind, name, known))
}

pub(super) fn suggestion<'n>(kind: &str, name: &str, known: impl Iterator<Item = &'n String>) -> String {
    let known: Vec<&str> = known.map(String::as_str).collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("add a {kind} of that name"),
        None => {
            let shown = known.iter().take(5).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let more = if known.len() > 5 { ", …" } else { "" };
            format!("add it, or name one there is: {shown}{more}")
        }
    }
}

/// The known name that `name` is most likely a misspelling of.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// Why a Sink or Source that a rule names is not in the plan.
pub(super) fn unusable<'a, K>(
    object: &ObjectRef,
    path: impl Into<String>,
    kind: &str,
    name: &str,
    all: &BTreeMap<String, &'a K>,
    connector_of: impl Fn(&'a K) -> &'a str,
    scope: &Scope<'a>,
) -> Finding {
    let Some(target) = all.get(name) else {
        return not_found(object, path, kind, name, all.keys());
    };
    let bridge = scope.connectors.get(connector_of(target)).map(|connector| connector.spec.bridge_ref.name.as_str());
    match bridge {
        Some(bridge) if bridge != scope.bridge && scope.bridges.contains_key(bridge) => {
            let message = format!(
                "the {kind} `{name}` belongs to the Bridge `{bridge}`, this rule to the Bridge `{}`",
                scope.bridge
            );
            Finding::error(object, path, reason::REF_OF_OTHER_BRIDGE, message)
                .with_help("a rule and its Sinks and Sources share one Bridge: change one of the references")
        }
        _ => {
            let message = format!("the {kind} `{name}` has an error of its own");
            Finding::error(object, path, reason::REF_NOT_ACCEPTED, message)
                .with_help(format!("correct the {kind} first"))
        }
    }
}
