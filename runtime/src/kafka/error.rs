//! librdkafka's error codes in words that say what is wrong and how to fix it, with a documented reason constant.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::status::{Link, LinkState};

/// Why a link to Kafka is not up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkProblem {
    /// `KafkaUnreachable`, `TopicNotFound`, `NotAuthorized`, `AuthenticationFailed`, `NoLeader` or `KafkaError`.
    pub reason: &'static str,
    /// A sentence with the fix.
    pub message: String,
    whole_cluster: bool,
}

impl LinkProblem {
    fn new(reason: &'static str, message: String) -> Self {
        Self { reason, message, whole_cluster: false }
    }

    /// Whether it is known to concern every broker, not one of several.
    pub fn is_whole_cluster(&self) -> bool {
        self.whole_cluster
    }

    /// Whether Kafka gave no answer at all.
    pub fn is_silence(&self) -> bool {
        self.reason == "KafkaUnreachable"
    }

    /// A request could not even be made.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        Self::new("KafkaError", format!("the request to Kafka could not be made: {error}; trying again"))
    }

    /// A problem with the cluster as a whole.
    pub fn cluster(code: Code, detail: &str) -> Self {
        let mut problem = match code {
            Code::Authentication | Code::SSL => Self::new(
                "AuthenticationFailed",
                format!("Kafka refused to authenticate this client ({detail}): check the Connector's credentials"),
            ),
            Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::MessageTimedOut => Self::new(
                "KafkaUnreachable",
                format!(
                    "Kafka does not answer ({detail}): check kafka.bootstrapServers of the Connector and the network; trying again"
                ),
            ),
            other => Self::new("KafkaError", format!("Kafka: {other} ({detail}); trying again")),
        };
        problem.whole_cluster = matches!(code, Code::Authentication | Code::SSL | Code::AllBrokersDown);
        problem
    }

    /// A problem with one topic.
    pub fn topic(code: Code, topic: &str) -> Self {
        match code {
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => Self::new(
                "TopicNotFound",
                format!("topic {topic} does not exist in Kafka: create it; until then records wait in the buffer"),
            ),
            Code::TopicAuthorizationFailed => Self::new(
                "NotAuthorized",
                format!("Kafka does not authorize this client for topic {topic}: grant it Describe and Write"),
            ),
            Code::InvalidTopic => Self::new(
                "InvalidTopic",
                format!("Kafka does not take {topic} as a topic name: use letters, digits, '.', '_' and '-'"),
            ),
            Code::LeaderNotAvailable => Self::new(
                "NoLeader",
                format!("no partition of topic {topic} has a leader: check the Kafka brokers; trying again"),
            ),
            other => Self::cluster(other, &format!("topic {topic}")),
        }
    }

    /// The problem behind a failed request about `topic`.
    pub fn from_error(error: &KafkaError, topic: &str) -> Self {
        match error.rdkafka_error_code() {
            Some(code) => Self::topic(code, topic),
            None => Self::new("KafkaError", format!("{error}; trying again")),
        }
    }
}

impl From<LinkProblem> for Link {
    fn from(problem: LinkProblem) -> Self {
        Self { state: LinkState::Connecting, reason: problem.reason, message: problem.message }
    }
}

/// A link that is up.
pub fn connected() -> Link {
    Link { state: LinkState::Connected, reason: "Connected", message: String::new() }
}
