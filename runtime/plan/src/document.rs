//! The plan document: everything a pod runs, with references resolved.
//!
//! Values of Secrets appear as their name and key, never as values (row K7). Field names and value forms are
//! those of the resources, so that a reader of `plan.json` recognises what they wrote.

mod kafka;
mod secret;

use isthmus_api::{
    bridge::{Drain, Mqtt, Protocol},
    duration::Duration,
    rule::Republish,
    sink::{Acks, Buffer, Compression, PartitionStrategy, RequestMode},
    size::Size,
    source::{Encoding, OffsetReset, TopicMapping},
};
use serde::{Deserialize, Serialize};

pub use self::{
    kafka::{Kafka, KafkaTls, Sasl, Username},
    secret::{Certificate, Keys, SecretKey},
};

/// What the pods of one Bridge run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// Hash of everything below: 16 hexadecimal digits. Equal content, equal revision.
    pub revision: String,
    /// The Bridge's own settings.
    pub bridge: Bridge,
    /// Sinks by name.
    pub sinks: Vec<Sink>,
    /// Sources by name.
    pub sources: Vec<Source>,
    /// Enabled rules, in the order in which they see a message: oldest first, as far as their age is known.
    pub rules: Vec<Rule>,
}

/// The settings of a Bridge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bridge {
    /// Namespace of the Bridge and of everything in the plan.
    pub namespace: String,
    /// Name of the Bridge.
    pub name: String,
    /// Generation of the resource that this was rendered from. Not part of the revision: pods run the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Where devices connect; at least one.
    pub listeners: Vec<Listener>,
    /// Who may connect.
    pub authentication: Authentication,
    /// Limits of the MQTT side.
    pub mqtt: Mqtt,
    /// How the pod stops.
    pub drain: Drain,
}

/// A port that devices connect to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// Name of the listener.
    pub name: String,
    /// TCP port.
    pub port: u16,
    /// What is spoken on the port.
    #[serde(default)]
    pub protocol: Protocol,
    /// TLS; absent: plain TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
}

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListenerTls {
    /// What devices are shown.
    pub certificate: Certificate,
    /// Where the CA certificates are that devices' certificates are checked against; absent: devices show none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<SecretKey>,
}

/// Who may connect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Authentication {
    /// Whether a device may connect without a user name.
    pub anonymous: bool,
    /// The users, when there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Users>,
}

/// Where the users are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Users {
    /// Name of the Secret they come from: each key is a user name, its value the password hash.
    pub secret: String,
}

/// A Sink with its Connector resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sink {
    /// Name of the Sink.
    pub name: String,
    /// The resource's uid: one of the same name with another uid is another resource. Absent in local mode. Not part of
    /// the revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Generation of the resource that this was rendered from. Not part of the revision: pods run the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Name of its Connector: Sinks and Sources of one Connector may share what they know about the cluster.
    pub connector: String,
    /// How to reach Kafka.
    pub kafka: Kafka,
    /// Topic or template of it.
    pub topic: String,
    /// Whether `topic` has variables, so that topics are known only when messages come.
    pub dynamic_topic: bool,
    /// Template of the key.
    pub key: String,
    /// Template of the value.
    pub value: String,
    /// Template of the timestamp.
    pub timestamp: String,
    /// What chooses the partition.
    pub partition_strategy: PartitionStrategy,
    /// How often to look for new partitions.
    pub partition_count_refresh_interval: Duration,
    /// How batches are compressed.
    pub compression: Compression,
    /// Who must have a record before it counts as delivered.
    pub acks: Acks,
    /// Whether a record sent again is stored once.
    pub idempotence: bool,
    /// Upper bound of a batch.
    pub max_batch_bytes: Size,
    /// Longest wait for a batch to fill.
    pub linger: Duration,
    /// Batches in flight per partition.
    pub max_inflight: u16,
    /// When a publication is acknowledged.
    pub request_mode: RequestMode,
    /// Longest wait for Kafka with `Sync`.
    pub sync_timeout: Duration,
    /// Limits of the buffer.
    pub buffer: Buffer,
}

/// A Source with its Connector resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// Name of the Source.
    pub name: String,
    /// The resource's uid: one of the same name with another uid is another resource. Absent in local mode. Not part of
    /// the revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Generation of the resource that this was rendered from. Not part of the revision: pods run the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Name of its Connector.
    pub connector: String,
    /// How to reach Kafka.
    pub kafka: Kafka,
    /// Kafka topics, each once, and where their records go.
    pub topic_mapping: Vec<TopicMapping>,
    /// How keys become text.
    pub key_encoding: Encoding,
    /// How values become text.
    pub value_encoding: Encoding,
    /// Where to start without a committed offset.
    pub offset_reset: OffsetReset,
    /// Consumer group; never empty.
    pub group_id: String,
    /// Bytes to ask for at a time.
    pub max_fetch_bytes: Size,
    /// How long Kafka may hold a request while it has nothing new.
    pub max_wait: Duration,
    /// How often offsets are committed.
    pub offset_commit_interval: Duration,
    /// How long a pod may be silent before the others take its partitions.
    pub session_timeout: Duration,
}

/// A Rule whose SQL compiles. Its Sinks are in the plan, or are known to be gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Name of the Rule.
    pub name: String,
    /// The resource's uid: one of the same name with another uid is another resource. Absent in local mode. Not part of
    /// the revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Generation of the resource that this was rendered from. Not part of the revision: pods run the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Its SQL.
    pub sql: String,
    /// What happens with each output.
    pub actions: Vec<Action>,
}

/// One thing to do with an output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Action {
    /// Name of the action, unique in its rule.
    pub name: String,
    /// What to do.
    #[serde(rename = "do")]
    pub kind: ActionKind,
}

/// What an [`Action`] does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum ActionKind {
    /// Hand the output to the Sink of this name, which is in the plan.
    Sink(String),
    /// The Sink of this name, which the rule handed its outputs to, is gone: the action fails.
    Missing(String),
    /// Publish it to MQTT.
    Republish(Republish),
    /// Log it.
    Console,
}

/// Something that a plan has by name, made from a resource.
pub(crate) trait Part: Clone + PartialEq {
    fn name(&self) -> &str;
    fn uid(&self) -> Option<&str>;
    fn generation(&self) -> Option<i64>;
    /// The same without what no pod runs.
    fn anonymous(&self) -> Self;

    /// Whether it was made from the resource with this uid, as far as both are known.
    fn is_of(&self, uid: Option<&str>) -> bool {
        match (self.uid(), uid) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        }
    }

    /// Whether pods have nothing to do when `next` takes the place of this one; `None` when it is another resource.
    fn succeeded_by(&self, next: &Self) -> Option<bool> {
        self.is_of(next.uid()).then(|| self == next || self.anonymous() == next.anonymous())
    }
}

macro_rules! part {
    ($($kind:ident),*) => {
        $(impl Part for $kind {
            fn name(&self) -> &str {
                &self.name
            }

            fn uid(&self) -> Option<&str> {
                self.uid.as_deref()
            }

            fn generation(&self) -> Option<i64> {
                self.generation
            }

            fn anonymous(&self) -> Self {
                Self { uid: None, generation: None, ..self.clone() }
            }
        })*
    };
}

part!(Sink, Source, Rule);

impl Plan {
    /// The Sink called `name`.
    pub fn sink(&self, name: &str) -> Option<&Sink> {
        self.sinks.iter().find(|sink| sink.name == name)
    }

    /// The Source called `name`.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }
}
