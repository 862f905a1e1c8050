//! Which Secrets the pods mount: those that the plan needs, and those that they mount already for as long as nothing
//! else of the pods changes. A Sink that is deleted takes effect without a restart; its Secret leaves with the next
//! change that rolls anyway.
//!
//! Each Secret is a volume of its own: all keys of the one with the users (a new user must not restart a pod), the
//! used keys of the others.

use std::collections::{BTreeMap, BTreeSet};

use isthmus_plan::{
    Plan,
    document::{Keys, Listener},
};
use k8s_openapi::api::core::v1::{KeyToPath, SecretProjection, Volume, VolumeProjection};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Secrets by name, and how they are mounted.
pub(super) type Secrets = BTreeMap<String, Mounted>;

/// How a Secret is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mounted {
    keys: Keys,
    /// Whether a pod starts without it.
    optional: bool,
}

impl Mounted {
    pub(super) fn source(&self, name: &str) -> VolumeProjection {
        let items = match &self.keys {
            Keys::All => None,
            Keys::These(keys) => Some(
                keys.iter()
                    .map(|key| KeyToPath { key: key.clone(), path: key.clone(), mode: None })
                    .collect::<Vec<_>>(),
            ),
        };
        let secret = SecretProjection { name: name.to_owned(), items, optional: self.optional.then_some(true) };
        VolumeProjection { secret: Some(secret), ..VolumeProjection::default() }
    }

    /// Whether who has this needs no other.
    fn serves(&self, needed: &Self) -> bool {
        let has_keys = match (&self.keys, &needed.keys) {
            (Keys::All, _) => true,
            (Keys::These(_), Keys::All) => false,
            (Keys::These(mounted), Keys::These(needed)) => mounted.is_superset(needed),
        };
        has_keys && self.optional == needed.optional
    }

    fn read(volume: &Volume) -> Option<(String, Self)> {
        let [source] = volume.projected.as_ref()?.sources.as_deref()? else { return None };
        let SecretProjection { name, items, optional } = source.secret.as_ref()?;
        let keys = match items {
            None => Keys::All,
            Some(items) => Keys::These(items.iter().map(|item| item.key.clone()).collect()),
        };
        (volume.name == volume_of(name)).then(|| (name.clone(), Self { keys, optional: optional.unwrap_or_default() }))
    }
}

/// What the plan needs.
pub(super) fn needed(plan: &Plan) -> Secrets {
    let vital = vital(plan);
    let mounted = |(name, keys): (String, Keys)| {
        let optional = !vital.contains(name.as_str());
        (name, Mounted { keys, optional })
    };
    plan.secrets().into_iter().map(mounted).collect()
}

/// Secrets without which no device can connect: a new pod waits for them, and a running one keeps what it has of one
/// that is deleted. Without one of the others (those of Connectors) a pod starts and buffers.
fn vital(plan: &Plan) -> BTreeSet<&str> {
    let users = plan.bridge.authentication.users.iter().map(|users| users.secret.as_str());
    let listeners = plan.bridge.listeners.iter().flat_map(Listener::secret_keys);
    users.chain(listeners.map(|key| key.secret.as_str())).collect()
}

/// What a Deployment mounts.
pub(super) fn mounted(deployment: &Value) -> Secrets {
    let volumes = deployment.pointer("/spec/template/spec/volumes").cloned().unwrap_or_default();
    let volumes: Vec<Volume> = serde_json::from_value(volumes).unwrap_or_default();
    volumes.iter().filter_map(Mounted::read).collect()
}

/// Whether pods that mount `mounted` can stay, when no more than `needed` is. Nobody watches over a Secret that is not
/// needed, so its deletion must not keep a new pod from starting.
pub(super) fn suffice(mounted: &Secrets, needed: &Secrets) -> bool {
    needed.iter().all(|(name, needed)| mounted.get(name).is_some_and(|mounted| mounted.serves(needed)))
        && mounted.iter().all(|(name, mounted)| mounted.optional || needed.contains_key(name))
}

/// Names of Secrets may be longer than those of volumes, and have dots.
pub(super) fn volume_of(secret: &str) -> String {
    let mut digest = format!("{:x}", Sha256::digest(secret.as_bytes()));
    digest.truncate(10);
    format!("secret-{digest}")
}
