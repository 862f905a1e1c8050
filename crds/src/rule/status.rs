//! What a Rule reports about itself.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::{LARGEST, conditions, unobserved};

/// Status of a Rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleStatus {
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
    pub statistics: Option<RuleStatistics>,
}

impl Default for RuleStatus {
    fn default() -> Self {
        Self { observed_generation: unobserved(), conditions: Vec::new(), statistics: None }
    }
}

/// Figures of a Rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RuleStatistics {
    /// Messages that FROM matched.
    #[schemars(range(min = 0, max = LARGEST))]
    pub matched: u64,
    /// Messages for which the actions ran.
    #[schemars(range(min = 0, max = LARGEST))]
    pub passed: u64,
    /// Messages for which the SQL raised an exception.
    #[schemars(range(min = 0, max = LARGEST))]
    pub failed: u64,
    /// Messages that WHERE or FOREACH left nothing of.
    #[schemars(range(min = 0, max = LARGEST))]
    pub no_result: u64,
    /// Actions that took the output.
    #[schemars(range(min = 0, max = LARGEST))]
    pub actions_success: u64,
    /// Actions that could not.
    #[schemars(range(min = 0, max = LARGEST))]
    pub actions_failed: u64,
    /// Messages that FROM matched per second, over the last interval.
    #[schemars(range(min = 0, max = LARGEST))]
    pub per_second: u64,
}
