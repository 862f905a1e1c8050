//! What the pods find under `/etc/isthmus`: the plan, and a folder for each Secret that the plan uses.
//!
//! Each Secret is a volume of its own: all keys of the one with the users (a new user must not restart a pod), the
//! used keys of the others.

use std::collections::BTreeSet;

use isthmus_plan::{
    Plan,
    document::{Keys, Listener},
};
use k8s_openapi::api::core::v1::{
    ConfigMapProjection, KeyToPath, ProjectedVolumeSource, SecretProjection, Volume, VolumeMount, VolumeProjection,
};
use kube::ResourceExt as _;
use sha2::{Digest as _, Sha256};

use crate::{build::Inputs, names};

pub(super) fn volumes(inputs: &Inputs<'_>) -> Vec<Volume> {
    let plan =
        ConfigMapProjection { name: names::plan_of(&inputs.bridge.name_any()), ..ConfigMapProjection::default() };
    let plan = VolumeProjection { config_map: Some(plan), ..VolumeProjection::default() };
    let mut volumes = vec![projected("plan".to_owned(), plan)];
    let vital = vital(inputs.plan);
    volumes.extend(
        inputs
            .plan
            .secrets()
            .iter()
            .map(|(secret, keys)| projected(volume_of(secret), source(secret, keys, !vital.contains(secret.as_str())))),
    );
    volumes
}

pub(super) fn mounts(inputs: &Inputs<'_>) -> Vec<VolumeMount> {
    let mount = |name: String, path: String| VolumeMount {
        name,
        mount_path: path,
        read_only: Some(true),
        ..VolumeMount::default()
    };
    let mut mounts = vec![mount("plan".to_owned(), names::PLAN_FOLDER.to_owned())];
    mounts.extend(
        inputs
            .plan
            .secrets()
            .keys()
            .map(|secret| mount(volume_of(secret), format!("{}/{secret}", names::SECRETS_FOLDER))),
    );
    mounts
}

/// Secrets without which no device can connect: a new pod waits for them, and a running one keeps what it has of one
/// that is deleted. Without one of the others (those of Connectors) a pod starts and buffers.
fn vital(plan: &Plan) -> BTreeSet<&str> {
    let users = plan.bridge.authentication.users.iter().map(|users| users.secret.as_str());
    let listeners = plan.bridge.listeners.iter().flat_map(Listener::secret_keys);
    users.chain(listeners.map(|key| key.secret.as_str())).collect()
}

/// Names of Secrets may be longer than those of volumes, and have dots.
fn volume_of(secret: &str) -> String {
    let mut digest = format!("{:x}", Sha256::digest(secret.as_bytes()));
    digest.truncate(10);
    format!("secret-{digest}")
}

fn source(secret: &str, keys: &Keys, optional: bool) -> VolumeProjection {
    let items = match keys {
        Keys::All => None,
        Keys::These(keys) => Some(
            keys.iter().map(|key| KeyToPath { key: key.clone(), path: key.clone(), mode: None }).collect::<Vec<_>>(),
        ),
    };
    let secret = SecretProjection { name: secret.to_owned(), items, optional: optional.then_some(true) };
    VolumeProjection { secret: Some(secret), ..VolumeProjection::default() }
}

fn projected(name: String, source: VolumeProjection) -> Volume {
    Volume {
        name,
        projected: Some(ProjectedVolumeSource { sources: Some(vec![source]), default_mode: Some(0o440) }),
        ..Volume::default()
    }
}
