//! A broker that asks who its clients are: SASL, TLS, client certificates, beside the plain listener for the tools.

use std::sync::OnceLock;

use anyhow::anyhow;

use super::{Broker, Kafka};
use crate::Result;
use crate::certificates::Authority;

/// The user of SASL PLAIN, and its password.
pub const PLAIN: (&str, &str) = ("plain-user", "plain-password");
/// The user of both kinds of SCRAM, and its password.
pub const SCRAM: (&str, &str) = ("scram-user", "scram-password");

/// A Kafka with every kind of listener. Its certificate is for the host name `localhost` and for no address.
pub struct Secure {
    /// The plain listener, for the tools of a test.
    pub kafka: Kafka,
    /// Who signed the broker's certificate, and whose certificates the broker takes.
    pub authority: Authority,
    ports: Ports,
}

/// The ports of a secure broker.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// SASL without TLS.
    pub sasl: u16,
    /// SASL with TLS.
    pub sasl_tls: u16,
    /// TLS with client certificates.
    pub mutual: u16,
}

impl Secure {
    /// The secure broker of this test run, started when first asked for.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<std::result::Result<Secure, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow!("the secure Kafka did not start: {error}"))
    }

    fn start() -> Result<Self> {
        let authority = Authority::new("kafka-authority")?;
        let (broker, ports) = Broker::start_secure(&authority.issue("broker", &["localhost"])?, &authority.pem())?;
        Ok(Self { kafka: Kafka { bootstrap: broker.bootstrap(), broker: Some(broker) }, authority, ports })
    }

    /// `HOST:PORT` of the listener that asks for a user, without TLS.
    pub fn sasl(&self) -> String {
        format!("localhost:{}", self.ports.sasl)
    }

    /// `HOST:PORT` of the listener that asks for a user, with TLS.
    pub fn sasl_tls(&self) -> String {
        format!("localhost:{}", self.ports.sasl_tls)
    }

    /// `HOST:PORT` of the listener that asks for a client's certificate.
    pub fn mutual(&self) -> String {
        format!("localhost:{}", self.ports.mutual)
    }
}
