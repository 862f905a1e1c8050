//! What the process can say about itself: one snapshot that the admin port, the metrics and the
//! local mode's screen all read.
//!
//! Plain data, no IO. The figures of one Sink are read under its locks, so that at every instant
//! `matched = success + failed + dropped + queuing + inflight` (row X6).

use std::fmt;

use serde::Serialize;

use crate::memory::Usage;

/// Everything at one instant.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Revision of the plan that is in force.
    pub revision: String,
    /// Why the newest plan is not in force, when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<RejectedPlan>,
    /// Bound listeners.
    pub listeners: Vec<Listener>,
    /// The Kafka of local mode; absent in pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<LocalKafka>,
    /// Memory of the process.
    pub memory: Usage,
    /// MQTT side.
    pub mqtt: Mqtt,
    /// Sinks by name.
    pub sinks: Vec<Sink>,
    /// Records that Sinks still had when the time they had after their removal was over.
    pub removed_sink_records_lost: u64,
    /// Sources by name.
    pub sources: Vec<Source>,
    /// Rules by name.
    pub rules: Vec<Rule>,
}

/// The plan needs a Secret that this process was started without: a new pod will have it.
pub const SECRET_NOT_MOUNTED: &str = "SecretNotMounted";

/// A newer configuration that could not be put in force; the old one keeps running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RejectedPlan {
    /// Revision of the refused plan, empty when it could not even be read.
    pub revision: String,
    /// A word for programs, where they have to tell this from other refusals: [`SECRET_NOT_MOUNTED`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// What is wrong and how to fix it.
    pub message: String,
}

impl RejectedPlan {
    /// One that a person has to look at.
    pub fn new(revision: String, message: String) -> Self {
        Self { revision, reason: None, message }
    }
}

/// A bound listener.
#[derive(Debug, Clone, Serialize)]
pub struct Listener {
    /// Name in the Bridge.
    pub name: String,
    /// Address and port it is bound to.
    pub address: String,
    /// Whether it speaks TLS.
    pub tls: bool,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.tls { " with TLS" } else { "" };
        write!(f, "mqtt listener \"{}\" on {}{tls}", self.name, self.address)
    }
}

/// The Kafka that local mode talks to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalKafka {
    /// `host:port`, comma separated.
    pub bootstrap_servers: String,
    /// Whether it is the embedded broker.
    pub embedded: bool,
}

/// Figures of the MQTT side.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mqtt {
    /// Clients connected now.
    pub connections: u64,
    /// Connections accepted since the start.
    pub connections_total: u64,
    /// Connections refused, by reason.
    pub refused: Vec<(&'static str, u64)>,
    /// PUBLISH packets received, QoS 0 and QoS 1.
    pub received: [u64; 2],
    /// Publications acknowledged positively.
    pub acknowledged: u64,
    /// Publications answered with a failure, or given up on by closing the connection.
    pub refused_publications: u64,
    /// PUBLISH packets sent to subscribers.
    pub delivered: u64,
    /// Deliveries dropped, by reason.
    pub delivery_dropped: Vec<(&'static str, u64)>,
    /// Subscriptions held now.
    pub subscriptions: u64,
    /// Subscriptions refused, by reason.
    pub subscriptions_refused: Vec<(&'static str, u64)>,
    /// Connections closed because of a packet that breaks the protocol.
    pub malformed: u64,
    /// Bytes read from and written to clients.
    pub bytes: [u64; 2],
}

/// Whether a link to Kafka is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum LinkState {
    /// Not yet, or not any more; it keeps trying and nothing buffered is lost.
    #[default]
    Connecting,
    /// Kafka answers and the topic is there.
    Connected,
}

/// A link to Kafka: its state and, when it is not up, why and what to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Up or not.
    pub state: LinkState,
    /// A documented constant in CamelCase: `Connected`, `KafkaUnreachable`, `TopicNotFound`, `NotAuthorized`,
    /// `AuthenticationFailed`, `TlsFailed`, …
    pub reason: &'static str,
    /// A sentence with the fix, empty when connected.
    pub message: String,
}

/// Figures of one Sink, in records.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sink {
    /// Name of the Sink.
    pub name: String,
    /// Its link to Kafka.
    #[serde(flatten)]
    pub link: Link,
    /// Records handed to the Sink.
    pub matched: u64,
    /// Acknowledged by Kafka.
    pub success: u64,
    /// Finally failed.
    pub failed: u64,
    /// Given up on before Kafka confirmed them: sum over [`Sink::dropped_by`].
    pub dropped: u64,
    /// Reasons of `dropped`: `queue_full`, `memory`, `sink_deleted`, `other`.
    pub dropped_by: Vec<(&'static str, u64)>,
    /// In the buffer, not yet sent.
    pub queuing: u64,
    /// Bytes in the buffer, sent or not.
    pub buffered_bytes: u64,
    /// Sent, not yet acknowledged.
    pub inflight: u64,
    /// Sent again; outside the sum.
    pub retried: u64,
}

/// Figures of one Source, in records.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Name of the Source.
    pub name: String,
    /// Its link to Kafka.
    #[serde(flatten)]
    pub link: Link,
    /// Records received from Kafka.
    pub received: u64,
    /// Settled: delivered, or handed to durable storage, or nobody wanted them.
    pub delivered: u64,
    /// Given up on after a failure; their offset went on.
    pub failed: u64,
    /// How often a partition was read again from an earlier place, because its log is another one: the topic was created
    /// anew, or its end was lost.
    pub rewinds: u64,
    /// Received, not yet settled.
    pub pending: u64,
    /// Records in Kafka not yet received, over the assigned partitions; absent until known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// Partitions assigned to this process.
    pub partitions: u64,
}

/// Figures of one Rule.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Name of the Rule.
    pub name: String,
    /// Messages its FROM matched: passed + failed.
    pub matched: u64,
    /// Messages for which its actions ran.
    pub passed: u64,
    /// SQL raised an exception.
    pub failed_exception: u64,
    /// WHERE was false, or FOREACH gave nothing.
    pub failed_no_result: u64,
    /// Actions that took the output.
    pub actions_success: u64,
    /// Actions that could not.
    pub actions_failed: u64,
    /// What the last exception said, for the reader who wonders why `failedException` moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// What can be observed. Implemented by the running data path.
pub trait Observe: Send + Sync + 'static {
    /// The figures now.
    fn snapshot(&self) -> Snapshot;
    /// Whether listeners are bound and a plan is in force: `/readyz`.
    fn ready(&self) -> Result<(), String>;
}
