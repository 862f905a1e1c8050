//! `Connector`: how to reach one Kafka cluster (row S1).

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    duration::Duration,
    reference::LocalReference,
    sasl::Authentication,
    schema::{between_durations, items},
    tls::KafkaTls,
};

/// `host`, `host:port`, or the same with an IPv6 address in brackets.
pub const SERVER_PATTERN: &str = "^(\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)(:[0-9]{1,5})?$";

/// How to reach a Kafka cluster. Sinks and Sources name a Connector.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "isthmus.dev",
    version = "v1alpha1",
    kind = "Connector",
    namespaced,
    category = "isthmus",
    shortname = "cnr",
    status = "crate::condition::Status",
    derive = "PartialEq",
    doc = "A Connector says how the pods of a Bridge reach one Kafka cluster.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Bridge", type_ = "string", json_path = ".spec.bridgeRef.name"),
    printcolumn(name = "Servers", type_ = "string", json_path = ".spec.kafka.bootstrapServers"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorSpec {
    /// The Bridge whose pods connect.
    pub bridge_ref: LocalReference,
    /// The Kafka cluster.
    pub kafka: Kafka,
}

/// A Kafka cluster and the patience with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kafka {
    /// Where to ask first, each as `host:port`; the port is 9092 when left out.
    #[schemars(
        length(min = 1, max = 64),
        transform = items(&[("minLength", 1), ("maxLength", 261)], Some(SERVER_PATTERN))
    )]
    pub bootstrap_servers: Vec<String>,
    /// User name and password. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// Encrypts the connections. Absent: plain TCP; `tls: {}`: TLS with the public CAs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<KafkaTls>,
    /// How long one connection may take to come up, including authentication.
    #[serde(default = "five_seconds")]
    #[schemars(transform = between_durations("1s", "5m"))]
    pub connect_timeout: Duration,
    /// How long a question for topics and partitions may take.
    #[serde(default = "five_seconds")]
    #[schemars(transform = between_durations("1s", "5m"))]
    pub metadata_request_timeout: Duration,
    /// Shortest time between two such questions while something is missing.
    #[serde(default = "three_seconds")]
    #[schemars(transform = between_durations("100ms", "1m"))]
    pub min_metadata_refresh_interval: Duration,
    /// Age of an unanswered request after which its connection is taken for dead and opened again. Too short a time
    /// sends records twice over the network (idempotent Sinks still store them once).
    #[serde(default = "thirty_seconds")]
    #[schemars(transform = between_durations("1s", "5m"))]
    pub request_timeout: Duration,
}

impl Kafka {
    /// A cluster reached at `bootstrap_servers`, with the default patience.
    pub fn new(bootstrap_servers: Vec<String>) -> Self {
        Self {
            bootstrap_servers,
            authentication: None,
            tls: None,
            connect_timeout: five_seconds(),
            metadata_request_timeout: five_seconds(),
            min_metadata_refresh_interval: three_seconds(),
            request_timeout: thirty_seconds(),
        }
    }
}

fn three_seconds() -> Duration {
    Duration::from_secs(3)
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}
