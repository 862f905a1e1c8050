//! Where a Bridge's pods run and what they may use: bounded copies of the parts of a pod that make sense here. A whole
//! pod template would not fit into what `kubectl apply` can keep of a definition.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    quantity::Quantity,
    schema::{map_of, rules},
};

/// What a pod is promised, and what it may use at most.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// What a pod is promised, such as `{cpu: 500m, memory: 512Mi}`. It decides where the pod is placed. Without requests
    /// and limits it is `{cpu: 100m, memory: 128Mi}`.
    #[schemars(transform = map_of(16, 317))]
    pub requests: BTreeMap<String, Quantity>,
    /// What a pod may use at most. Beyond its memory it is killed: leave room for the buffers of the Sinks
    /// (`totalLimit` of each) and 128Mi besides. Nothing is limited by default.
    #[schemars(transform = map_of(16, 317))]
    pub limits: BTreeMap<String, Quantity>,
}

/// A taint of nodes that does not keep the pods away.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = rules(&[
    ("self.operator == 'Equal' || self.value == ''",
     "operator Exists takes no value: remove it, or set operator to Equal", ".value"),
    ("self.key != '' || self.operator == 'Exists'",
     "without a key, operator Exists tolerates every taint: set operator to Exists, or name a key", ".key"),
]))]
pub struct Toleration {
    /// Key of the taint; empty is every key.
    #[schemars(length(max = 317))]
    pub key: String,
    /// Whether the value of the taint matters.
    pub operator: TolerationOperator,
    /// Value of the taint.
    #[schemars(length(max = 63))]
    pub value: String,
    /// Effect of the taint; absent is every effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,
    /// With effect `NoExecute`: seconds that a pod stays on a node after it was tainted; absent is for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub toleration_seconds: Option<i64>,
}

/// Whether the value of a taint matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum TolerationOperator {
    /// It has to be equal.
    #[default]
    Equal,
    /// Any value.
    Exists,
}

/// What a taint does to pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// No new pods.
    NoSchedule,
    /// No new pods, if there is another place.
    PreferNoSchedule,
    /// No pods.
    NoExecute,
}

/// How the pods spread over nodes. The pods that count are those of the Bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopologySpread {
    /// Label of nodes that tells places apart, such as `topology.kubernetes.io/zone`.
    #[schemars(length(min = 1, max = 317))]
    pub topology_key: String,
    /// Largest difference in pods between two places.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_skew: i32,
    /// What happens to a pod for which there is no such place.
    #[serde(default)]
    pub when_unsatisfiable: WhenUnsatisfiable,
}

/// What happens to a pod that cannot be spread as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum WhenUnsatisfiable {
    /// It runs all the same.
    #[default]
    ScheduleAnyway,
    /// It waits.
    DoNotSchedule,
}

fn one() -> i32 {
    1
}
