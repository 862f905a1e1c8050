//! What a Sink reports about itself.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::{LARGEST, conditions, unobserved};

/// Status of a Sink.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SinkStatus {
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
    pub statistics: Option<SinkStatistics>,
}

impl Default for SinkStatus {
    fn default() -> Self {
        Self { observed_generation: unobserved(), conditions: Vec::new(), statistics: None }
    }
}

/// Figures of a Sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SinkStatistics {
    /// Records handed to the Sink.
    #[schemars(range(min = 0, max = LARGEST))]
    pub matched: u64,
    /// Acknowledged by Kafka.
    #[schemars(range(min = 0, max = LARGEST))]
    pub success: u64,
    /// Finally failed.
    #[schemars(range(min = 0, max = LARGEST))]
    pub failed: u64,
    /// Given up on before Kafka confirmed them.
    #[schemars(range(min = 0, max = LARGEST))]
    pub dropped: u64,
    /// In the buffers, not yet sent.
    #[schemars(range(min = 0, max = LARGEST))]
    pub queuing: u64,
    /// Sent, not yet acknowledged.
    #[schemars(range(min = 0, max = LARGEST))]
    pub inflight: u64,
    /// Acknowledged by Kafka per second, over the last interval.
    #[schemars(range(min = 0, max = LARGEST))]
    pub per_second: u64,
}
