//! What a Source reports about itself.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::{LARGEST, conditions, unobserved};

/// Status of a Source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// The generation of the resource that this status describes; -1 before the first visit.
    #[serde(default = "unobserved")]
    #[schemars(range(min = -1))]
    pub observed_generation: i64,
    /// What is true about the resource, by type.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// Figures over all pods, since each of them started. Refreshed now and then; the metrics of the pods are exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistics: Option<SourceStatistics>,
}

impl Default for SourceStatus {
    fn default() -> Self {
        Self { observed_generation: unobserved(), conditions: Vec::new(), statistics: None }
    }
}

/// Figures of a Source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SourceStatistics {
    /// Records received from Kafka.
    #[schemars(range(min = 0, max = LARGEST))]
    pub received: u64,
    /// Settled: delivered, or handed to durable storage, or nobody wanted them.
    #[schemars(range(min = 0, max = LARGEST))]
    pub delivered: u64,
    /// Given up on after a failure.
    #[schemars(range(min = 0, max = LARGEST))]
    pub failed: u64,
    /// Received, not yet settled.
    #[schemars(range(min = 0, max = LARGEST))]
    pub pending: u64,
    /// Records in Kafka not yet received, as far as known.
    #[schemars(range(min = 0, max = LARGEST))]
    pub lag: u64,
    /// Settled per second, over the last interval.
    #[schemars(range(min = 0, max = LARGEST))]
    pub per_second: u64,
}
