//! Why a broker's certificate is not taken.
//!
//! librdkafka says only that verification failed. When it does, the broker is asked for its certificate once more,
//! with the same CA, by a library that knows what is wrong with it; nothing is sent to it after that.

use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::error::RDKafkaErrorCode;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};

use super::client::Trouble;
use super::security::{Security, Trust};
use crate::pem;

/// For connecting, and for each answer of the broker.
const PATIENCE: Duration = Duration::from_secs(3);
/// The broker is asked no more often than this: librdkafka tries twice a second.
const FRESH: Duration = Duration::from_secs(10);

/// Finds out why handshakes of one client fail.
pub(super) struct Handshakes {
    security: Security,
    bootstrap_servers: String,
    asking: AtomicBool,
    known: Mutex<Option<(Instant, String)>>,
}

impl Handshakes {
    pub(super) fn new(security: Security, bootstrap_servers: &str) -> Arc<Self> {
        Arc::new(Self {
            security,
            bootstrap_servers: bootstrap_servers.to_owned(),
            asking: AtomicBool::new(false),
            known: Mutex::default(),
        })
    }

    /// The trouble behind an error of the client. When it is a certificate and the cause is not known, `tell` is called
    /// a moment later, from a thread of its own.
    pub(super) fn trouble(
        self: &Arc<Self>,
        code: RDKafkaErrorCode,
        reason: &str,
        tell: impl FnOnce(Trouble) + Send + 'static,
    ) -> Trouble {
        if code != RDKafkaErrorCode::SSL || !reason.contains("certificate verify failed") {
            return Trouble::of(code, reason, &self.bootstrap_servers);
        }
        let known = self.known.lock().clone();
        let fresh = known.as_ref().is_some_and(|(when, _)| when.elapsed() < FRESH);
        if !fresh
            && let (Some(server), Some(trust)) = (server_in(reason), self.security.trust())
            && !self.asking.swap(true, Ordering::Relaxed)
        {
            let (server, trust, asked) = (server.to_owned(), trust.clone(), Arc::clone(self));
            // Ends by itself within its patience.
            let started = std::thread::Builder::new().name("tls-diagnosis".to_owned()).spawn(move || {
                if let Some(why) = why(&server, &trust) {
                    *asked.known.lock() = Some((Instant::now(), why.clone()));
                    tell(Trouble::certificate(&why));
                }
                asked.asking.store(false, Ordering::Relaxed);
            });
            if started.is_err() {
                self.asking.store(false, Ordering::Relaxed);
            }
        }
        match known {
            Some((_, why)) => Trouble::certificate(&why),
            None => Trouble::of(code, reason, &self.bootstrap_servers),
        }
    }
}

/// `HOST:PORT` in `ssl://HOST:PORT/bootstrap: SSL handshake failed: …`.
fn server_in(reason: &str) -> Option<&str> {
    reason.split_once("://")?.1.split('/').next()
}

/// Why the certificate of `server` does not stand up to `trust`; `None` when that cannot be found out, or it does.
fn why(server: &str, trust: &Trust) -> Option<String> {
    let (host, _) = server.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(match &trust.ca {
        Some((_, certificates)) => certificates.clone(),
        None => pem::certificates(&std::fs::read(openssl_probe::probe().cert_file?).ok()?).ok()?,
    });
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    let address = server.to_socket_addrs().ok()?.next()?;
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.set_write_timeout(Some(PATIENCE)).ok()?;
    let error = connection.complete_io(&mut socket).err()?;
    match certificate_error(&error)? {
        CertificateError::UnknownIssuer => Some(match &trust.ca {
            Some((secret, _)) => format!(
                "the certificate of {server} is not from the CA in Secret {secret}: store the CA that signed it"
            ),
            None => format!(
                "the certificate of {server} is not from a public CA: name the Secret with its CA in tls.caSecretRef"
            ),
        }),
        CertificateError::NotValidForNameContext { presented, .. } if trust.hostname => Some(format!(
            "the certificate of {server} is not for the host name {host} but for {}: reach it by that name, or set \
             tls.verifyHostname to false",
            if presented.is_empty() {
                "none".to_owned()
            } else {
                presented.iter().map(|name| bare(name)).collect::<Vec<_>>().join(", ")
            }
        )),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Some(format!("the certificate of {server} has expired: renew it on the broker"))
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Some(format!("the certificate of {server} is not valid yet: check the clocks"))
        }
        other => Some(format!("the certificate of {server} is not accepted: {other}")),
    }
}

/// `localhost` in `DnsName("localhost")`.
fn bare(name: &str) -> &str {
    name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name).trim_matches('"')
}

fn certificate_error(error: &io::Error) -> Option<&CertificateError> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(error) => Some(error),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_is_named_in_the_reason() {
        let reason = "sasl_ssl://localhost:9093/bootstrap: SSL handshake failed: error:0A000086";
        assert_eq!(server_in(reason), Some("localhost:9093"));
        assert_eq!(server_in("SSL handshake failed"), None);
        assert_eq!([r#"DnsName("localhost")"#, "IpAddress(127.0.0.1)", "x"].map(bare), ["localhost", "127.0.0.1", "x"]);
    }
}
