//! The number of pods, and changes that need new ones.

use anyhow::Context as _;
use isthmus_tests::condition::{eventually, throughout};
use isthmus_tests::manifest;
use isthmus_tests::{Result, environment};
use serde_json::{Value, json};
use std::time::Duration;

use crate::fleet::{self, Fleet};
use crate::shared::PATIENCE;

#[test]
fn kubectl_scale_adds_and_removes_pods() -> Result<()> {
    let fleet = Fleet::ready("scale", 1)?;
    let kubectl = fleet.namespace.kubectl();
    kubectl.run(&["scale", "bridge/fleet", "--replicas=3"])?;
    let pods = fleet.pods(3)?;
    fleet.wait_until_ready()?;
    for pod in &pods {
        pod.publish(&pod.name)?;
        assert_eq!(fleet.newest_record()?.json()?["payload"], pod.name.as_str());
    }
    let scale = fleet.namespace.object("bridges", "fleet/scale")?;
    assert_eq!(scale["status"]["replicas"], 3);
    // What an autoscaler counts is what the selector finds.
    let selector = scale["status"]["selector"].as_str().context("no selector")?;
    let found = kubectl.get(&["pods", "-l", selector])?;
    assert_eq!(found["items"].as_array().map(Vec::len), Some(3));
    assert!(fleet.namespace.other("policy/v1", "poddisruptionbudgets")?["items"][0].is_object());

    kubectl.run(&["scale", "bridge/fleet", "--replicas=1"])?;
    fleet.pods(1)?;
    fleet.wait_until_ready()?;
    eventually("the disruption budget is gone", PATIENCE, || {
        let budgets = fleet.namespace.other("policy/v1", "poddisruptionbudgets")?;
        anyhow::ensure!(budgets["items"].as_array().is_some_and(Vec::is_empty), "{budgets}");
        Ok::<_, anyhow::Error>(())
    })
}

#[test]
fn autoscaler_of_the_sample_finds_its_pods_and_owns_their_number() -> Result<()> {
    let fleet = Fleet::new("hpa")?;
    let kubectl = fleet.namespace.kubectl();
    let sample = environment::checkout("examples/autoscaling-hpa.yaml").display().to_string();
    kubectl.run(&["apply", "-f", &sample])?;
    fleet.wait("bridges", "fleet", "Ready", "True")?;
    // Two is the least that the sample allows, and one what a Bridge has by default.
    fleet.pods(2)?;
    let autoscaler = |kind: &str| -> Result<Value> {
        let object = fleet.namespace.other("autoscaling/v2", "horizontalpodautoscalers/fleet")?;
        let conditions = object["status"]["conditions"].as_array();
        let condition = conditions.into_iter().flatten().find(|condition| condition["type"] == kind);
        condition.cloned().with_context(|| format!("no {kind}: {:#}", object["status"]))
    };
    // It found the scale, and the pods by its selector. What is missing is the metrics API, which no test has.
    eventually("the autoscaler asks for metrics", PATIENCE, || {
        let (able, active) = (autoscaler("AbleToScale")?, autoscaler("ScalingActive")?);
        let asks = able["status"] == "True" && active["reason"] == "FailedGetResourceMetric";
        anyhow::ensure!(asks, "{able} {active}");
        let message = active["message"].as_str().unwrap_or_default();
        anyhow::ensure!(message.contains("metrics"), "{message}");
        Ok::<_, anyhow::Error>(())
    })?;
    // The sample again does not take the number back.
    let before = fleet.namespace.object("bridges", "fleet")?;
    kubectl.run(&["apply", "-f", &sample])?;
    let after = fleet.namespace.object("bridges", "fleet")?;
    assert_eq!(
        (&after["spec"], &after["metadata"]["generation"]),
        (&before["spec"], &before["metadata"]["generation"])
    );
    assert_eq!(after["spec"]["replicas"], 2);
    let pods = fleet.pods(2)?;
    throughout("there are two pods", Duration::from_secs(3), || Ok(fleet.pods(2)? == pods))
}

#[test]
fn bridge_without_pods_is_told_apart_from_a_broken_one() -> Result<()> {
    let fleet = Fleet::ready("zero", 1)?;
    fleet.namespace.kubectl().run(&["scale", "bridge/fleet", "--replicas=0"])?;
    fleet.pods(0)?;
    let ready = fleet.wait_for_reason("bridges", "fleet", "Ready", "False", "ScaledToZero")?;
    let message = ready["message"].as_str().context("no message")?;
    assert!(message.contains("replicas"), "{message}");
    Ok(())
}

#[test]
fn change_of_the_pods_shape_rolls_and_a_change_of_a_rule_does_not() -> Result<()> {
    let fleet = Fleet::ready("shape", 2)?;
    let before = fleet.pods(2)?;
    fleet.namespace.apply(&[fleet::stamp(2)])?;
    fleet.wait("rules", "stamp", "Programmed", "True")?;
    assert_eq!(fleet.pods(2)?, before);
    let bridge = manifest::bridge().with("replicas", 2).with("podLabels", json!({"team": "north"}));
    fleet.namespace.apply(&[bridge])?;
    eventually("every pod has the new label", PATIENCE, || {
        let after = fleet.namespace.kubectl().get(&["pods", "-l", "team=north"])?;
        let count = after["items"].as_array().map(Vec::len);
        anyhow::ensure!(count == Some(2), "{count:?}");
        Ok::<_, anyhow::Error>(())
    })?;
    let after = fleet.pods(2)?;
    assert!(after.iter().all(|pod| !before.contains(pod)), "{before:?} {after:?}");
    fleet.wait_until_ready()?;
    after[0].publish("x")?;
    assert_eq!(fleet.newest_record()?.json()?["version"], 2);
    Ok(())
}

#[test]
fn rollout_restart_is_honoured() -> Result<()> {
    let fleet = Fleet::ready("restart", 1)?;
    let before = fleet.pods(1)?;
    let deployments = fleet.namespace.other("apps/v1", "deployments")?;
    let name = deployments["items"][0]["metadata"]["name"].as_str().context("no Deployment")?;
    let kubectl = fleet.namespace.kubectl();
    kubectl.run(&["rollout", "restart", &format!("deployment/{name}")])?;
    kubectl.run(&["rollout", "status", &format!("deployment/{name}"), "--timeout=110s"])?;
    let after = fleet.pods(1)?;
    assert_ne!(before[0].name, after[0].name);
    // The operator leaves the annotation where kubectl put it.
    fleet.wait_until_ready()?;
    throughout("the pod stays", Duration::from_secs(3), || Ok(fleet.pods(1)? == after))
}

#[test]
fn suspended_bridge_is_left_alone_until_it_goes_on() -> Result<()> {
    let fleet = Fleet::ready("suspend", 1)?;
    let suspended = |suspend: bool| manifest::bridge().with("replicas", 1).with("suspend", suspend);
    fleet.namespace.apply(&[suspended(true)])?;
    fleet.wait_for_reason("bridges", "fleet", "Ready", "Unknown", "Suspended")?;
    let plans =
        |fleet: &Fleet<'_>| -> Result<Value> { Ok(fleet.namespace.other("v1", "configmaps")?["items"].clone()) };
    let before = plans(&fleet)?;
    fleet.namespace.apply(&[fleet::stamp(2)])?;
    let condition = fleet.wait("rules", "stamp", "Programmed", "Unknown")?;
    let message = condition["message"].as_str().context("no message")?;
    assert!(message.contains("suspend"), "{message}");
    assert_eq!(plans(&fleet)?, before);
    let pods = fleet.pods(1)?;
    pods[0].publish("x")?;
    assert_eq!(fleet.newest_record()?.json()?["version"], 1);
    fleet.namespace.apply(&[suspended(false)])?;
    fleet.wait_until_ready()?;
    pods[0].publish("x")?;
    assert_eq!(fleet.newest_record()?.json()?["version"], 2);
    Ok(())
}
