//! TLS of a listener: what clients are shown, and what is asked of them.
//!
//! rustls with the *ring* provider, TLS 1.2 and 1.3. Sessions are resumed by tickets that the server does not store, so
//! that a fleet that reconnects is not a fleet of full handshakes; tickets end with the certificate that they were given under.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use crate::pem;

/// What a listener's TLS is made of, as PEM. It is compared, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    /// The server's certificate and those between it and its CA.
    pub chain: Vec<u8>,
    /// The private key of the first of them.
    pub key: Vec<u8>,
    /// The CAs of clients' certificates, when clients must show one.
    pub client_ca: Option<Vec<u8>>,
}

/// The part of a [`Material`] that cannot be used, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaterialError {
    /// The certificate chain.
    Chain(String),
    /// The private key.
    Key(String),
    /// The CAs of clients.
    ClientCa(String),
}

impl Material {
    /// The configuration of the next handshakes.
    pub fn config(&self) -> Result<Arc<ServerConfig>, MaterialError> {
        let chain = pem::certificates(&self.chain).map_err(MaterialError::Chain)?;
        let key = pem::private_key(&self.key).map_err(MaterialError::Key)?;
        let provider = Arc::new(ring::default_provider());
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => MaterialError::Key(
                "belongs to another certificate than the one beside it: store the two that belong together".to_owned(),
            ),
            rustls::Error::InvalidCertificate(error) => {
                MaterialError::Chain(format!("holds a bad certificate: {error}"))
            }
            _ => MaterialError::Key(
                "is of a kind that is not supported: use RSA, ECDSA P-256 or P-384, or Ed25519".to_owned(),
            ),
        })?;
        let verifier = match &self.client_ca {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(text) => {
                let mut roots = RootCertStore::empty();
                for certificate in pem::certificates(text).map_err(MaterialError::ClientCa)? {
                    let bad =
                        |error| MaterialError::ClientCa(format!("holds a certificate that cannot be a CA: {error}"));
                    roots.add(certificate).map_err(bad)?;
                }
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()
                    .map_err(|error| MaterialError::ClientCa(error.to_string()))?
            }
        };
        let unusable = |error: rustls::Error| MaterialError::Chain(error.to_string());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
        config.ticketer = ring::Ticketer::new().map_err(unusable)?;
        Ok(Arc::new(config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn material(name: &str) -> Material {
        let own = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        Material {
            chain: own.cert.pem().into_bytes(),
            key: own.signing_key.serialize_pem().into_bytes(),
            client_ca: None,
        }
    }

    #[test]
    fn a_certificate_with_its_key_makes_a_configuration() {
        let material = material("localhost");
        assert!(material.config().is_ok());
        let mutual = Material { client_ca: Some(material.chain.clone()), ..material };
        assert!(mutual.config().is_ok());
    }

    #[test]
    fn the_part_that_cannot_be_used_is_named() {
        let good = material("localhost");
        let half = Material { key: material("localhost").key, ..good.clone() };
        assert!(matches!(half.config(), Err(MaterialError::Key(problem)) if problem.contains("another certificate")));
        let none = Material { chain: b"no".to_vec(), ..good.clone() };
        assert!(matches!(none.config(), Err(MaterialError::Chain(_))));
        let untrusting = Material { client_ca: Some(b"no".to_vec()), ..good };
        assert!(matches!(untrusting.config(), Err(MaterialError::ClientCa(_))));
    }
}
