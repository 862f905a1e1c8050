//! What a resource names comes, goes and comes back, in any order.

use anyhow::Context as _;
use isthmus_tests::Result;

use crate::fleet::Fleet;

#[test]
fn rule_whose_sink_is_deleted_says_so_and_recovers_when_it_returns() -> Result<()> {
    let fleet = Fleet::ready("sink-gone", 1)?;
    let before = fleet.pods(1)?;
    let kubectl = fleet.namespace.kubectl();
    kubectl.run(&["delete", "sink", "load", "--timeout=60s"])?;
    let condition = fleet.wait("rules", "stamp", "ResolvedRefs", "False")?;
    let message = condition["message"].as_str().context("no message")?;
    assert!(message.contains("load"), "which Sink is missing? {message}");
    fleet.wait("rules", "stamp", "Ready", "False")?;
    let programmed = fleet.wait("rules", "stamp", "Programmed", "True")?;
    assert_eq!(
        programmed["message"],
        "The one ready pod runs it. Its action `load` fails for every message, because the Sink `load` is not there any more."
    );
    fleet.namespace.apply(&fleet.resources(1))?;
    fleet.wait_until_ready()?;
    before[0].publish("x")?;
    assert_eq!(fleet.newest_record()?.json()?["payload"], "x");
    assert_eq!(fleet.pods(1)?, before, "the same pod, not restarted");
    Ok(())
}

#[test]
fn resources_become_ready_whatever_order_they_are_applied_in() -> Result<()> {
    let fleet = Fleet::new("order")?;
    let mut resources = fleet.resources(1);
    resources.reverse();
    for resource in resources {
        fleet.namespace.apply(&[resource])?;
    }
    fleet.wait_until_ready()
}

#[test]
fn connector_in_another_namespace_is_not_found() -> Result<()> {
    let there = Fleet::ready("there", 1)?;
    let here = Fleet::new("here")?;
    // Everything but the Connector, which has this name in the other namespace.
    let mut resources = here.resources(1);
    resources.remove(1);
    here.namespace.apply(&resources)?;
    let condition = here.wait("sinks", "load", "ResolvedRefs", "False")?;
    let message = condition["message"].as_str().context("no message")?;
    assert!(message.contains("kafka"), "{message}");
    there.wait_until_ready()
}
