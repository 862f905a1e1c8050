//! `Source`: what comes from Kafka, and where it goes in MQTT (rows C1 to C4).

pub mod status;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use status::{SourceStatistics, SourceStatus};

use crate::{
    duration::Duration,
    reference::LocalReference,
    schema::{between_durations, between_sizes, list_map, rules},
    size::Size,
};

/// Kafka's own rule for topic names; `.` and `..` are refused besides.
pub const KAFKA_TOPIC_PATTERN: &str = "^[a-zA-Z0-9._-]{1,249}$";

/// Kafka topics that pods of a Bridge read, for MQTT subscribers and for rules.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "isthmus.dev",
    version = "v1alpha1",
    kind = "Source",
    namespaced,
    category = "isthmus",
    shortname = "src",
    status = "crate::source::SourceStatus",
    derive = "PartialEq",
    doc = "A Source reads Kafka topics and hands their records to MQTT topics and to rules.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Connector", type_ = "string", json_path = ".spec.connectorRef.name"),
    printcolumn(name = "Topics", type_ = "string", json_path = ".spec.topicMapping[*].kafkaTopic"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct SourceSpec {
    /// The Connector to the Kafka cluster.
    pub connector_ref: LocalReference,
    /// The Kafka topics, each once. Rules read them all with `FROM "$sources/kafka_consumer:NAME"`.
    #[schemars(length(min = 1, max = 100), transform = list_map("kafkaTopic"))]
    pub topic_mapping: Vec<TopicMapping>,
    /// How a record's key becomes text: as it is (it must be UTF-8), or in base64.
    #[serde(default)]
    pub key_encoding: Encoding,
    /// How a record's value becomes text: as it is (it must be UTF-8), or in base64.
    #[serde(default)]
    pub value_encoding: Encoding,
    /// Where to start in a partition that this group never read, or whose place Kafka has deleted. A topic that was created
    /// anew is read from its beginning.
    #[serde(default)]
    pub offset_reset: OffsetReset,
    /// Consumer group. Empty: `isthmus-NAMESPACE-NAME`. All pods share it, and thereby the partitions.
    #[serde(default)]
    #[schemars(length(max = 249), regex(pattern = "^[a-zA-Z0-9._-]*$"))]
    pub group_id: String,
    /// Bytes to ask for at a time.
    #[serde(default = "max_fetch_bytes")]
    #[schemars(transform = between_sizes("1", "512Mi"))]
    pub max_fetch_bytes: Size,
    /// How long Kafka may hold a request while it has nothing new.
    #[serde(default = "max_wait")]
    #[schemars(transform = between_durations("0s", "5m"))]
    pub max_wait: Duration,
    /// How often offsets are committed: of records that were delivered, never of others.
    #[serde(default = "offset_commit_interval")]
    #[schemars(transform = between_durations("100ms", "1h"))]
    pub offset_commit_interval: Duration,
    /// How long a pod may be silent before the others take its partitions: one that was killed or cut off, as one that
    /// drains leaves at once. Kafka's `group.min.session.timeout.ms` (6s) and `group.max.session.timeout.ms` (30m) must
    /// allow it.
    #[serde(default = "session_timeout")]
    #[schemars(transform = between_durations("6s", "30m"))]
    pub session_timeout: Duration,
}

/// What happens to the records of one Kafka topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicMapping {
    /// Kafka topic.
    #[schemars(
        length(min = 1, max = 249),
        regex(pattern = KAFKA_TOPIC_PATTERN),
        transform = rules(&[("self != '.' && self != '..'", "Kafka has no topics called `.` or `..`", "")])
    )]
    pub kafka_topic: String,
    /// Template of the MQTT topic that records are published to, such as `cmd/${.key}`. Absent: for rules only.
    /// A missing variable is empty text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub mqtt_topic: Option<String>,
    /// QoS of the publication.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub qos: u8,
    /// Template of the MQTT payload; `${.}` is the whole record as JSON: `value`, `key`, `headers`, `topic`,
    /// `offset`, `ts`, `ts_type`. A missing variable is empty text.
    #[serde(default = "payload_template")]
    #[schemars(length(max = 65536))]
    pub payload_template: String,
}

impl TopicMapping {
    /// The records of `kafka_topic`, for rules only.
    pub fn new(kafka_topic: impl Into<String>) -> Self {
        Self { kafka_topic: kafka_topic.into(), mqtt_topic: None, qos: 0, payload_template: payload_template() }
    }
}

/// How bytes become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Encoding {
    /// As they are; they must be UTF-8.
    #[default]
    None,
    /// base64 (RFC 4648, with padding).
    Base64,
}

/// Where to start without a committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum OffsetReset {
    /// At the end: only what comes from now on.
    #[default]
    Latest,
    /// At the oldest record there is.
    Earliest,
}

impl SourceSpec {
    /// A Source of `topic_mapping` through `connector`, with every default.
    pub fn new(connector: impl Into<String>, topic_mapping: Vec<TopicMapping>) -> Self {
        Self {
            connector_ref: LocalReference { name: connector.into() },
            topic_mapping,
            key_encoding: Encoding::default(),
            value_encoding: Encoding::default(),
            offset_reset: OffsetReset::default(),
            group_id: String::new(),
            max_fetch_bytes: max_fetch_bytes(),
            max_wait: max_wait(),
            offset_commit_interval: offset_commit_interval(),
            session_timeout: session_timeout(),
        }
    }
}

fn payload_template() -> String {
    "${.}".to_owned()
}

fn max_fetch_bytes() -> Size {
    Size::from_bytes(896 << 10)
}

fn max_wait() -> Duration {
    Duration::from_secs(1)
}

fn offset_commit_interval() -> Duration {
    Duration::from_secs(5)
}

fn session_timeout() -> Duration {
    Duration::from_secs(10)
}
