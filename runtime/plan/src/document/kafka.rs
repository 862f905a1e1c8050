//! How to reach a Kafka cluster: the Connector's fields, with the places of what is in Secrets.

use isthmus_api::{Duration, connector, sasl::Mechanism};
use serde::{Deserialize, Serialize};

use super::secret::{Certificate, SecretKey};

/// A Kafka cluster and the patience with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kafka {
    /// Where to ask first.
    pub bootstrap_servers: Vec<String>,
    /// User name and password, when there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Sasl>,
    /// TLS; absent: plain TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<KafkaTls>,
    /// How long one connection may take to come up.
    pub connect_timeout: Duration,
    /// How long a question for topics and partitions may take.
    pub metadata_request_timeout: Duration,
    /// Shortest time between two such questions while something is missing.
    pub min_metadata_refresh_interval: Duration,
    /// Age at which an unanswered request counts as lost.
    pub request_timeout: Duration,
}

impl Kafka {
    /// A cluster reached at `bootstrap_servers` over plain TCP, with the default patience.
    pub fn new(bootstrap_servers: Vec<String>) -> Self {
        let defaults = connector::Kafka::new(bootstrap_servers);
        Self {
            bootstrap_servers: defaults.bootstrap_servers,
            authentication: None,
            tls: None,
            connect_timeout: defaults.connect_timeout,
            metadata_request_timeout: defaults.metadata_request_timeout,
            min_metadata_refresh_interval: defaults.min_metadata_refresh_interval,
            request_timeout: defaults.request_timeout,
        }
    }
}

/// User name and password for Kafka.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sasl {
    /// How they are proved.
    pub mechanism: Mechanism,
    /// The user name.
    pub username: Username,
    /// Where the password is.
    pub password: SecretKey,
}

/// A user name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Username {
    /// This one.
    Name(String),
    /// The one in a Secret.
    Secret(SecretKey),
}

/// TLS towards Kafka.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaTls {
    /// Where the CA certificates are; absent: the public CAs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretKey>,
    /// What brokers are shown, when they ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// Whether a broker's certificate must be for its host name.
    pub verify_hostname: bool,
    /// Whether any certificate will do.
    pub insecure_skip_verify: bool,
}
