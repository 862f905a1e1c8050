//! The Deployment and its pods → `Available`, and whether the rollout is over.

use jiff::Timestamp;
use serde_json::Value;

use super::pods::DEADLINE;
use crate::{
    condition::{Verdict, reason},
    index::pod::Pod,
};

/// Figures of the Deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replicas {
    /// Asked for.
    pub wanted: i32,
    /// There.
    pub existing: i32,
    /// Of the newest template.
    pub updated: i32,
    /// Ready.
    pub ready: i32,
}

/// Where a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// Whether devices can connect.
    pub available: Verdict,
    /// What keeps it from being over; `None` when it is.
    pub pending: Option<Verdict>,
    /// The figures.
    pub replicas: Replicas,
}

/// Where the rollout of the Deployment `live` stands, with its `pods`.
pub fn rollout(wanted: i32, live: Option<&Value>, generation: Option<i64>, pods: &[&Pod], now: Timestamp) -> Rollout {
    let empty = Value::Null;
    let status = live.map_or(&empty, |live| &live["status"]);
    let count = |field: &str| status[field].as_i64().and_then(|count| i32::try_from(count).ok()).unwrap_or(0);
    let replicas = Replicas {
        wanted,
        existing: count("replicas"),
        updated: count("updatedReplicas"),
        ready: count("readyReplicas"),
    };
    if wanted == 0 {
        let none = Verdict::no(reason::SCALED_TO_ZERO, "The Bridge asks for no pods: set spec.replicas to 1 or more.");
        return Rollout { available: none.clone(), pending: Some(none), replicas };
    }
    let observed = status["observedGeneration"].as_i64() == generation && generation.is_some();
    let over =
        observed && replicas.updated >= wanted && replicas.ready >= wanted && replicas.existing == replicas.updated;
    let pending = (!over).then(|| pending(&replicas, status, pods, now));
    let available = if replicas.ready > 0 {
        let pods = if replicas.ready == 1 { "1 pod takes".to_owned() } else { format!("{} pods take", replicas.ready) };
        Verdict::yes(reason::AVAILABLE, format!("{pods} connections."))
    } else {
        match &pending {
            Some(why) => why.clone(),
            None => Verdict::no(reason::ROLLING_OUT, "No pod is ready yet."),
        }
    };
    Rollout { available, pending, replicas }
}

/// Why it is not over: what somebody has to change, a pod that takes too long, or just work in progress.
fn pending(replicas: &Replicas, status: &Value, pods: &[&Pod], now: Timestamp) -> Verdict {
    let refused = status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "ReplicaFailure" && condition["status"] == "True");
    if let Some(refused) = refused {
        let said = refused["message"].as_str().unwrap_or_default();
        return Verdict::no(reason::ROLLOUT_STUCK, format!("Pods cannot be created: {said}."));
    }
    let waiting: Vec<&&Pod> = pods.iter().filter(|pod| !pod.ready && !pod.leaving).collect();
    let broken = waiting.iter().find_map(|pod| Some((pod, pod.trouble.as_ref().filter(|trouble| trouble.lasting)?)));
    if let Some((pod, trouble)) = broken {
        let details = if trouble.message.is_empty() {
            String::new()
        } else {
            format!(": {}", trouble.message.trim_end_matches('.'))
        };
        let advice = advice(&trouble.reason);
        return Verdict::no(
            reason::ROLLOUT_STUCK,
            format!("The pod `{}` does not start ({}){details}. {advice}", pod.name, trouble.reason),
        );
    }
    let oldest = waiting.iter().filter_map(|pod| Some((pod.created?, pod))).min_by_key(|(created, _)| *created);
    if let Some((created, pod)) = oldest
        && now.duration_since(created) > DEADLINE
    {
        let why = match &pod.trouble {
            Some(trouble) => format!("{}: {}", trouble.reason, trouble.message),
            None => "it runs and is not ready".to_owned(),
        };
        let message = format!(
            "The pod `{}` has not been ready for over {} s ({}). Look at it with `kubectl describe pod {}`.",
            pod.name,
            DEADLINE.as_secs(),
            why.trim_end_matches([' ', ':']),
            pod.name
        );
        return Verdict::no(reason::ROLLOUT_STUCK, message);
    }
    let message = format!(
        "{} of {} pods are ready, {} of them of the newest shape.",
        replicas.ready,
        replicas.wanted,
        replicas.updated.min(replicas.ready)
    );
    Verdict::no(reason::ROLLING_OUT, message)
}

fn advice(reason: &str) -> &'static str {
    match reason {
        "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" => {
            "Correct spec.image of the Bridge, or the runtime image that the operator was given."
        }
        "CrashLoopBackOff" => "Read its log with `kubectl logs --previous`.",
        _ => "Look at it with `kubectl describe pod`.",
    }
}

#[cfg(test)]
mod tests;
