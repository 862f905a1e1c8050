//! The operator's rights are those it uses, no more and no less.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::kubernetes::ControlPlane;
use isthmus_tests::operator::{self, ACCOUNT, NAMESPACE};
use serde_json::Value;

/// What the roles of the service account allow, as `VERB GROUP/RESOURCE`.
pub fn granted(control_plane: &ControlPlane) -> Result<BTreeSet<String>> {
    let kubectl = control_plane.kubectl().in_namespace(NAMESPACE);
    let mut granted = BTreeSet::new();
    for (bindings, roles) in [("clusterrolebindings", "clusterrole"), ("rolebindings", "role")] {
        for binding in items(&kubectl.get(&[bindings])?)? {
            let subjects = binding["subjects"].as_array();
            if !subjects.into_iter().flatten().any(|who| who["name"] == ACCOUNT && who["namespace"] == NAMESPACE) {
                continue;
            }
            let role = kubectl.get(&[roles, binding["roleRef"]["name"].as_str().context("no role")?])?;
            for rule in role["rules"].as_array().into_iter().flatten() {
                for verb in texts(&rule["verbs"]) {
                    for group in texts(&rule["apiGroups"]) {
                        granted.extend(texts(&rule["resources"]).map(|resource| format!("{verb} {group}/{resource}")));
                    }
                }
            }
        }
    }
    ensure!(!granted.is_empty(), "the service account has no rights at all");
    Ok(granted)
}

fn items(list: &Value) -> Result<Vec<Value>> {
    list["items"].as_array().cloned().context("not a list")
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}
