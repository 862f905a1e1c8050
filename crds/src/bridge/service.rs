//! The Service in front of a Bridge's pods.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{map_of_text, rules};

/// How devices find the pods. The Service has the name of the Bridge and a port for each listener; a cluster only.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = rules(&[(
    // The default of the whole, `{}`, is held against the rule as it stands, before the fields' own defaults.
    "!has(self.externalTrafficPolicy) || self.externalTrafficPolicy == 'Cluster' || has(self.type) && self.type != 'ClusterIP'",
    "externalTrafficPolicy Local needs a Service that is reached from outside: set type to NodePort or LoadBalancer",
    ".externalTrafficPolicy",
)]))]
pub struct Service {
    /// From where it is reached.
    #[serde(rename = "type")]
    pub kind: ServiceType,
    /// Annotations of the Service, such as those that a cloud's load balancer reads.
    #[schemars(transform = map_of_text(64, 317, 16_384))]
    pub annotations: BTreeMap<String, String>,
    /// Whether traffic from outside may pass through another node (`Cluster`) or reaches only pods of the node where
    /// it arrives (`Local`), which shows the device's own address to the pod.
    pub external_traffic_policy: TrafficPolicy,
}

/// From where a Service is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// Inside the cluster.
    #[default]
    ClusterIP,
    /// Also on a port of every node.
    NodePort,
    /// Also on an address of its own.
    LoadBalancer,
}

/// Which pods take traffic from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum TrafficPolicy {
    /// Those of any node.
    #[default]
    Cluster,
    /// Those of the node where it arrives.
    Local,
}
