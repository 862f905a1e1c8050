//! Deletion: in any order, never stuck, nothing left behind.

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::condition::eventually;

use crate::fleet::Fleet;
use crate::shared::PATIENCE;

#[test]
fn namespace_goes_with_everything_in_it() -> Result<()> {
    let fleet = Fleet::ready("namespace", 2)?;
    let name = fleet.namespace.name();
    fleet.namespace.kubectl().run(&["delete", "namespace", name, "--timeout=110s"])?;
    Ok(())
}

#[test]
fn deleted_bridge_takes_its_children_along_and_its_rules_say_so() -> Result<()> {
    let fleet = Fleet::ready("bridge-gone", 1)?;
    let kubectl = fleet.namespace.kubectl();
    kubectl.run(&["delete", "bridge", "fleet", "--timeout=60s"])?;
    fleet.pods(0)?;
    eventually("its children are gone", PATIENCE, || {
        let kinds = "deployments,services,poddisruptionbudgets,networkpolicies";
        let left = kubectl.get(&[kinds])?;
        ensure!(left["items"].as_array().is_some_and(Vec::is_empty), "{left:#}");
        Ok(())
    })?;
    let condition = fleet.wait("rules", "stamp", "ResolvedRefs", "False")?;
    assert!(condition["message"].as_str().context("no message")?.contains("fleet"), "{condition}");
    fleet.wait("rules", "stamp", "Ready", "False")?;
    fleet.namespace.apply(&fleet.resources(1))?;
    fleet.wait_until_ready()
}
