//! Definitions that are missing, older or newer than the operator, and kinds of others that come and go.
//!
//! They are the cluster's, so each of these tests has a control plane of its own.

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::condition::eventually;
use isthmus_tests::kubernetes::ControlPlane;
use isthmus_tests::manifest::{self, sink};
use isthmus_tests::operator::{self, Operator};
use serde_json::{Value, json};

use crate::fleet::Fleet;
use crate::rights::POD_MONITORS;
use crate::shared::{self, PATIENCE, RUNTIME_IMAGE};

const ESTABLISHED: &str = "--for=condition=Established";

fn pod_monitors(fleet: &Fleet<'_>) -> Result<usize> {
    let list = fleet.namespace.other("monitoring.coreos.com/v1", "podmonitors")?;
    Ok(list["items"].as_array().context("not a list")?.len())
}

#[test]
fn operator_waits_for_its_definitions_and_follows_kinds_that_come_and_go() -> Result<()> {
    let control_plane = ControlPlane::start()?;
    operator::install(&control_plane)?;
    let mut operator = Operator::start(&control_plane, "operator-0", RUNTIME_IMAGE)?;
    eventually("it says which definitions are missing", PATIENCE, || {
        let (code, text) = operator.readiness()?;
        let names = ["bridges", "connectors", "sinks", "sources", "rules"];
        let all = names.iter().all(|name| text.contains(&format!("{name}.isthmus.dev")));
        ensure!(code == 503 && all && text.contains("install the chart isthmus-crds"), "{code} {text}");
        Ok(())
    })?;
    shared::install(&control_plane)?;
    operator.wait_until_ready()?;
    let fleet = Fleet::on(&control_plane, "late")?;
    fleet.namespace.apply(&fleet.resources(0))?;
    fleet.wait_for_reason("bridges", "fleet", "Ready", "False", "ScaledToZero")?;

    let kubectl = control_plane.kubectl();
    kubectl.apply(POD_MONITORS)?;
    let monitors = "crd/podmonitors.monitoring.coreos.com";
    kubectl.run(&["wait", ESTABLISHED, "--timeout=60s", monitors])?;
    eventually("the Bridge has a PodMonitor", PATIENCE, || {
        let count = pod_monitors(&fleet)?;
        ensure!(count == 1, "{count}");
        Ok(())
    })?;
    let monitor = fleet.namespace.other("monitoring.coreos.com/v1", "podmonitors/fleet")?;
    assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["port"], "admin");

    kubectl.run(&["delete", monitors, "--timeout=60s"])?;
    // What the Bridge needs is applied without it, and nothing is said about a kind that is none of its business.
    fleet.namespace.apply(&[manifest::bridge().with("replicas", 0).with("podLabels", json!({"team": "north"}))])?;
    eventually("the new label is in the Deployment", PATIENCE, || {
        let deployment = fleet.namespace.other("apps/v1", "deployments/fleet")?;
        let label = &deployment["spec"]["template"]["metadata"]["labels"]["team"];
        ensure!(label == "north", "{label}");
        Ok(())
    })?;
    fleet.wait_for_reason("bridges", "fleet", "Programmed", "Unknown", "NoReadyPods")?;
    Ok(())
}

/// Changes the schema of a definition by a JSON patch below `spec`.
fn bend(control_plane: &ControlPlane, name: &str, operation: &str, path: &str, value: &Value) -> Result<()> {
    let kubectl = control_plane.kubectl();
    let path = format!("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/{path}");
    let operations = json!([{"op": operation, "path": path, "value": value}]).to_string();
    kubectl.run(&["patch", "crd", name, "--type=json", "-p", &operations])?;
    kubectl.run(&["wait", ESTABLISHED, "--timeout=60s", &format!("crd/{name}")])?;
    Ok(())
}

#[test]
fn older_definition_and_object_of_a_newer_one_are_named_and_hurt_nothing_else() -> Result<()> {
    let control_plane = shared::start()?;
    operator::install(&control_plane)?;
    // The Bridge's is older than the operator: it lacks a field. The Sink's is newer: it has a choice more.
    bend(&control_plane, "bridges.isthmus.dev", "remove", "suspend", &Value::Null)?;
    bend(&control_plane, "sinks.isthmus.dev", "add", "compression/enum/-", &json!("Brotli"))?;
    let fleet = Fleet::on(&control_plane, "skew")?;
    fleet.namespace.apply(&fleet.resources(0))?;
    let brotli = sink("of-tomorrow", "t").with("compression", "Brotli");
    eventually("the new choice is served", PATIENCE, || fleet.namespace.apply(std::slice::from_ref(&brotli)))?;
    let _operator = Operator::start(&control_plane, "operator-0", RUNTIME_IMAGE)?;

    let accepted = fleet.wait_for_reason("bridges", "fleet", "Accepted", "True", "CRDOutdated")?;
    assert_eq!(
        accepted["message"],
        "Valid, as far as the cluster kept it: its definition of Bridge does not know the field `spec.suspend`, which is dropped when a resource is stored. Upgrade the chart isthmus-crds."
    );
    let accepted = fleet.wait_for_reason("sinks", "of-tomorrow", "Accepted", "False", "Unreadable")?;
    let message = accepted["message"].as_str().context("no message")?;
    assert!(message.starts_with("This version of the operator cannot read the stored object: "), "{message}");
    assert!(message.contains("unknown variant `Brotli`"), "{message}");
    assert!(message.ends_with("or upgrade the operator and its definitions together."), "{message}");
    fleet.wait("sinks", "of-tomorrow", "Ready", "False")?;
    for (plural, name) in [("connectors", "kafka"), ("sinks", "load"), ("rules", "stamp")] {
        fleet.wait(plural, name, "Accepted", "True")?;
    }

    // Definitions of the same version, and an object that it knows: nothing is left of it.
    shared::install(&control_plane)?;
    fleet.wait_for_reason("bridges", "fleet", "Accepted", "True", "Accepted")?;
    fleet.namespace.apply(&[sink("of-tomorrow", "t").with("compression", "Zstd")])?;
    fleet.wait_for_reason("sinks", "of-tomorrow", "Accepted", "True", "Accepted")?;
    Ok(())
}
