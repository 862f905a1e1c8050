//! How a Connector proves to Kafka who it is (SASL).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{reference::LocalReference, schema::rules, tls::OPTIONAL_KEY_PATTERN};

/// The key of a Secret that holds a user name, as `kubernetes.io/basic-auth` has it.
pub const USERNAME_KEY: &str = "username";
/// The key of a Secret that holds a password, as `kubernetes.io/basic-auth` and Strimzi have it.
pub const PASSWORD_KEY: &str = "password";

/// User name and password for Kafka: exactly one mechanism.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules(&[(
    "[has(self.plain), has(self.scramSha256), has(self.scramSha512)].filter(x, x).size() == 1",
    "authentication is exactly one of plain, scramSha256 and scramSha512",
    "",
)]))]
pub struct Authentication {
    /// SASL PLAIN: the password is sent as it is, so use it with `tls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain: Option<Credentials>,
    /// SASL SCRAM-SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scram_sha256: Option<Credentials>,
    /// SASL SCRAM-SHA-512, which Strimzi uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scram_sha512: Option<Credentials>,
}

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    /// PLAIN.
    Plain,
    /// SCRAM-SHA-256.
    ScramSha256,
    /// SCRAM-SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// The field of [`Authentication`] that is about it.
    pub fn field(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::ScramSha256 => "scramSha256",
            Self::ScramSha512 => "scramSha512",
        }
    }
}

impl Authentication {
    /// The mechanism and its credentials; `None` unless exactly one is set, which the schema refuses.
    pub fn mechanism(&self) -> Option<(Mechanism, &Credentials)> {
        match (&self.plain, &self.scram_sha256, &self.scram_sha512) {
            (Some(credentials), None, None) => Some((Mechanism::Plain, credentials)),
            (None, Some(credentials), None) => Some((Mechanism::ScramSha256, credentials)),
            (None, None, Some(credentials)) => Some((Mechanism::ScramSha512, credentials)),
            _ => None,
        }
    }
}

/// Where user name and password are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules(&[(
    "self.username == '' || self.usernameKey == ''",
    "the user name comes from one place: set username or usernameKey, not both",
    ".usernameKey",
)]))]
pub struct Credentials {
    /// Secret with the password. A changed Secret takes effect without a restart.
    pub secret_ref: LocalReference,
    /// Key of the Secret that holds the user name. Empty: `username`; in the Secret of a Strimzi `KafkaUser`, which has
    /// none, the user name is the name of the Secret (with SCRAM).
    #[serde(default)]
    #[schemars(length(max = 253), regex(pattern = OPTIONAL_KEY_PATTERN))]
    pub username_key: String,
    /// Key of the Secret that holds the password.
    #[serde(default = "password_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = crate::tls::KEY_PATTERN))]
    pub password_key: String,
    /// The user name itself, when the Secret does not hold it.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub username: String,
}

impl Credentials {
    /// The credentials in this Secret, under the usual keys.
    pub fn new(secret: impl Into<String>) -> Self {
        Self {
            secret_ref: LocalReference { name: secret.into() },
            username_key: String::new(),
            password_key: password_key(),
            username: String::new(),
        }
    }
}

fn password_key() -> String {
    PASSWORD_KEY.to_owned()
}
