//! TLS of listeners and of the way to Kafka, and the Secrets that hold its certificates.
//!
//! The defaults of the key names are those of the Secrets that people have: `kubernetes.io/tls` and cert-manager
//! (`tls.crt`, `tls.key`, `ca.crt`), Strimzi's cluster CA (`ca.crt`) and its users (`user.crt`, `user.key`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{reference::NAME_PATTERN, schema::rules};

/// Keys of a Secret, as Kubernetes has them: not `.`, not `..`, and nothing that starts with two dots.
pub const KEY_PATTERN: &str = "^\\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$";
/// The same, or nothing.
pub const OPTIONAL_KEY_PATTERN: &str = "^(\\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*)?$";

/// The key of a Secret that holds a certificate chain, unless another one is named.
pub const CERTIFICATE_KEY: &str = "tls.crt";
/// The key of a Secret that holds the private key of a certificate, unless another one is named.
pub const PRIVATE_KEY_KEY: &str = "tls.key";
/// The key of a Secret that holds the certificates of a CA, unless another one is named.
pub const CA_KEY: &str = "ca.crt";

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules(&[
    ("self.clientAuth != 'Required' || has(self.caSecretRef)",
     "clientAuth Required needs a CA: name the Secret with the CA of the devices in caSecretRef", ".caSecretRef"),
    ("self.clientAuth == 'Required' || !has(self.caSecretRef)",
     "caSecretRef is used only to check devices: set clientAuth to Required, or remove caSecretRef", ".clientAuth"),
]))]
pub struct ListenerTls {
    /// Secret with the certificate chain that devices are shown and its private key, both PEM. A changed Secret takes
    /// effect for the next connections; those that are open stay.
    pub secret_ref: ServerCertificate,
    /// Whether a device must show a certificate of the CA in `caSecretRef` (mutual TLS). It opens the connection only:
    /// who the device is still comes from its user name.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Secret with the CA certificates that devices' certificates are checked against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaReference>,
}

impl ListenerTls {
    /// TLS with the certificate in this Secret, without client certificates.
    pub fn new(secret: impl Into<String>) -> Self {
        let secret_ref =
            ServerCertificate { name: secret.into(), certificate_key: certificate_key(), key_key: private_key_key() };
        Self { secret_ref, client_auth: ClientAuth::None, ca_secret_ref: None }
    }
}

/// Whether a device must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ClientAuth {
    /// None is asked for.
    #[default]
    None,
    /// One is asked for, and a connection without it is refused.
    Required,
}

/// A Secret with a certificate and its private key, as `kubernetes.io/tls` and cert-manager have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerCertificate {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Key with the certificate chain, the server's own certificate first.
    #[serde(default = "certificate_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = KEY_PATTERN))]
    pub certificate_key: String,
    /// Key with the private key.
    #[serde(default = "private_key_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = KEY_PATTERN))]
    pub key_key: String,
}

/// A Secret with the certificates of a CA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Key with one or more CA certificates, PEM.
    #[serde(default = "ca_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = KEY_PATTERN))]
    pub key: String,
}

impl CaReference {
    /// The CA in this Secret, under the usual key.
    pub fn new(secret: impl Into<String>) -> Self {
        Self { name: secret.into(), key: ca_key() }
    }
}

/// TLS towards Kafka.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = rules(&[(
    "!self.insecureSkipVerify || !has(self.caSecretRef)",
    "insecureSkipVerify checks nothing against a CA: remove caSecretRef, or insecureSkipVerify",
    ".insecureSkipVerify",
)]))]
pub struct KafkaTls {
    /// Secret with the CA certificates that brokers' certificates are checked against, such as Strimzi's
    /// `CLUSTER-cluster-ca-cert`. Absent: the public CAs, as the operating system has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaReference>,
    /// Secret with the certificate that brokers are shown (mutual TLS) and its private key, both PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_secret_ref: Option<ClientCertificate>,
    /// Whether a broker's certificate must be for the host name it is reached by. `false` still checks it against the
    /// CA: for brokers that are reached by another name than their certificate has.
    pub verify_hostname: bool,
    /// Takes any certificate from whoever answers. For trying things out: it protects from nothing.
    pub insecure_skip_verify: bool,
}

impl Default for KafkaTls {
    fn default() -> Self {
        Self { ca_secret_ref: None, certificate_secret_ref: None, verify_hostname: true, insecure_skip_verify: false }
    }
}

/// A Secret with a client's certificate and its private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules(&[(
    "(self.certificateKey == '') == (self.keyKey == '')",
    "certificateKey and keyKey go together: set both, or none of them",
    ".keyKey",
)]))]
pub struct ClientCertificate {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Key with the certificate chain. Empty: `tls.crt`, or `user.crt` in the Secret of a Strimzi `KafkaUser`.
    #[serde(default)]
    #[schemars(length(max = 253), regex(pattern = OPTIONAL_KEY_PATTERN))]
    pub certificate_key: String,
    /// Key with the private key. Empty: `tls.key`, or `user.key` in the Secret of a Strimzi `KafkaUser`.
    #[serde(default)]
    #[schemars(length(max = 253), regex(pattern = OPTIONAL_KEY_PATTERN))]
    pub key_key: String,
}

impl ClientCertificate {
    /// The certificate in this Secret, under the usual keys.
    pub fn new(secret: impl Into<String>) -> Self {
        Self { name: secret.into(), certificate_key: String::new(), key_key: String::new() }
    }
}

fn certificate_key() -> String {
    CERTIFICATE_KEY.to_owned()
}

fn private_key_key() -> String {
    PRIVATE_KEY_KEY.to_owned()
}

fn ca_key() -> String {
    CA_KEY.to_owned()
}
