//! Labels: what all children carry, and by which of them pods are found.

use std::collections::BTreeMap;

use isthmus_api::Bridge;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt as _;

use crate::names;

/// Labels that tell the pods of one Bridge from all others. They never change: a Deployment's selector cannot.
fn identity(bridge: &Bridge) -> BTreeMap<String, String> {
    BTreeMap::from([
        (names::NAME.to_owned(), "isthmus".to_owned()),
        (names::INSTANCE.to_owned(), bridge.name_any()),
        (names::COMPONENT.to_owned(), "bridge".to_owned()),
    ])
}

/// Labels of every child.
pub(super) fn all(bridge: &Bridge) -> BTreeMap<String, String> {
    let mut labels = identity(bridge);
    labels.insert(names::MANAGED_BY.to_owned(), names::MANAGER.to_owned());
    labels
}

/// Labels of the pods. The user's own never replace ours.
pub(super) fn of_pods(bridge: &Bridge) -> BTreeMap<String, String> {
    let mut labels = bridge.spec.pod_labels.clone();
    labels.extend(all(bridge));
    labels
}

/// Selects the pods.
pub fn selector(bridge: &Bridge) -> LabelSelector {
    LabelSelector { match_labels: Some(identity(bridge)), match_expressions: None }
}

/// The same as text, as autoscalers read it in the status.
pub fn selector_text(bridge: &Bridge) -> String {
    identity(bridge).iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
