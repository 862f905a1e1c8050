//! The objects that the operator makes, under other people's hands.

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::condition::eventually;
use serde_json::Value;

use crate::fleet::Fleet;
use crate::shared::PATIENCE;

/// The kinds of a Bridge's children, as `kubectl` names them.
const CHILDREN: [&str; 5] = ["deployments", "services", "configmaps", "serviceaccounts", "networkpolicies"];

/// The names of the objects of a kind that the Bridge owns.
fn owned(fleet: &Fleet<'_>, kind: &str) -> Result<Vec<String>> {
    let list = fleet.namespace.kubectl().get(&[kind])?;
    let items = list["items"].as_array().context("not a list")?;
    let owned = items.iter().filter(|item| item["metadata"]["ownerReferences"][0]["kind"] == "Bridge");
    Ok(owned.filter_map(|item| item["metadata"]["name"].as_str().map(str::to_owned)).collect())
}

/// An object without what every write changes.
fn content(fleet: &Fleet<'_>, kind: &str, name: &str) -> Result<Value> {
    let mut object = fleet.namespace.kubectl().get(&[kind, name])?;
    for field in ["resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"] {
        object["metadata"][field] = Value::Null;
    }
    object["status"] = Value::Null;
    object["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = Value::Null;
    // A new Service gets a new address.
    object["spec"]["clusterIP"] = Value::Null;
    object["spec"]["clusterIPs"] = Value::Null;
    Ok(object)
}

fn wait_until_restored(fleet: &Fleet<'_>, kind: &str, name: &str, before: &Value) -> Result<()> {
    eventually(&format!("{kind} {name} is as the operator made it"), PATIENCE, || {
        let now = content(fleet, kind, name)?;
        ensure!(now == *before, "now {now:#}\nbefore {before:#}");
        Ok(())
    })
}

#[test]
fn deleted_children_come_back_as_they_were() -> Result<()> {
    let fleet = Fleet::ready("deleted-child", 1)?;
    for kind in CHILDREN {
        let names = owned(&fleet, kind)?;
        ensure!(!names.is_empty(), "the Bridge owns no {kind}");
        for name in names {
            let before = content(&fleet, kind, &name)?;
            fleet.namespace.kubectl().run(&["delete", kind, &name, "--timeout=100s"])?;
            wait_until_restored(&fleet, kind, &name, &before)?;
        }
    }
    fleet.wait_until_ready()
}

#[test]
fn child_edited_by_hand_is_restored() -> Result<()> {
    let fleet = Fleet::ready("edited-child", 1)?;
    let kubectl = fleet.namespace.kubectl();
    let deployment = owned(&fleet, "deployments")?.pop().context("no Deployment")?;
    let before = content(&fleet, "deployments", &deployment)?;
    kubectl.run(&["scale", "deployment", &deployment, "--replicas=2"])?;
    wait_until_restored(&fleet, "deployments", &deployment, &before)?;
    let name = owned(&fleet, "configmaps")?.pop().context("no ConfigMap")?;
    let before = content(&fleet, "configmaps", &name)?;
    kubectl.run(&["patch", "configmap", &name, "--type=merge", "-p", r#"{"data":{"plan.json":"{}"}}"#])?;
    wait_until_restored(&fleet, "configmaps", &name, &before)?;
    let name = owned(&fleet, "services")?.pop().context("no Service")?;
    let before = content(&fleet, "services", &name)?;
    let patch = r#"[{"op":"replace","path":"/spec/ports/0/port","value":4242}]"#;
    kubectl.run(&["patch", "service", &name, "--type=json", "-p", patch])?;
    wait_until_restored(&fleet, "services", &name, &before)?;
    fleet.wait_until_ready()
}

#[test]
fn stranger_with_the_name_of_a_child_is_never_adopted() -> Result<()> {
    let example = Fleet::ready("children", 1)?;
    let fleet = Fleet::new("conflict")?;
    let kubectl = fleet.namespace.kubectl();
    let name = owned(&example, "services")?.pop().context("no Service")?;
    kubectl.run(&["create", "service", "clusterip", &name, "--tcp=80:80"])?;
    let before = kubectl.get(&["service", &name])?;
    fleet.namespace.apply(&fleet.resources(1))?;
    let ready = fleet.wait_for_reason("bridges", "fleet", "Ready", "False", "NameConflict")?;
    let message = ready["message"].as_str().context("no message")?;
    assert!(message.contains("Service") && message.contains(&name), "{message}");
    assert_eq!(kubectl.get(&["service", &name])?, before, "it is as its owner made it");
    kubectl.run(&["delete", "service", &name, "--timeout=60s"])?;
    fleet.wait_until_ready()
}
