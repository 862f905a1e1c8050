//! What a Bridge reports about itself.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    condition::{LARGEST, conditions, unobserved},
    schema::list_map,
};

/// Status of a Bridge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BridgeStatus {
    /// The generation of the resource that this status describes; -1 before the first visit.
    #[serde(default = "unobserved")]
    #[schemars(range(min = -1))]
    pub observed_generation: i64,
    /// What is true about the resource, by type.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// Pods that exist.
    #[serde(default)]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub replicas: i32,
    /// Pods that devices can connect to.
    #[serde(default)]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub ready_replicas: i32,
    /// Label selector of the pods, for autoscalers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub selector: String,
    /// Revision of the configuration that the pods should run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64))]
    pub revision: String,
    /// Devices connected, over all pods.
    #[serde(default)]
    #[schemars(range(min = 0, max = LARGEST))]
    pub connections: u64,
    /// Where devices connect, by listener.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), transform = list_map("name"))]
    pub endpoints: Vec<Endpoint>,
}

impl Default for BridgeStatus {
    fn default() -> Self {
        Self {
            observed_generation: unobserved(),
            conditions: Vec::new(),
            replicas: 0,
            ready_replicas: 0,
            selector: String::new(),
            revision: String::new(),
            connections: 0,
            endpoints: Vec::new(),
        }
    }
}

/// Where devices connect to one listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Name of the listener.
    #[schemars(length(min = 1, max = 15))]
    pub name: String,
    /// Host and port inside the cluster, or outside when the Service has an address there.
    #[schemars(length(min = 1, max = 512))]
    pub address: String,
}
