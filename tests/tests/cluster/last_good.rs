//! Wrong edits and deleted references: the last good version goes on in the pods, and the conditions say which.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::condition::eventually;
use isthmus_tests::kubernetes::ControlPlane;
use isthmus_tests::kubernetes::kubelet::Kubelet;
use isthmus_tests::manifest::{Resource, rule, sink};
use isthmus_tests::operator::{self, Operator};
use isthmus_tests::process::Signal;
use serde_json::Value;

use crate::fleet::{self, Fleet};
use crate::shared::{self, PATIENCE, RUNTIME_IMAGE};

/// How long an operator takes to stop.
const STOP: Duration = Duration::from_secs(20);

fn restart(control_plane: &ControlPlane, mut operator: Operator) -> Result<Operator> {
    operator.process().signal(Signal::TERM)?;
    operator.process_mut().wait(STOP)?;
    let mut again = Operator::start(control_plane, "operator-0", RUNTIME_IMAGE)?;
    again.wait_until_ready()?;
    again.wait_until_visited(1)?;
    Ok(again)
}

fn plan(fleet: &Fleet<'_>) -> Result<Value> {
    let map = fleet.namespace.other("v1", "configmaps/fleet-plan")?;
    Ok(serde_json::from_str(map["data"]["plan.json"].as_str().context("no plan")?)?)
}

/// What a resource says whose last good version goes on: `Accepted` or `ResolvedRefs`, and `Programmed`.
fn says(fleet: &Fleet<'_>, plural: &str, name: &str, wrong: &str) -> Result<[String; 2]> {
    let programmed = fleet.wait_for_reason(plural, name, "Programmed", "False", "LastGoodVersion")?;
    let wrong = fleet.wait(plural, name, wrong, "False")?;
    fleet.wait(plural, name, "Ready", "False")?;
    let text = |condition: &Value| condition["message"].as_str().context("no message").map(str::to_owned);
    Ok([text(&wrong)?, text(&programmed)?])
}

fn bad_sql() -> Resource {
    rule("stamp", "SELECT payload, lowr(clientid) AS id FROM \"load/#\"").to_sink("load")
}

#[test]
fn wrong_edits_change_nothing_that_runs_and_the_newest_version_runs_once_it_is_right() -> Result<()> {
    let control_plane = shared::start()?;
    operator::install(&control_plane)?;
    let _kubelet = Kubelet::start(&control_plane, shared::images()?)?;
    let operator = Operator::start(&control_plane, "operator-0", RUNTIME_IMAGE)?;
    let fleet = Fleet::on(&control_plane, "last-good")?;
    fleet.namespace.apply(&fleet.resources(1))?;
    fleet.wait_until_ready()?;
    let pods = fleet.pods(1)?;
    let before = plan(&fleet)?;
    let goes_on = |payload: &str| -> Result<()> {
        let now = plan(&fleet)?;
        assert_eq!((&now["sinks"], &now["rules"]), (&before["sinks"], &before["rules"]), "nothing that runs changed");
        pods[0].publish(payload)?;
        let record = fleet.newest_record()?.json()?;
        assert_eq!((&record["payload"], &record["version"]), (&payload.into(), &1.into()));
        Ok(())
    };

    fleet.namespace.apply(&[bad_sql()])?;
    let kubectl = fleet.namespace.kubectl();
    kubectl.run(&["delete", "connector", "kafka", "--timeout=60s"])?;
    let [accepted, programmed] = says(&fleet, "rules", "stamp", "Accepted")?;
    assert!(accepted.starts_with("Line 1, column 17: unknown function `lowr`\n"), "{accepted}");
    assert!(accepted.ends_with("\nGeneration 1 goes on in the pods."), "{accepted}");
    assert_eq!(
        programmed,
        "The pods run generation 1; generation 2 does not, because: Line 1, column 17: unknown function `lowr`."
    );
    let [resolved, programmed] = says(&fleet, "sinks", "load", "ResolvedRefs")?;
    let why = format!(
        "spec.connectorRef.name: there is no Connector called `kafka` in namespace `{}`: add a Connector of that name.",
        fleet.namespace.name()
    );
    assert_eq!(resolved, format!("{why} Generation 1 goes on in the pods."));
    assert_eq!(programmed, format!("The pods run generation 1 with what it referred to before, because: {why}"));
    fleet.wait("sinks", "load", "Connected", "True")?;
    goes_on("after the edits")?;

    let operator = restart(&control_plane, operator)?;
    goes_on("after the restart")?;
    says(&fleet, "rules", "stamp", "Accepted")?;

    // Wrong in another way: the Sink names a Connector and the Rule a Bridge that do not exist.
    let mistyped = sink("load", &fleet.topic).with("requestMode", "Sync").with("connectorRef.name", "kafak");
    fleet.namespace.apply(&[mistyped, fleet::stamp(2).with("bridgeRef.name", "flet")])?;
    for (plural, name, names, newest) in [("sinks", "load", "`kafak`", 2), ("rules", "stamp", "`flet`", 3)] {
        let says_so = || says(&fleet, plural, name, "ResolvedRefs");
        eventually(&format!("{name} says that it names {names}"), PATIENCE, || {
            let [resolved, programmed] = says_so()?;
            ensure!(resolved.contains(names), "{resolved}");
            ensure!(resolved.ends_with(" Generation 1 goes on in the pods."), "{resolved}");
            let expected = format!("The pods run generation 1; generation {newest} does not, because: ");
            ensure!(programmed.starts_with(&expected) && programmed.contains(names), "{programmed}");
            Ok(())
        })?;
    }
    goes_on("after more edits")?;
    let _operator = restart(&control_plane, operator)?;
    goes_on("after another restart")?;

    let mut right = fleet.resources(1);
    right.pop();
    right.push(fleet::stamp(3));
    fleet.namespace.apply(&right)?;
    fleet.wait_until_ready()?;
    pods[0].publish("right")?;
    assert_eq!(fleet.newest_record()?.json()?["version"], 3);
    assert_eq!(fleet.pods(1)?, pods, "the same pod, not restarted");

    // Only deleting the resource itself ends it.
    fleet.namespace.apply(&[fleet::stamp(4).with("bridgeRef.name", "flet")])?;
    says(&fleet, "rules", "stamp", "ResolvedRefs")?;
    kubectl.run(&["delete", "rule", "stamp", "--timeout=60s"])?;
    eventually("the pods are not to run it any more", PATIENCE, || {
        let plan = plan(&fleet)?;
        ensure!(plan["rules"].as_array().is_some_and(Vec::is_empty), "{plan:#}");
        Ok(())
    })
}
