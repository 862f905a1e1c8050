//! `Bridge`: a fleet of pods, each an MQTT broker with a rule engine and Kafka clients.

pub mod pods;
pub mod service;
pub mod status;

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use pods::{Resources, Toleration, TopologySpread};
pub use service::Service;
pub use status::{BridgeStatus, Endpoint};

use crate::{
    duration::Duration,
    reference::{LABEL_PATTERN, LocalReference},
    schema::{atomic, between_durations, between_sizes, list_map, map_of_text, rules},
    size::Size,
    tls::ListenerTls,
};

/// A fleet of pods that devices connect to with MQTT, and what they are allowed.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "isthmus.dev",
    version = "v1alpha1",
    kind = "Bridge",
    namespaced,
    category = "isthmus",
    shortname = "br",
    status = "crate::bridge::BridgeStatus",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    derive = "PartialEq",
    doc = "A Bridge is a fleet of pods, each an MQTT broker with a rule engine and Kafka clients.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Pods", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Devices", type_ = "integer", json_path = ".status.connections"),
    printcolumn(name = "Ports", type_ = "string", json_path = ".spec.listeners[*].port"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", default)]
pub struct BridgeSpec {
    /// Number of pods; a cluster only. An autoscaler may own it: leave it out of the manifest then.
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: i32,
    /// Leave the pods and everything around them as they are, whatever changes here; a cluster only.
    pub suspend: bool,
    /// Image of the pods instead of the operator's own; a cluster only.
    #[schemars(length(max = 1024))]
    pub image: String,
    /// Where devices connect. Names and ports are unique.
    #[schemars(
        length(min = 1, max = 16),
        transform = list_map("name"),
        transform = rules(&[
            ("self.all(x, self.exists_one(y, y.port == x.port))", "each listener needs a port of its own", ""),
            ("self.all(x, x.port != 9600 && x.name != 'admin')",
             "port 9600 and the name admin are those of the pods' health and metrics: choose others", ""),
        ])
    )]
    pub listeners: Vec<Listener>,
    /// Who may connect.
    pub authentication: Authentication,
    /// Limits of the MQTT side.
    pub mqtt: Mqtt,
    /// How a pod stops.
    pub drain: Drain,
    /// How devices find the pods; a cluster only.
    pub service: Service,
    /// What a pod is promised and may use at most; a cluster only.
    pub resources: Resources,
    /// Taints that do not keep the pods away; a cluster only.
    #[schemars(length(max = 32), transform = atomic)]
    pub tolerations: Vec<Toleration>,
    /// How the pods spread over nodes; none is evenly over zones and hosts, as far as that is possible. A cluster only.
    #[schemars(length(max = 8), transform = list_map("topologyKey"))]
    pub topology_spread_constraints: Vec<TopologySpread>,
    /// Labels that a node needs to run the pods; a cluster only.
    #[schemars(transform = map_of_text(32, 317, 63))]
    pub node_selector: BTreeMap<String, String>,
    /// Labels of the pods besides the operator's own; a cluster only.
    #[schemars(transform = map_of_text(64, 317, 63))]
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations of the pods; a cluster only.
    #[schemars(transform = map_of_text(64, 317, 16_384))]
    pub pod_annotations: BTreeMap<String, String>,
}

impl Default for BridgeSpec {
    fn default() -> Self {
        Self {
            replicas: 1,
            suspend: false,
            image: String::new(),
            listeners: vec![Listener { name: "mqtt".to_owned(), port: 1883, protocol: Protocol::Mqtt, tls: None }],
            authentication: Authentication::default(),
            mqtt: Mqtt::default(),
            drain: Drain::default(),
            service: Service::default(),
            resources: Resources::default(),
            tolerations: Vec::new(),
            topology_spread_constraints: Vec::new(),
            node_selector: BTreeMap::new(),
            pod_labels: BTreeMap::new(),
            pod_annotations: BTreeMap::new(),
        }
    }
}

/// A port that devices connect to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Name of the listener, and of the Service port it becomes (at most 15 characters for that reason).
    #[schemars(length(min = 1, max = 15), regex(pattern = LABEL_PATTERN))]
    pub name: String,
    /// TCP port.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// What is spoken on the port. MQTT 3.1.1 and 5.0 share it.
    #[serde(default)]
    pub protocol: Protocol,
    /// Encrypts the port and, when asked for, checks the devices' certificates. Absent: plain TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// MQTT 3.1.1 and 5.0, over TCP or TLS.
    #[default]
    Mqtt,
}

/// Who may connect.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Authentication {
    /// Whether a device may connect without a user name.
    pub anonymous: Access,
    /// Secret with the users: each key is a user name, its value a PHC string (`$argon2id$…`, `$pbkdf2-sha256$…`),
    /// a bcrypt hash (`$2b$…`) or `plain:` followed by the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users_secret_ref: Option<LocalReference>,
}

/// Whether something is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Access {
    /// Allowed.
    Allow,
    /// Refused.
    #[default]
    Deny,
}

/// Limits of the MQTT side, per pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Mqtt {
    /// Largest packet a device may send, in bytes. A larger one closes its connection (5.0: reason 0x95).
    #[schemars(transform = between_sizes("1Ki", "256Mi"))]
    pub max_packet_size: Size,
    /// Connections a pod holds at once. One more is refused (5.0: reason 0x97, 3.1.1: return code 3).
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_connections: u32,
    /// QoS 1 publications a device may have unacknowledged (5.0: Receive Maximum). Reading from a 3.1.1 device
    /// pauses at the same figure.
    #[schemars(range(min = 1, max = 65535))]
    pub receive_maximum: u16,
    /// Messages that wait for one slow subscriber. Further ones are dropped, QoS 0 before QoS 1 and the oldest before
    /// newer ones, and counted (`isthmus_mqtt_delivery_dropped_total`, reason `queue_full`).
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_queued_messages: u32,
    /// Bytes of the messages that wait for one slow subscriber, some 100 more for each counted. Beyond it they are dropped
    /// as beyond `maxQueuedMessages`. A message that is larger than this waits alone.
    #[schemars(transform = between_sizes("64Ki", "1Gi"))]
    pub max_queued_bytes: Size,
    /// Subscriptions a device may hold. One more is refused (5.0: reason 0x97, 3.1.1: return code 0x80) and counted
    /// (`isthmus_mqtt_subscriptions_refused_total`, reason `limit`).
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_subscriptions: u32,
    /// Longest keep alive a device may ask for. A device that asks for more, or for none, gets this one (5.0) or is
    /// held to it (3.1.1).
    #[schemars(transform = between_durations("1s", "65535s"))]
    pub max_keep_alive: Duration,
    /// Most levels a topic or a filter may have.
    #[schemars(range(min = 1, max = 128))]
    pub max_topic_levels: u16,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            max_packet_size: Size::from_bytes(1024 * 1024),
            max_connections: 100_000,
            receive_maximum: 100,
            max_queued_messages: 1_000,
            max_queued_bytes: Size::from_bytes(16 * 1024 * 1024),
            max_subscriptions: 1_000,
            max_keep_alive: Duration::from_secs(600),
            max_topic_levels: 16,
        }
    }
}

/// How a pod stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Drain {
    /// How long a stopping pod waits for what is in flight: publications to be acknowledged, records to be taken by
    /// Kafka, offsets to be committed. What is left then is reported.
    #[schemars(transform = between_durations("0s", "1h"))]
    pub grace_period: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { grace_period: Duration::from_secs(60) }
    }
}
