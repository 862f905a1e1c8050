//! Pods that do not come up: the condition says which, and why, and the old ones go on.

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::manifest;
use isthmus_tests::mosquitto::{self, Version::V5};

use crate::fleet::Fleet;
use crate::shared::BROKEN_IMAGE;

/// Gives a fleet that works an image that does not; returns what the Bridge says about it.
fn stuck(stem: &str, image: &str) -> Result<(Fleet<'static>, String)> {
    let fleet = Fleet::ready(stem, 1)?;
    let before = fleet.pods(1)?;
    fleet.namespace.apply(&[manifest::bridge().with("replicas", 1).with("image", image)])?;
    let condition = fleet.wait_for_reason("bridges", "fleet", "Ready", "False", "RolloutStuck")?;
    let message = condition["message"].as_str().context("no message")?.to_owned();
    // The pod that works is kept until there is a better one.
    mosquitto::publish(before[0].mqtt(), V5, "load/1", "still here", &[])?;
    assert_eq!(fleet.newest_record()?.json()?["payload"], "still here");
    Ok((fleet, message))
}

fn new_pod(fleet: &Fleet<'_>) -> Result<String> {
    let pods = fleet.namespace.other("v1", "pods")?;
    let mut items = pods["items"].as_array().context("not a list")?.iter();
    let new = items.find(|pod| pod["status"]["containerStatuses"][0]["ready"] == false).context("no new pod")?;
    Ok(new["metadata"]["name"].as_str().context("no name")?.to_owned())
}

#[test]
fn image_that_does_not_exist_is_named_with_the_pod_and_hurts_no_running_one() -> Result<()> {
    let (fleet, message) = stuck("no-image", "isthmus.test/runtime:none")?;
    let pod = new_pod(&fleet)?;
    for part in ["ImagePullBackOff", "isthmus.test/runtime:none", pod.as_str()] {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    fleet.namespace.apply(&[manifest::bridge().with("replicas", 1)])?;
    fleet.wait_until_ready()
}

#[test]
fn pod_that_crash_loops_is_named_with_its_reason_and_hurts_no_running_one() -> Result<()> {
    let (fleet, message) = stuck("crash-loop", BROKEN_IMAGE)?;
    let pod = new_pod(&fleet)?;
    for part in ["CrashLoopBackOff", pod.as_str()] {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    fleet.namespace.apply(&[manifest::bridge().with("replicas", 1)])?;
    fleet.wait_until_ready()
}

#[test]
fn bridge_with_the_longest_name_works_and_a_longer_one_is_refused() -> Result<()> {
    let fleet = Fleet::new("long-name")?;
    let longest = "f".repeat(63);
    fleet.namespace.apply(&[manifest::bridge().named(&longest)])?;
    fleet.wait("bridges", &longest, "Ready", "True")?;
    fleet.pods(1)?;
    let longer = manifest::bridge().named(&format!("{longest}f")).to_string();
    let refused = fleet.namespace.kubectl().attempt(&["apply", "-f", "-"], &longer)?;
    ensure!(refused.code == Some(1), "{}", refused.output);
    assert!(refused.output.contains("at most 63"), "{}", refused.output);
    fleet.namespace.kubectl().run(&["delete", "bridge", &longest, "--timeout=60s"])?;
    fleet.pods(0)?;
    Ok(())
}
