use serde_json::json;

use super::*;
use crate::index::{BridgeKey, pod::Trouble};

fn now() -> Timestamp {
    Timestamp::from_second(10_000).unwrap()
}

fn pod(name: &str, age: i64, trouble: Option<Trouble>) -> Pod {
    Pod {
        bridge: BridgeKey::new("plant", "fleet"),
        name: name.to_owned(),
        uid: String::new(),
        created: Some(Timestamp::from_second(10_000 - age).unwrap()),
        address: None,
        ready: false,
        leaving: false,
        revision: None,
        trouble,
    }
}

fn trouble(reason: &str, message: &str, lasting: bool) -> Trouble {
    Trouble { reason: reason.to_owned(), message: message.to_owned(), lasting }
}

fn of(existing: i32, updated: i32, ready: i32, pods: &[&Pod]) -> Rollout {
    let live = json!({"status": {
        "observedGeneration": 4, "replicas": existing, "updatedReplicas": updated, "readyReplicas": ready,
    }});
    rollout(2, Some(&live), Some(4), pods, now())
}

#[test]
fn it_is_over_when_all_pods_are_new_and_ready() {
    let rollout = of(2, 2, 2, &[]);
    assert_eq!(rollout.pending, None);
    assert_eq!(rollout.available, Verdict::yes("Available", "2 pods take connections."));
}

#[test]
fn devices_can_connect_while_it_goes_on() {
    let rollout = of(3, 1, 2, &[]);
    assert!(rollout.available.is_true());
    assert_eq!(rollout.pending.unwrap().reason, "RollingOut");
}

#[test]
fn an_image_that_does_not_exist_is_said_at_once() {
    let pod = pod("fleet-1", 2, Some(trouble("ImagePullBackOff", "manifest unknown", true)));
    let verdict = of(2, 2, 0, &[&pod]).available;
    assert_eq!(
        verdict,
        Verdict::no(
            "RolloutStuck",
            "The pod `fleet-1` does not start (ImagePullBackOff): manifest unknown. Correct spec.image of the Bridge, or the runtime image that the operator was given."
        )
    );
}

#[test]
fn a_pod_that_waits_for_a_node_is_named_after_a_minute() {
    let young = pod("fleet-1", 59, Some(trouble("Unschedulable", "0/1 nodes are available", false)));
    assert_eq!(of(1, 1, 0, &[&young]).available.reason, "RollingOut");
    let old = pod("fleet-1", 61, Some(trouble("Unschedulable", "0/1 nodes are available", false)));
    let verdict = of(1, 1, 0, &[&old]).available;
    assert_eq!(verdict.reason, "RolloutStuck");
    assert!(verdict.message.contains("(Unschedulable: 0/1 nodes are available)"), "{}", verdict.message);
}

#[test]
fn pods_that_may_not_be_created_say_why() {
    let live = json!({"status": {"observedGeneration": 4, "conditions": [
        {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"},
    ]}});
    let rollout = rollout(2, Some(&live), Some(4), &[], now());
    assert_eq!(rollout.available, Verdict::no("RolloutStuck", "Pods cannot be created: exceeded quota: small."));
}

#[test]
fn no_pods_are_no_mistake_and_no_service() {
    let rollout = rollout(0, None, None, &[], now());
    assert_eq!(rollout.available.reason, "ScaledToZero");
}
