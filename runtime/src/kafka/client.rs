//! What every librdkafka client of the process has in common: how its log lines reach ours, and
//! which reason and advice belong to an error.
//!
//! Does not own any client.

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::security;
use crate::secrets::SecretError;
use crate::status::{Link, LinkState};

/// Longest pause between two attempts to reach a broker that refuses connections, in milliseconds.
///
/// librdkafka's default of 10 s means that everything waits 10 s more after Kafka is back.
const RECONNECT_BACKOFF_MAX_MS: &str = "500";

/// The settings that every client starts from. `role` ends up in the client id, which brokers log.
pub fn base(bootstrap_servers: &str, role: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap_servers)
        .set("client.id", format!("isthmus-{role}"))
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", RECONNECT_BACKOFF_MAX_MS)
        // A broker that goes away says so by the errors that are mapped to a reason, not by log lines.
        .set("log.connection.close", "false");
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}

/// Passes a log line of librdkafka on to `tracing`, with its own target so that it can be filtered.
///
/// Warnings and errors of librdkafka are mostly about a broker that is away. The link's reason says
/// that to the user once; the lines are for the one who digs, hence a level lower each.
pub fn log(client: &str, level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", client, facility, "{line}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            tracing::info!(target: "librdkafka", client, facility, "{line}");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(target: "librdkafka", client, facility, "{line}");
        }
    }
}

/// Why a link is not up: a documented constant, and the sentence with the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// CamelCase constant.
    pub reason: &'static str,
    /// What is wrong, where, and what to do.
    pub message: String,
    /// Whether librdkafka has no connection left at all, and not only one broker less.
    pub all_brokers: bool,
    /// Whether a broker did not even take the connection.
    pub not_connected: bool,
}

/// Reason of a link whose brokers cannot be reached.
pub const KAFKA_UNREACHABLE: &str = "KafkaUnreachable";
/// Reason of a link whose topic does not exist.
pub const TOPIC_NOT_FOUND: &str = "TopicNotFound";
/// Reason of a link that Kafka's ACLs refuse.
pub const NOT_AUTHORIZED: &str = "NotAuthorized";
/// Reason of a link whose credentials Kafka refuses.
pub const AUTHENTICATION_FAILED: &str = "AuthenticationFailed";
/// Reason of a link that cannot agree on TLS with Kafka: a certificate that is not accepted, by either side.
pub const TLS_FAILED: &str = "TlsFailed";
/// Reason of a link whose Secret is not there, or holds what cannot be used.
pub const SECRET_NOT_USABLE: &str = "SecretNotUsable";
/// Reason of a link whose topic has a name that Kafka does not take.
pub const INVALID_TOPIC: &str = "InvalidTopic";
/// Reason of a link whose partitions have no leader.
pub const NO_LEADER: &str = "NoLeader";
/// Reason of a link that met an error without a reason of its own.
pub const KAFKA_ERROR: &str = "KafkaError";

/// Whether librdkafka itself puts an error right within moments, so that nobody needs to hear about it.
pub fn is_passing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::PartitionEOF
            | RDKafkaErrorCode::NoOffset
            | RDKafkaErrorCode::AutoOffsetReset
            | RDKafkaErrorCode::RebalanceInProgress
            | RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::NotCoordinator
            | RDKafkaErrorCode::CoordinatorLoadInProgress
            | RDKafkaErrorCode::CoordinatorNotAvailable
            | RDKafkaErrorCode::NotLeaderForPartition
    )
}

impl Trouble {
    /// The reason and the advice for an error code; `detail` says what it is about.
    pub fn of(code: RDKafkaErrorCode, detail: &str, bootstrap_servers: &str) -> Self {
        let because = if detail.is_empty() { code.to_string() } else { detail.to_owned() };
        let (reason, message) = match code {
            RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::TimedOutQueue
            | RDKafkaErrorCode::MessageTimedOut => (
                KAFKA_UNREACHABLE,
                format!(
                    "no Kafka broker of {bootstrap_servers} answers ({because}): check that Kafka runs and that the \
                     Connector's bootstrapServers are right; it keeps trying"
                ),
            ),
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition => (
                TOPIC_NOT_FOUND,
                format!("{because}: create the topic in Kafka, or correct its name; it keeps looking for it"),
            ),
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed => (
                NOT_AUTHORIZED,
                format!("Kafka refuses access ({because}): grant the Connector's user the missing ACL"),
            ),
            RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => (
                AUTHENTICATION_FAILED,
                format!(
                    "Kafka refuses the user name or password ({because}): correct the Secret that the Connector's \
                     authentication names, or the user in Kafka; it keeps trying"
                ),
            ),
            RDKafkaErrorCode::SSL => (
                TLS_FAILED,
                format!("no TLS with Kafka ({because}): check the Connector's tls and its Secrets; it keeps trying"),
            ),
            RDKafkaErrorCode::InvalidTopic => {
                (INVALID_TOPIC, format!("{because}: name the topic with letters, digits, '.', '_' and '-' only"))
            }
            RDKafkaErrorCode::LeaderNotAvailable => {
                (NO_LEADER, format!("{because}: no partition has a leader, look at the Kafka brokers; it keeps trying"))
            }
            RDKafkaErrorCode::InvalidSessionTimeout => (
                KAFKA_ERROR,
                "Kafka does not allow the Source's sessionTimeout: choose one between the brokers' \
                 group.min.session.timeout.ms and group.max.session.timeout.ms; it keeps trying"
                    .to_owned(),
            ),
            _ => (KAFKA_ERROR, format!("Kafka reports an error: {because}; it keeps trying")),
        };
        Self {
            reason,
            message,
            all_brokers: code == RDKafkaErrorCode::AllBrokersDown,
            not_connected: code == RDKafkaErrorCode::Resolve || detail.contains("Connect to "),
        }
    }

    /// A certificate is not accepted; `why` says whose, and what to do.
    pub fn certificate(why: &str) -> Self {
        Self::about(TLS_FAILED, format!("{why}; it keeps trying"))
    }

    /// What a Secret holds cannot be used.
    pub fn secret(error: &SecretError) -> Self {
        Self::about(SECRET_NOT_USABLE, format!("{error}; it takes effect as soon as it is corrected"))
    }

    /// A client could not be made of its settings.
    pub fn creation(error: &KafkaError) -> Self {
        Self::about(KAFKA_ERROR, format!("the Kafka client cannot be set up: {}", security::describe(error)))
    }

    fn about(reason: &'static str, message: String) -> Self {
        Self { reason, message, all_brokers: false, not_connected: false }
    }

    /// What Kafka says about one topic.
    pub fn with_topic(code: RDKafkaErrorCode, topic: &str, bootstrap_servers: &str) -> Self {
        Self::of(code, &format!("topic {topic}: {code}"), bootstrap_servers)
    }

    /// A request could not even be made.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        Self::about(KAFKA_ERROR, format!("the request to Kafka could not be made: {error}; it keeps trying"))
    }

    /// Whether Kafka gave no answer at all.
    pub fn is_silence(&self) -> bool {
        self.reason == KAFKA_UNREACHABLE
    }

    /// Whether this replaces `reason` as what is known about a link. A broker that refused a client is silent towards it
    /// afterwards: that says nothing new, unless the broker cannot be reached any more.
    pub fn replaces(&self, reason: &str) -> bool {
        !is_refusal(reason) || !self.is_silence() || self.not_connected
    }
}

/// Whether a link is down because one side does not accept the other.
pub fn is_refusal(reason: &str) -> bool {
    [AUTHENTICATION_FAILED, TLS_FAILED].contains(&reason)
}

impl From<Trouble> for Link {
    fn from(trouble: Trouble) -> Self {
        Self { state: LinkState::Connecting, reason: trouble.reason, message: trouble.message }
    }
}
