//! The operator's rights are those it uses, no more and no less.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::condition::eventually;
use isthmus_tests::kubernetes::ControlPlane;
use isthmus_tests::kubernetes::kubelet::Kubelet;
use isthmus_tests::manifest;
use isthmus_tests::operator::{self, ACCOUNT, NAMESPACE, Operator};
use serde_json::{Value, json};

use crate::fleet::{self, Fleet};
use crate::shared::{self, PATIENCE, RUNTIME_IMAGE};

/// A definition as small as can be: the operator looks for the kind, and makes an object of it.
pub(crate) const POD_MONITORS: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: podmonitors.monitoring.coreos.com
spec:
  group: monitoring.coreos.com
  names: {kind: PodMonitor, plural: podmonitors}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

/// What the roles of the service account allow, as `VERB GROUP/RESOURCE`.
fn granted(control_plane: &ControlPlane) -> Result<BTreeSet<String>> {
    let kubectl = control_plane.kubectl().in_namespace(NAMESPACE);
    let mut granted = BTreeSet::new();
    for (bindings, roles) in [("clusterrolebindings", "clusterrole"), ("rolebindings", "role")] {
        let list = kubectl.get(&[bindings])?;
        for binding in list["items"].as_array().context("not a list")? {
            let mut subjects = binding["subjects"].as_array().into_iter().flatten();
            if !subjects.any(|who| who["name"] == ACCOUNT && who["namespace"] == NAMESPACE) {
                continue;
            }
            let role = kubectl.get(&[roles, binding["roleRef"]["name"].as_str().context("no role")?])?;
            for rule in role["rules"].as_array().into_iter().flatten() {
                for (verb, group) in
                    texts(&rule["verbs"]).flat_map(|verb| texts(&rule["apiGroups"]).map(move |group| (verb, group)))
                {
                    granted.extend(texts(&rule["resources"]).map(|resource| format!("{verb} {group}/{resource}")));
                }
            }
        }
    }
    ensure!(!granted.is_empty(), "the service account has no rights at all");
    Ok(granted)
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[test]
fn operator_uses_every_right_it_has_and_asks_for_no_other() -> Result<()> {
    let control_plane = ControlPlane::start()?;
    shared::install(&control_plane)?;
    control_plane.kubectl().apply(POD_MONITORS)?;
    operator::install(&control_plane)?;
    let _kubelet = Kubelet::start(&control_plane, shared::images()?)?;
    let _operator = Operator::start(&control_plane, "operator-0", RUNTIME_IMAGE)?;

    // The life of a Bridge with users and a Source: made, scaled up and down, changed, gone.
    let fleet = Fleet::on(&control_plane, "rights")?;
    let kubectl = fleet.namespace.kubectl();
    kubectl.apply(&manifest::secret("users", &[("car", "plain:secret")]))?;
    let mut resources = fleet.resources(2);
    let bridge = resources.remove(0).with("authentication.usersSecretRef", json!({"name": "users"}));
    let source = manifest::source("commands").and("topicMapping", json!({"kafkaTopic": fleet.topic}));
    resources.extend([bridge, source]);
    fleet.namespace.apply(&resources)?;
    fleet.wait_until_ready()?;
    kubectl.run(&["scale", "bridge/fleet", "--replicas=1"])?;
    fleet.namespace.apply(&[fleet::stamp(2)])?;
    fleet.wait_until_ready()?;
    fleet.pods(1)?;
    kubectl.run(&["delete", "bridge", "fleet", "--timeout=60s"])?;
    fleet.wait("rules", "stamp", "Ready", "False")?;

    let granted = granted(&control_plane)?;
    eventually("every right has been used, and no other", PATIENCE, || {
        let used = control_plane.audit().permissions(NAMESPACE, ACCOUNT)?;
        let (idle, missing): (Vec<_>, Vec<_>) =
            (granted.difference(&used).collect(), used.difference(&granted).collect());
        ensure!(
            idle.is_empty() && missing.is_empty(),
            "granted and never used: {idle:#?}\nused and not granted: {missing:#?}"
        );
        Ok(())
    })?;
    let entries = control_plane.audit().entries(NAMESPACE, ACCOUNT)?;
    let refused: Vec<_> = entries.iter().filter(|entry| entry.code == 403).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    Ok(())
}
