//! The objects that a Bridge needs, from its settings and its plan. Pure: the same inputs give the same bytes.
//!
//! One file per child. The pod template depends on the pods' shape alone (image, ports, resources, volumes), never on
//! the content of the plan, so that an edited Rule restarts nothing. The Deployment as it is is an input too: it is the
//! memory of which Secrets its pods mount.

mod config_map;
mod deployment;
mod disruption_budget;
mod labels;
mod network_policy;
mod pod_monitor;
mod service;
mod service_account;

use std::collections::BTreeMap;

use isthmus_api::Bridge;
use isthmus_plan::Plan;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt as _;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub use config_map::{LIMIT, ReadError, read as read_plan};
pub use labels::{selector, selector_text};

use crate::{
    index::child::{Child, ChildKind},
    names,
};

/// What children are built from. Nobody below looks at a raw resource again.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The Bridge.
    pub bridge: &'a Bridge,
    /// What its pods run.
    pub plan: &'a Plan,
    /// What its pods run, unless the Bridge names another image.
    pub image: &'a RuntimeImage,
    /// Whether the cluster knows `PodMonitor`.
    pub pod_monitors: bool,
    /// The Deployment as it is, if it is this Bridge's: Secrets that it mounts stay until something else changes.
    pub live: Option<&'a Child>,
}

/// What the pods of all Bridges run, unless told otherwise, and how it is pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeImage {
    /// Its reference.
    pub name: String,
    /// When it is pulled; `None` leaves that to Kubernetes.
    pub pull_policy: Option<String>,
    /// Secrets for pulling it, or the image that a Bridge names.
    pub pull_secrets: Vec<String>,
}

/// An object as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// Its kind.
    pub kind: ChildKind,
    /// Its name.
    pub name: String,
    /// What to apply; it carries a digest of itself as an annotation.
    pub body: Value,
    /// That digest.
    pub digest: String,
}

/// Why children cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The plan does not fit into a `ConfigMap`, not even compressed.
    #[error(
        "the plan takes {size} bytes compressed and a ConfigMap holds {limit}: move some Rules to another Bridge, or shorten their SQL"
    )]
    PlanTooLarge {
        /// Its compressed size.
        size: usize,
        /// What fits.
        limit: usize,
    },
    /// An object has no JSON form.
    #[error("an object for the API server cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The plan cannot be compressed.
    #[error("the plan cannot be compressed")]
    Compress(#[from] std::io::Error),
}

/// Everything a Bridge needs, in the order in which it is made.
pub fn children(inputs: &Inputs<'_>) -> Result<Vec<Desired>, BuildError> {
    let mut children = vec![
        finish(inputs, ChildKind::ServiceAccount, None, &service_account::build())?,
        finish(inputs, ChildKind::ConfigMap, Some("plan"), &config_map::build(inputs.plan)?)?,
        finish(inputs, ChildKind::Service, None, &service::build(inputs.bridge))?,
        finish(inputs, ChildKind::NetworkPolicy, None, &network_policy::build(inputs.bridge))?,
    ];
    if inputs.bridge.spec.replicas > 1 {
        children.push(finish(inputs, ChildKind::PodDisruptionBudget, None, &disruption_budget::build(inputs.bridge))?);
    }
    children.push(finish(inputs, ChildKind::Deployment, None, &deployment::build(inputs)?)?);
    if inputs.pod_monitors {
        children.push(finish(inputs, ChildKind::PodMonitor, None, &pod_monitor::build(inputs.bridge))?);
    }
    Ok(children)
}

/// Adds what all children have: name, labels, owner, and the digest of the rest.
fn finish<T: Serialize>(
    inputs: &Inputs<'_>,
    kind: ChildKind,
    suffix: Option<&str>,
    content: &T,
) -> Result<Desired, BuildError> {
    let bridge = inputs.bridge.name_any();
    let name = suffix.map_or_else(|| bridge.clone(), |suffix| format!("{bridge}-{suffix}"));
    let mut body = serde_json::to_value(content)?;
    let annotations: BTreeMap<String, String> = match body.pointer_mut("/metadata/annotations").map(Value::take) {
        Some(annotations) => serde_json::from_value(annotations)?,
        None => BTreeMap::new(),
    };
    let metadata = ObjectMeta {
        name: Some(name.clone()),
        namespace: inputs.bridge.namespace(),
        labels: Some(labels::all(inputs.bridge)),
        annotations: Some(annotations),
        owner_references: Some(vec![owner(inputs.bridge)]),
        ..ObjectMeta::default()
    };
    body["apiVersion"] = json!(kind.api_version());
    body["kind"] = json!(kind.name());
    body["metadata"] = serde_json::to_value(metadata)?;
    let digest = digest(&body)?;
    body["metadata"]["annotations"][names::APPLIED] = json!(digest);
    Ok(Desired { kind, name, body, digest })
}

fn digest<T: Serialize>(body: &T) -> Result<String, serde_json::Error> {
    let mut hasher = Sha256::new();
    serde_json::to_writer(&mut hasher, body)?;
    let mut text = format!("{:x}", hasher.finalize());
    text.truncate(16);
    Ok(text)
}

/// Deleting the Bridge deletes its children; no finalizer is needed for that, so nothing blocks a namespace.
fn owner(bridge: &Bridge) -> OwnerReference {
    OwnerReference {
        api_version: isthmus_api::API_VERSION.to_owned(),
        kind: "Bridge".to_owned(),
        name: bridge.name_any(),
        uid: bridge.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

#[cfg(test)]
mod tests;
