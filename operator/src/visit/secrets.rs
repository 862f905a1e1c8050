//! The Secrets around a Bridge: which are used, what is known of them, and how the pods get them.

use std::collections::{BTreeMap, BTreeSet};

use isthmus_plan::Plan;
use sha2::{Digest as _, Sha256};

use super::folder_of;
use crate::{
    build::Keys,
    context::Context,
    index::{
        BridgeKey, Neighbourhood,
        secret::{Secret, SecretName},
    },
};

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

    /// Those that exist.
    pub(super) fn present(&self) -> BTreeSet<SecretName> {
        let exists = |secret: &Option<Secret>| matches!(secret, Some(Secret::Present { .. }));
        self.known.iter().filter(|(_, secret)| exists(secret)).map(|(name, _)| name.clone()).collect()
    }

    /// One of which nothing is known yet.
    pub(super) fn unread(&self) -> Option<&str> {
        self.known.iter().find(|(_, secret)| secret.is_none()).map(|((_, name), _)| name.as_str())
    }

    /// Folder of the users in the pods.
    pub(super) fn users_path(&self, around: &Neighbourhood) -> String {
        users_of(around).map(|name| folder_of(&name)).unwrap_or_default()
    }

    /// What the pods get of each.
    pub(super) fn mounted(&self, plan: &Plan) -> BTreeMap<String, Keys> {
        plan.bridge.authentication.users.iter().map(|users| (users.secret.clone(), Keys::All)).collect()
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

fn users_of(around: &Neighbourhood) -> Option<String> {
    let bridge = around.bridge.as_ref()?.object()?;
    bridge.spec.authentication.users_secret_ref.as_ref().map(|secret| secret.name.clone())
}

/// Names of the Secrets that resources of the Bridge refer to.
fn referenced(around: &Neighbourhood) -> BTreeSet<String> {
    users_of(around).into_iter().collect()
}
