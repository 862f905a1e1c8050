//! What has to be done so that children are as they should be. The decision is pure (`decide`); the calls are here too.
//!
//! Nothing is written when nothing differs: a child that we wrote is remembered by the version it had then, and one
//! that we meet for the first time is compared field by field.

mod compare;
mod decide;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
    core::DynamicObject,
};
use parking_lot::Mutex;
use serde_json::json;

pub use decide::{Decision, Written, decide};

use crate::{
    build::Desired,
    index::{
        BridgeKey,
        child::{Child, ChildKind},
    },
    names,
};

/// Why children are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// There is an object of that name that is not ours.
    #[error(
        "the {kind} `{name}` exists and does not belong to this Bridge: delete it, or give the Bridge another name"
    )]
    NameConflict {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// An object of a deleted Bridge of the same name is still there.
    #[error("the {kind} `{name}` of a deleted Bridge of the same name is still being removed")]
    Leftover {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The API server refused.
    #[error("the API server refuses the {kind} `{name}`: {source}")]
    Api {
        /// Kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What it says.
        #[source]
        source: Box<kube::Error>,
    },
}

impl ApplyError {
    /// Whether the same request may well be granted the next time: the API server was busy or away, somebody wrote at
    /// the same moment, or the namespace or kind is going.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => matches!(status.code, 404 | 409 | 429 | 500..),
                _ => true,
            },
            Self::NameConflict { .. } | Self::Leftover { .. } => false,
        }
    }
}

/// Applies children, and remembers what it applied.
#[derive(Debug, Default)]
pub struct Applier {
    written: Mutex<HashMap<(BridgeKey, ChildKind), Written>>,
    /// Bridges whose last attempt failed, and since when none succeeded.
    failing: Mutex<HashMap<BridgeKey, Instant>>,
}

/// The Bridge whose children are applied.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// Its name.
    pub key: &'a BridgeKey,
    /// Its uid.
    pub uid: &'a str,
}

impl Applier {
    /// Makes one child as it should be. Returns it as the API server has it now, if there was something to write.
    pub async fn apply(
        &self,
        client: &Client,
        owner: Owner<'_>,
        desired: &Desired,
        live: Option<&Child>,
    ) -> Result<Option<Child>, ApplyError> {
        let kind = desired.kind;
        let place = (owner.key.clone(), kind);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &owner.key.namespace, &kind.resource());
        // Not among those with our label: it does not exist, or somebody took the label away, or it is not ours.
        let fetched = match live {
            Some(_) => None,
            None => api.get_opt(&desired.name).await.map_err(|source| refused(desired, source))?,
        };
        let fetched = fetched.map(|object| Child::read(kind, object));
        let live = live.or(fetched.as_ref());
        let written = self.written.lock().get(&place).cloned();
        match decide(desired, live, owner.uid, written.as_ref()) {
            Decision::Keep(now) => {
                self.written.lock().insert(place, now);
                Ok(None)
            }
            Decision::Foreign => Err(ApplyError::NameConflict { kind: kind.name(), name: desired.name.clone() }),
            Decision::Leftover => Err(ApplyError::Leftover { kind: kind.name(), name: desired.name.clone() }),
            Decision::Apply => {
                let mut body = desired.body.clone();
                if let Some(uid) = live.and_then(|live| live.metadata.uid.as_ref()) {
                    // Only this very object: another one of the same name is refused.
                    body["metadata"]["uid"] = json!(uid);
                }
                let parameters = PatchParams::apply(names::MANAGER).force();
                let object = match api.patch(&desired.name, &parameters, &Patch::Apply(&body)).await {
                    // What somebody changed in a list stays beside what we apply (a port that was renumbered by hand has
                    // the name of ours), and the two may not go together: the list is replaced first.
                    Err(kube::Error::Api(status)) if status.code == 422 && live.is_some() => {
                        let replace =
                            PatchParams { field_manager: parameters.field_manager.clone(), ..Default::default() };
                        match api.patch(&desired.name, &replace, &Patch::Merge(&body)).await {
                            Ok(_) => api.patch(&desired.name, &parameters, &Patch::Apply(&body)).await,
                            Err(_) => Err(kube::Error::Api(status)),
                        }
                    }
                    answer => answer,
                }
                .map_err(|source| refused(desired, source))?;
                let child = Child::read(kind, object);
                tracing::info!(bridge = %owner.key, kind = kind.name(), name = desired.name, "applied");
                self.written.lock().insert(place, Written::of(desired, &child));
                Ok(Some(child))
            }
        }
    }

    /// Removes a child that is not wanted any more.
    pub async fn remove(&self, client: &Client, owner: Owner<'_>, child: &Child) -> Result<(), ApplyError> {
        self.written.lock().remove(&(owner.key.clone(), child.kind));
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), &owner.key.namespace, &child.kind.resource());
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid: child.metadata.uid.clone(), resource_version: None }),
            ..DeleteParams::background()
        };
        match api.delete(&child.name, &parameters).await {
            Ok(_) => {
                tracing::info!(bridge = %owner.key, kind = child.kind.name(), name = child.name, "removed");
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            Err(source) => {
                Err(ApplyError::Api { kind: child.kind.name(), name: child.name.clone(), source: Box::new(source) })
            }
        }
    }

    /// Everything of a Bridge is as it should be.
    pub fn succeeded(&self, key: &BridgeKey) {
        self.failing.lock().remove(key);
    }

    /// An attempt failed. Returns for how long none has succeeded.
    pub fn failed(&self, key: &BridgeKey) -> Duration {
        self.failing.lock().entry(key.clone()).or_insert_with(Instant::now).elapsed()
    }

    /// Forgets what was applied for a Bridge.
    pub fn forget(&self, key: &BridgeKey) {
        self.succeeded(key);
        self.written.lock().retain(|(bridge, _), _| bridge != key);
    }
}

fn refused(desired: &Desired, source: kube::Error) -> ApplyError {
    ApplyError::Api { kind: desired.kind.name(), name: desired.name.clone(), source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn api(code: u16) -> ApplyError {
        let status = Status::failure("", "").with_code(code).boxed();
        ApplyError::Api { kind: "Service", name: "fleet".to_owned(), source: Box::new(kube::Error::Api(status)) }
    }

    #[test]
    fn only_what_may_be_granted_next_time_passes() {
        for code in [404, 409, 429, 500, 503, 504] {
            assert!(api(code).is_passing(), "{code}");
        }
        for code in [400, 403, 422] {
            assert!(!api(code).is_passing(), "{code}");
        }
        assert!(!ApplyError::NameConflict { kind: "Service", name: String::new() }.is_passing());
    }
}
