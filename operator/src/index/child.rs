//! The objects that we make for a Bridge, as the API server has them.

use kube::core::{ApiResource, DynamicObject, GroupVersionKind, ObjectMeta};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    BridgeKey,
    resource::{is_newer, slim},
};
use crate::names;

/// What we make for a Bridge, in the order in which it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChildKind {
    /// The identity of the pods; it may do nothing.
    ServiceAccount,
    /// The plan.
    ConfigMap,
    /// Where devices connect.
    Service,
    /// Who may connect to the pods.
    NetworkPolicy,
    /// How many pods may be away at once.
    PodDisruptionBudget,
    /// The pods.
    Deployment,
    /// Where Prometheus finds figures, if it is there.
    PodMonitor,
}

impl ChildKind {
    /// Kinds that every cluster has.
    pub const BUILT_IN: [Self; 6] = [
        Self::ServiceAccount,
        Self::ConfigMap,
        Self::Service,
        Self::NetworkPolicy,
        Self::PodDisruptionBudget,
        Self::Deployment,
    ];

    /// Group and version.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::ServiceAccount | Self::ConfigMap | Self::Service => "v1",
            Self::NetworkPolicy => "networking.k8s.io/v1",
            Self::PodDisruptionBudget => "policy/v1",
            Self::Deployment => "apps/v1",
            Self::PodMonitor => "monitoring.coreos.com/v1",
        }
    }

    /// The kind as manifests write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::ConfigMap => "ConfigMap",
            Self::Service => "Service",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::Deployment => "Deployment",
            Self::PodMonitor => "PodMonitor",
        }
    }

    /// How to ask for it.
    pub fn resource(self) -> ApiResource {
        let (group, version) = self.api_version().split_once('/').unwrap_or(("", self.api_version()));
        let plural = match self {
            Self::NetworkPolicy => "networkpolicies".to_owned(),
            other => format!("{}s", other.name().to_lowercase()),
        };
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, self.name()), &plural)
    }
}

/// A child as the API server has it.
#[derive(Debug, Clone)]
pub struct Child {
    /// Its kind.
    pub kind: ChildKind,
    /// Its name.
    pub name: String,
    /// The Bridge that its labels name.
    pub bridge: Option<BridgeKey>,
    /// Its metadata without managed fields.
    pub metadata: ObjectMeta,
    /// The rest of it. Of a `ConfigMap`, a digest of the data stands in place of the data.
    pub data: Value,
}

impl Child {
    /// Takes what a watch or a write gave.
    pub fn read(kind: ChildKind, object: DynamicObject) -> Self {
        let DynamicObject { types: _, mut metadata, mut data } = object;
        slim(&mut metadata);
        if kind == ChildKind::ConfigMap {
            digest(&mut data);
        }
        let instance = metadata.labels.as_ref().and_then(|labels| labels.get(names::INSTANCE));
        let bridge = metadata.namespace.as_ref().zip(instance).map(|(namespace, name)| BridgeKey::new(namespace, name));
        Self { kind, name: metadata.name.clone().unwrap_or_default(), bridge, metadata, data }
    }

    /// Whether it belongs to the Bridge with this uid.
    pub fn is_owned_by(&self, uid: &str) -> bool {
        self.metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid && owner.controller == Some(true))
    }

    /// Whether another version of it is of no interest.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.metadata.uid == other.metadata.uid && self.metadata.resource_version == other.metadata.resource_version
    }

    /// Whether this is a later version of the same object.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        is_newer(&self.metadata, &other.metadata)
    }
}

/// Puts a digest in place of the data of a `ConfigMap`: a plan is large, and only whether it differs matters.
pub fn digest(body: &mut Value) {
    for field in ["data", "binaryData"] {
        let Some(entries) = body.get_mut(field).and_then(Value::as_object_mut) else { continue };
        for value in entries.values_mut() {
            let text = value.as_str().unwrap_or_default();
            *value = json!(format!("{:x}", Sha256::digest(text.as_bytes())));
        }
    }
}
