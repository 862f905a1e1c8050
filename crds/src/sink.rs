//! `Sink`: where records go in Kafka, and how (rows S2, S4 to S10).

pub mod status;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use status::{SinkStatistics, SinkStatus};

use crate::{
    duration::Duration,
    reference::LocalReference,
    schema::{between_durations, between_sizes, rules},
    size::Size,
};

/// Where the output of rules goes in Kafka, as what records, and with which promise.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "isthmus.dev",
    version = "v1alpha1",
    kind = "Sink",
    namespaced,
    category = "isthmus",
    shortname = "snk",
    status = "crate::sink::SinkStatus",
    derive = "PartialEq",
    doc = "A Sink writes the output of rules to a Kafka topic.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Connector", type_ = "string", json_path = ".spec.connectorRef.name"),
    printcolumn(name = "Topic", type_ = "string", json_path = ".spec.topic"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules(&[
    ("!self.idempotence || self.acks == 'AllIsr'",
     "idempotence needs acks AllIsr: set acks to AllIsr, or idempotence to false", ".acks"),
    ("self.partitionStrategy != 'KeyDispatch' || self.key.size() > 0",
     "partitionStrategy KeyDispatch needs a key: set key, or choose another strategy", ".key"),
]))]
pub struct SinkSpec {
    /// The Connector to the Kafka cluster.
    pub connector_ref: LocalReference,
    /// Topic, or a template such as `site-${site}`. With a template, a message whose variable is missing fails.
    #[schemars(length(min = 1, max = 1024))]
    pub topic: String,
    /// Template of the record's key. A missing variable or an empty result makes the key null.
    #[serde(default = "key")]
    #[schemars(length(max = 65536))]
    pub key: String,
    /// Template of the record's value; `${.}` is the rule's whole output as JSON. An empty result makes it null. Bytes that are
    /// not UTF-8 cannot stand in JSON: such a message fails. `${payload}` keeps them as they are, `base64_encode(payload)` in the
    /// rule makes them text.
    #[serde(default = "value")]
    #[schemars(length(max = 65536))]
    pub value: String,
    /// Template of the record's timestamp, milliseconds since 1970. The current time is taken when the variable is
    /// missing or not a whole number above zero.
    #[serde(default = "timestamp")]
    #[schemars(length(max = 1024))]
    pub timestamp: String,
    /// What chooses a record's partition: nothing (`Random`), the key as Java clients hash it, murmur2
    /// (`KeyDispatch`), the MQTT topic (`MqttTopic`) or the client id (`ClientId`).
    #[serde(default)]
    pub partition_strategy: PartitionStrategy,
    /// How often to look for new partitions.
    #[serde(default = "refresh_interval")]
    #[schemars(transform = between_durations("1s", "1h"))]
    pub partition_count_refresh_interval: Duration,
    /// How batches are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// Who must have a record before it counts as delivered: all in-sync replicas, the leader only, or nobody.
    #[serde(default)]
    pub acks: Acks,
    /// Each record is stored once and in order per partition, also when it is sent again. Needs acks `AllIsr` and
    /// keeps at most 5 requests in flight per connection. `false` allows `maxInflight` of them, and a retry may then
    /// overtake.
    #[serde(default = "yes")]
    pub idempotence: bool,
    /// Upper bound of a batch in bytes. A larger single record goes alone.
    #[serde(default = "max_batch_bytes")]
    #[schemars(transform = between_sizes("1Ki", "100Mi"))]
    pub max_batch_bytes: Size,
    /// Longest time a record waits for others to share its batch. `0s` answers devices soonest and costs more CPU, here and
    /// in Kafka: at 5,000 messages/s 2.4 times as much.
    #[serde(default = "linger")]
    #[schemars(transform = between_durations("0s", "1m"))]
    pub linger: Duration,
    /// Batches in flight per partition.
    #[serde(default = "max_inflight")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_inflight: u16,
    /// `Async`: a device gets its PUBACK when the record is in the buffer; when the buffer overflows, the oldest
    /// records are dropped although they were acknowledged. `Sync`: when Kafka has the record (per `acks`).
    #[serde(default)]
    pub request_mode: RequestMode,
    /// With `Sync`, how long a publication may wait for Kafka before it is answered with a failure.
    #[serde(default = "sync_timeout")]
    #[schemars(transform = between_durations("100ms", "10m"))]
    pub sync_timeout: Duration,
    /// Records wait here, in memory, while Kafka is slow or away.
    #[serde(default)]
    pub buffer: Buffer,
}

/// What chooses a record's partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum PartitionStrategy {
    /// Spread over all partitions.
    #[default]
    Random,
    /// By the record's key, with the hash of Java clients (murmur2), so that topics are co-partitioned.
    KeyDispatch,
    /// By the MQTT topic of the publication.
    MqttTopic,
    /// By the client id of the publisher.
    ClientId,
}

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// Who must have a record before it counts as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Acks {
    /// All in-sync replicas.
    #[default]
    AllIsr,
    /// The partition's leader.
    LeaderOnly,
    /// Nobody: sent is delivered.
    None,
}

/// When a publication is acknowledged to its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum RequestMode {
    /// When the record is in the buffer.
    #[default]
    Async,
    /// When Kafka has acknowledged the record.
    Sync,
}

/// Limits of the memory that holds records until Kafka has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Buffer {
    /// Bytes per partition. Beyond it the oldest records of that partition are dropped, and counted.
    #[schemars(transform = between_sizes("64Ki", "1Ti"))]
    pub per_partition_limit: Size,
    /// Bytes over all partitions of this Sink, in one pod. Beyond it the oldest record that waits is dropped, and counted,
    /// whichever partition it waits for.
    #[schemars(transform = between_sizes("64Ki", "1Ti"))]
    pub total_limit: Size,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { per_partition_limit: Size::from_bytes(256 << 20), total_limit: Size::from_bytes(1 << 30) }
    }
}

impl SinkSpec {
    /// A Sink to `topic` through `connector`, with every default.
    pub fn new(connector: impl Into<String>, topic: impl Into<String>) -> Self {
        Self {
            connector_ref: LocalReference { name: connector.into() },
            topic: topic.into(),
            key: key(),
            value: value(),
            timestamp: timestamp(),
            partition_strategy: PartitionStrategy::default(),
            partition_count_refresh_interval: refresh_interval(),
            compression: Compression::default(),
            acks: Acks::default(),
            idempotence: yes(),
            max_batch_bytes: max_batch_bytes(),
            linger: linger(),
            max_inflight: max_inflight(),
            request_mode: RequestMode::default(),
            sync_timeout: sync_timeout(),
            buffer: Buffer::default(),
        }
    }
}

fn key() -> String {
    "${.clientid}".to_owned()
}

fn value() -> String {
    "${.}".to_owned()
}

fn timestamp() -> String {
    "${.timestamp}".to_owned()
}

fn refresh_interval() -> Duration {
    Duration::from_secs(60)
}

fn yes() -> bool {
    true
}

fn max_batch_bytes() -> Size {
    Size::from_bytes(896 << 10)
}

fn linger() -> Duration {
    Duration::from_millis(5)
}

fn max_inflight() -> u16 {
    10
}

fn sync_timeout() -> Duration {
    Duration::from_secs(5)
}
