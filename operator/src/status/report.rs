//! What a pod answers to `GET /v1/status`, as far as conditions and figures need it.
//!
//! A reader's view of the runtime's document: fields it does not name are skipped, so that pods of a newer version
//! can be read.

use serde::Deserialize;

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    /// Revision of the plan in force.
    pub revision: String,
    /// Why the newest plan is not in force.
    pub rejected: Option<Rejected>,
    /// MQTT side.
    pub mqtt: Mqtt,
    /// Sinks.
    pub sinks: Vec<Sink>,
    /// Sources.
    pub sources: Vec<Source>,
    /// Rules.
    pub rules: Vec<Rule>,
}

/// A plan that the pod refused.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rejected {
    /// Its revision, empty when it could not even be read.
    pub revision: String,
    /// A word where this is no ordinary refusal.
    pub reason: String,
    /// What is wrong.
    pub message: String,
}

impl Rejected {
    /// Nothing is wrong: the pod was started without a Secret that the plan needs, and its successor has it.
    pub fn waits_for_successor(&self) -> bool {
        self.reason == "SecretNotMounted"
    }
}

/// MQTT side.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mqtt {
    /// Devices connected.
    pub connections: u64,
}

/// A link to Kafka.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Link {
    /// `Connected` or not.
    pub state: String,
    /// Why it is not.
    pub reason: String,
    /// A sentence with the fix.
    pub message: String,
}

/// A Sink.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the figures are those of `isthmus_api::sink::SinkStatistics`")]
pub struct Sink {
    pub name: String,
    #[serde(flatten)]
    pub link: Link,
    pub matched: u64,
    pub success: u64,
    pub failed: u64,
    pub dropped: u64,
    pub queuing: u64,
    pub inflight: u64,
}

/// A Source.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the figures are those of `isthmus_api::source::SourceStatistics`")]
pub struct Source {
    pub name: String,
    #[serde(flatten)]
    pub link: Link,
    pub received: u64,
    pub delivered: u64,
    pub failed: u64,
    pub pending: u64,
    pub lag: Option<u64>,
}

/// A Rule.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the figures are those of `isthmus_api::rule::RuleStatistics`")]
pub struct Rule {
    pub name: String,
    pub matched: u64,
    pub passed: u64,
    pub failed_exception: u64,
    pub failed_no_result: u64,
    pub actions_success: u64,
    pub actions_failed: u64,
}
