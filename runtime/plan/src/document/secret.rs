//! Values of Secrets, named and not held: a plan says where a value is, and the process that runs it looks there.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use serde::{Deserialize, Serialize};

use super::{Listener, Plan, kafka::Username};

/// One value of a Secret. A process finds it in the file `SECRET/KEY` of its folder of Secrets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretKey {
    /// Name of the Secret, in the namespace of the plan.
    pub secret: String,
    /// Key in its `data`.
    pub key: String,
}

impl SecretKey {
    /// The value of `key` in `secret`.
    pub fn new(secret: impl Into<String>, key: impl Into<String>) -> Self {
        Self { secret: secret.into(), key: key.into() }
    }
}

/// A certificate chain and its private key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Certificate {
    /// The chain, the owner's certificate first.
    pub chain: SecretKey,
    /// The private key.
    pub key: SecretKey,
}

/// Which keys of a Secret are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// All there are, whatever their names.
    All,
    /// These.
    These(BTreeSet<String>),
}

impl Keys {
    /// Those of both.
    pub fn join(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::These(keys), Self::These(more)) => keys.extend(more),
            (_, Self::All) => *self = Self::All,
            (Self::All, _) => {}
        }
    }

    fn add(&mut self, key: &str) {
        if let Self::These(keys) = self {
            keys.insert(key.to_owned());
        }
    }
}

impl Plan {
    /// The Secrets that the plan uses, all in its namespace, and what of them: nothing else has to reach a pod.
    pub fn secrets(&self) -> BTreeMap<String, Keys> {
        let mut secrets = BTreeMap::new();
        if let Some(users) = &self.bridge.authentication.users {
            secrets.insert(users.secret.clone(), Keys::All);
        }
        let listeners = self.bridge.listeners.iter().flat_map(Listener::secret_keys);
        let sinks = self.sinks.iter().flat_map(|sink| sink.kafka.secret_keys());
        let sources = self.sources.iter().flat_map(|source| source.kafka.secret_keys());
        for SecretKey { secret, key } in listeners.chain(sinks).chain(sources) {
            match secrets.entry(secret.clone()) {
                Entry::Occupied(mut keys) => keys.get_mut().add(key),
                Entry::Vacant(place) => {
                    place.insert(Keys::These(BTreeSet::from([key.clone()])));
                }
            }
        }
        secrets
    }
}

impl Listener {
    /// What of Secrets the listener uses.
    pub fn secret_keys(&self) -> impl Iterator<Item = &SecretKey> {
        self.tls.iter().flat_map(|tls| {
            let Certificate { chain, key } = &tls.certificate;
            [chain, key].into_iter().chain(&tls.client_ca)
        })
    }
}

impl super::Kafka {
    /// What of Secrets the way to Kafka uses.
    pub fn secret_keys(&self) -> impl Iterator<Item = &SecretKey> {
        let credentials = self.authentication.iter().flat_map(|authentication| {
            let username = match &authentication.username {
                Username::Secret(key) => Some(key),
                Username::Name(_) => None,
            };
            username.into_iter().chain([&authentication.password])
        });
        let certificates = self.tls.iter().flat_map(|tls| {
            let own = tls.certificate.iter().flat_map(|certificate| [&certificate.chain, &certificate.key]);
            tls.ca.iter().chain(own)
        });
        credentials.chain(certificates)
    }
}
