//! The Secrets around a Bridge: which are used, what is known of them, and how the pods get them.

use std::collections::{BTreeMap, BTreeSet};

use isthmus_api::sasl::Authentication;
use sha2::{Digest as _, Sha256};

use crate::{
    context::Context,
    index::{
        BridgeKey, Neighbourhood,
        resource::Stored,
        secret::{Secret, SecretName},
    },
};

/// Secrets that exist, and their keys.
pub(super) type Present = BTreeMap<SecretName, BTreeSet<String>>;

/// What is known of the Secrets that the resources of a Bridge refer to.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    known: BTreeMap<SecretName, Option<Secret>>,
}

impl Secrets {
    /// Looks at the Secrets that resources of `key` refer to, and has them watched from now on.
    pub(super) fn of(context: &Context, key: &BridgeKey, around: &Neighbourhood) -> Self {
        let names: BTreeSet<SecretName> =
            referenced(around).into_iter().map(|name| (key.namespace.clone(), name)).collect();
        context.secrets.need(key, &names);
        let index = context.index.lock();
        Self { known: names.into_iter().map(|name| (name.clone(), index.secret(&name).cloned())).collect() }
    }

    /// Those that exist, and their keys.
    pub(super) fn present(&self) -> Present {
        let present = |(name, secret): (&SecretName, &Option<Secret>)| match secret {
            Some(Secret::Present { keys, .. }) => Some((name.clone(), keys.clone())),
            _ => None,
        };
        self.known.iter().filter_map(present).collect()
    }

    /// One of which nothing is known yet.
    pub(super) fn unread(&self) -> Option<&str> {
        self.known.iter().find(|(_, secret)| secret.is_none()).map(|((_, name), _)| name.as_str())
    }

    /// Changes when one of them changes; empty without any.
    pub(super) fn version(&self) -> String {
        if self.known.is_empty() {
            return String::new();
        }
        let mut hasher = Sha256::new();
        for ((_, name), secret) in &self.known {
            if let Some(Secret::Present { version, .. }) = secret {
                hasher.update(format!("{name}={version};").as_bytes());
            }
        }
        let mut text = format!("{:x}", hasher.finalize());
        text.truncate(8);
        text
    }
}

/// Names of the Secrets that resources of the Bridge refer to.
fn referenced(around: &Neighbourhood) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if let Some(bridge) = around.bridge.as_ref().and_then(Stored::object) {
        names.extend(bridge.spec.authentication.users_secret_ref.iter().map(|users| users.name.clone()));
        for tls in bridge.spec.listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
            names.insert(tls.secret_ref.name.clone());
            names.extend(tls.ca_secret_ref.iter().map(|ca| ca.name.clone()));
        }
    }
    for connector in around.connectors_here().filter_map(Stored::object) {
        let kafka = &connector.spec.kafka;
        let credentials = kafka.authentication.as_ref().and_then(Authentication::mechanism);
        names.extend(credentials.map(|(_, credentials)| credentials.secret_ref.name.clone()));
        if let Some(tls) = &kafka.tls {
            names.extend(tls.ca_secret_ref.iter().map(|ca| ca.name.clone()));
            names.extend(tls.certificate_secret_ref.iter().map(|certificate| certificate.name.clone()));
        }
    }
    names
}
