//! `Rule`: which messages, reshaped how, go where (rows R1 to R4), and how that is tested (row X8).

pub mod status;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use status::{RuleStatistics, RuleStatus};

use crate::{
    reference::{LABEL_PATTERN, LocalReference},
    schema::{any_fields, list_map, rows, rules},
};

/// SQL over messages, and what happens with its output.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "isthmus.dev",
    version = "v1alpha1",
    kind = "Rule",
    namespaced,
    category = "isthmus",
    shortname = "rl",
    status = "crate::rule::RuleStatus",
    derive = "PartialEq",
    doc = "A Rule selects messages with SQL, reshapes them, and hands the output to its actions.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Bridge", type_ = "string", json_path = ".spec.bridgeRef.name"),
    printcolumn(name = "Actions", type_ = "string", json_path = ".spec.actions[*].name"),
    printcolumn(name = "Enabled", type_ = "boolean", priority = 1, json_path = ".spec.enabled"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct RuleSpec {
    /// The Bridge whose messages the rule sees.
    pub bridge_ref: LocalReference,
    /// `SELECT … FROM "topic/filter" WHERE …`. A Kafka Source is read with `FROM "$sources/kafka_consumer:NAME"`.
    #[schemars(length(min = 1, max = 65536))]
    pub sql: String,
    /// What happens with each output, in any number. A rule without actions only counts.
    #[serde(default)]
    #[schemars(length(max = 64), transform = list_map("name"))]
    pub actions: Vec<Action>,
    /// A rule that is not enabled stays checked but sees no message.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What the rule is for, in words.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub description: String,
    /// Sample events and what the rule makes of them. They run whenever the rule is checked, on a fixed clock and with
    /// empty stores; a rule that fails one of its tests is refused, and what ran before goes on.
    #[serde(default)]
    #[schemars(length(max = 64), transform = list_map("name"))]
    pub tests: Vec<Test>,
}

/// A sample event and what the rule makes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Test {
    /// Name of the test, unique in its rule.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// Columns of the event, such as `topic`, `clientid` and `payload`; those left out have sample values. A payload
    /// that is not text stands for its JSON text. `event` says what happened when it is not a published message; for
    /// the record of a Source it is `$sources/kafka_consumer:NAME`.
    #[schemars(transform = any_fields(64))]
    pub event: Map<String, Value>,
    /// What the rule makes of it.
    pub expect: Expectation,
}

/// What a rule makes of a sample event: exactly one of `output`, `outputs`, `noMatch` and `error`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules(&[
    ("[has(self.output), has(self.outputs), has(self.noMatch), has(self.error)].filter(x, x).size() == 1",
     "a test expects exactly one of output, outputs, noMatch and error", ""),
    ("!has(self.noMatch) || self.noMatch", "`noMatch` can only be true: say what comes out instead", ".noMatch"),
    ("!has(self.error) || self.error", "`error` can only be true: say what comes out instead", ".error"),
]))]
pub struct Expectation {
    /// The output of a SELECT. Fields that are not named here, at any depth, are not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = any_fields(256))]
    pub output: Option<Map<String, Value>>,
    /// All outputs of a FOREACH, in order, each compared like `output`; an empty list when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), transform = rows(256))]
    pub outputs: Option<Vec<Map<String, Value>>>,
    /// FROM does not cover the event, or WHERE is not true for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_match: Option<bool>,
    /// The rule raises, for instance because the payload is not JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<bool>,
}

/// One thing to do with an output: exactly one of `sinkRef`, `republish` and `console`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules(&[(
    "[has(self.sinkRef), has(self.republish), has(self.console)].filter(x, x).size() == 1",
    "an action is exactly one of sinkRef, republish and console",
    "",
)]))]
pub struct Action {
    /// Name of the action, unique in its rule.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL_PATTERN))]
    pub name: String,
    /// Hand it to a Sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink_ref: Option<LocalReference>,
    /// Publish it to an MQTT topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub republish: Option<Republish>,
    /// Write it to the log of the pod, or to the screen in local mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<Console>,
}

/// Publish an output to an MQTT topic. The publication is matched against all rules but the one that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Republish {
    /// Template of the MQTT topic.
    #[schemars(length(min = 1, max = 1024))]
    pub topic: String,
    /// Template of the payload; empty or `${.}` is the rule's whole output as JSON.
    #[serde(default = "payload")]
    #[schemars(length(max = 65536))]
    pub payload: String,
    /// QoS of the publication.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub qos: u8,
}

impl Republish {
    /// Publish to `topic` with every default.
    pub fn new(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), payload: payload(), qos: 0 }
    }
}

/// Write an output to the log of the pod, or to the screen in local mode.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Console {}

/// What an [`Action`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionKind<'a> {
    /// Hand the output to the Sink of this name.
    Sink(&'a str),
    /// Publish it.
    Republish(&'a Republish),
    /// Log it.
    Console,
}

impl Action {
    /// What the action does; `None` unless exactly one of the three is set, which the schema refuses.
    pub fn kind(&self) -> Option<ActionKind<'_>> {
        match (&self.sink_ref, &self.republish, &self.console) {
            (Some(sink), None, None) => Some(ActionKind::Sink(&sink.name)),
            (None, Some(republish), None) => Some(ActionKind::Republish(republish)),
            (None, None, Some(_)) => Some(ActionKind::Console),
            _ => None,
        }
    }
}

fn payload() -> String {
    "${payload}".to_owned()
}

fn yes() -> bool {
    true
}
