//! What is to be known of a pod: where it is, whether it is ready, and what keeps it.

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;

use super::BridgeKey;
use crate::names;

/// A pod of a Bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// The Bridge.
    pub bridge: BridgeKey,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its address, once it has one.
    pub address: Option<IpAddr>,
    /// Whether it takes connections.
    pub ready: bool,
    /// Whether it is on its way out, or over.
    pub leaving: bool,
    /// The revision that its volumes were told to hold.
    pub revision: Option<String>,
    /// What keeps it from running, in Kubernetes' words.
    pub trouble: Option<Trouble>,
}

/// What keeps a pod from running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// A word such as `ImagePullBackOff`.
    pub reason: String,
    /// Details.
    pub message: String,
    /// Waiting will not help: somebody has to change something.
    pub lasting: bool,
}

/// Reasons of waiting containers that pass by themselves.
const PASSING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

impl Pod {
    /// Takes what a watch gave; `None` when its labels name no Bridge.
    pub fn read(pod: &core::Pod) -> Option<Self> {
        let metadata = &pod.metadata;
        let instance = metadata.labels.as_ref()?.get(names::INSTANCE)?;
        let status = pod.status.as_ref();
        let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or_default();
        let condition = |kind: &str| {
            status
                .and_then(|status| status.conditions.as_ref())
                .and_then(|conditions| conditions.iter().find(|condition| condition.type_ == kind))
        };
        Some(Self {
            bridge: BridgeKey::new(metadata.namespace.clone()?, instance),
            name: metadata.name.clone()?,
            uid: metadata.uid.clone().unwrap_or_default(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            address: status.and_then(|status| status.pod_ip.as_ref()).and_then(|address| address.parse().ok()),
            ready: condition("Ready").is_some_and(|condition| condition.status == "True"),
            leaving: metadata.deletion_timestamp.is_some() || matches!(phase, "Succeeded" | "Failed"),
            revision: metadata.annotations.as_ref().and_then(|annotations| annotations.get(names::REVISION)).cloned(),
            trouble: status.and_then(container_trouble).or_else(|| {
                let condition = condition("PodScheduled").filter(|condition| condition.status == "False")?;
                Some(Trouble {
                    reason: condition.reason.clone().unwrap_or_else(|| "Unschedulable".to_owned()),
                    message: condition.message.clone().unwrap_or_default(),
                    lasting: false,
                })
            }),
        })
    }
}

fn container_trouble(status: &core::PodStatus) -> Option<Trouble> {
    status.container_statuses.iter().flatten().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.clone().filter(|reason| !PASSING.contains(&reason.as_str()))?;
        let mut message = waiting.message.clone().unwrap_or_default();
        let ended = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        if let Some(ended) = ended {
            let said = ended.message.as_deref().map(str::trim).filter(|said| !said.is_empty());
            message = match said {
                Some(said) => format!("it ended with exit code {}: {said}", ended.exit_code),
                None => format!("it ended with exit code {}", ended.exit_code),
            };
        }
        Some(Trouble { reason, message, lasting: true })
    })
}
