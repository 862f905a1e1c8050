//! How a client proves to Kafka who it is, and how it knows that it speaks with Kafka: SASL and TLS in the terms of
//! librdkafka.
//!
//! Certificates and keys are handed over as text: values of Secrets are never written to a file.

use std::fmt;

use isthmus_api::sasl::Mechanism;
use isthmus_plan::document::{Kafka, KafkaTls, Sasl, Username};
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::pem;
use crate::secrets::{SecretError, Values};

/// Settings of a client that come from Secrets, and what they mean. The default is plain TCP without a user.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Security {
    properties: Vec<(&'static str, String)>,
    tls: Option<Trust>,
}

/// The same, or why it cannot be had.
pub type Secured = Result<Security, SecretError>;

/// What the handshake with a broker is held against.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Trust {
    /// The CA, by the name of its Secret; absent: the public ones, or none at all.
    pub(super) ca: Option<(String, Vec<CertificateDer<'static>>)>,
    /// Whether the certificate must be for the host name.
    pub(super) hostname: bool,
}

/// Names only: values never reach a log.
impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.properties.iter().map(|(name, _)| name)).finish()
    }
}

impl Security {
    /// What the plan asks for, with the values that are there now.
    pub fn resolve(kafka: &Kafka, values: &Values) -> Secured {
        let mut security = Self::default();
        let protocol = match (&kafka.authentication, &kafka.tls) {
            (None, None) => return Ok(security),
            (None, Some(_)) => "ssl",
            (Some(_), None) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        security.set("security.protocol", protocol);
        if let Some(sasl) = &kafka.authentication {
            security.authenticate(sasl, values)?;
        }
        if let Some(tls) = &kafka.tls {
            security.encrypt(tls, values)?;
        }
        Ok(security)
    }

    /// Whether librdkafka takes the values: a private key that belongs to another certificate is found here, and not
    /// when the client that works has been given up. Connects to nothing.
    pub fn check(&self, kafka: &Kafka) -> Result<(), SecretError> {
        let Some(certificate) = kafka.tls.as_ref().and_then(|tls| tls.certificate.as_ref()) else { return Ok(()) };
        let mut config = ClientConfig::new();
        self.apply(&mut config);
        match config.create::<BaseProducer>() {
            Ok(_) => Ok(()),
            Err(error) => Err(SecretError::new(&certificate.chain, describe(&error))),
        }
    }

    /// Sets up a client with them.
    pub fn apply(&self, config: &mut ClientConfig) {
        for (name, value) in &self.properties {
            config.set(*name, value);
        }
    }

    pub(super) fn trust(&self) -> Option<&Trust> {
        self.tls.as_ref()
    }

    fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.properties.push((name, value.into()));
    }

    fn authenticate(&mut self, sasl: &Sasl, values: &Values) -> Result<(), SecretError> {
        let mechanism = match sasl.mechanism {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        };
        let username = match &sasl.username {
            Username::Name(name) => name,
            Username::Secret(place) => values.text(place)?,
        };
        self.set("sasl.mechanism", mechanism);
        self.set("sasl.username", username);
        self.set("sasl.password", values.text(&sasl.password)?);
        Ok(())
    }

    fn encrypt(&mut self, tls: &KafkaTls, values: &Values) -> Result<(), SecretError> {
        let mut ca = None;
        if let Some(place) = &tls.ca {
            let found = pem::certificates(values.bytes(place)?).map_err(|problem| SecretError::new(place, problem))?;
            self.set("ssl.ca.pem", pem::text_of(&found));
            ca = Some((place.secret.clone(), found));
        } else if !tls.insecure_skip_verify {
            self.set("ssl.ca.location", public_authorities());
        }
        if tls.insecure_skip_verify {
            self.set("enable.ssl.certificate.verification", "false");
        } else {
            self.set("ssl.endpoint.identification.algorithm", if tls.verify_hostname { "https" } else { "none" });
            self.tls = Some(Trust { ca, hostname: tls.verify_hostname });
        }
        if let Some(certificate) = &tls.certificate {
            let wrong = |place| move |problem| SecretError::new(place, problem);
            let chain = pem::certificates(values.bytes(&certificate.chain)?).map_err(wrong(&certificate.chain))?;
            let _: PrivateKeyDer<'_> =
                pem::private_key(values.bytes(&certificate.key)?).map_err(wrong(&certificate.key))?;
            self.set("ssl.certificate.pem", pem::text_of(&chain));
            self.set("ssl.key.pem", values.text(&certificate.key)?);
        }
        Ok(())
    }
}

/// Where this machine has the public CAs. librdkafka looks for them itself when they are in no known place.
fn public_authorities() -> String {
    let found = openssl_probe::probe();
    let place = found.cert_file.or_else(|| found.cert_dir.into_iter().next());
    place.map_or_else(|| "probe".to_owned(), |place| place.display().to_string())
}

/// What librdkafka says about settings it does not take. Its own text may repeat a value.
pub(super) fn describe(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, _, name, _) => format!("librdkafka does not take the value for {name}"),
        KafkaError::Nul(_) => "a value holds a NUL character".to_owned(),
        KafkaError::ClientCreation(text)
            if text.contains("key values mismatch") || text.contains("private key check") =>
        {
            "the private key belongs to another certificate: store the two that belong together".to_owned()
        }
        other => other.to_string(),
    }
}
