//! What the pods find under `/etc/isthmus`: the plan, and a folder for each Secret that the plan uses.
//!
//! Each Secret is a volume of its own: all keys of the one with the users (a new user must not restart a pod), the
//! used keys of the others.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, KeyToPath, ProjectedVolumeSource, SecretProjection, Volume, VolumeMount, VolumeProjection,
};
use kube::ResourceExt as _;
use sha2::{Digest as _, Sha256};

use crate::{
    build::{Inputs, Keys},
    names,
};

pub(super) fn volumes(inputs: &Inputs<'_>) -> Vec<Volume> {
    let plan = ConfigMapProjection { name: names::plan_of(&inputs.bridge.name_any()), ..ConfigMapProjection::default() };
    let plan = VolumeProjection { config_map: Some(plan), ..VolumeProjection::default() };
    let mut volumes = vec![projected("plan".to_owned(), plan)];
    volumes.extend(inputs.secrets.iter().map(|(secret, keys)| projected(volume_of(secret), source(secret, keys))));
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
        inputs.secrets.keys().map(|secret| mount(volume_of(secret), format!("{}/{secret}", names::SECRETS_FOLDER))),
    );
    mounts
}

/// Names of Secrets may be longer than those of volumes, and have dots.
fn volume_of(secret: &str) -> String {
    let mut digest = format!("{:x}", Sha256::digest(secret.as_bytes()));
    digest.truncate(10);
    format!("secret-{digest}")
}

fn source(secret: &str, keys: &Keys) -> VolumeProjection {
    let items = match keys {
        Keys::All => None,
        Keys::Only(keys) => Some(
            keys.iter().map(|key| KeyToPath { key: key.clone(), path: key.clone(), mode: None }).collect::<Vec<_>>(),
        ),
    };
    // Optional: a Secret that vanishes must not keep pods from starting. What needs it is not in the plan then.
    let secret = SecretProjection { name: secret.to_owned(), items, optional: Some(true) };
    VolumeProjection { secret: Some(secret), ..VolumeProjection::default() }
}

fn projected(name: String, source: VolumeProjection) -> Volume {
    Volume {
        name,
        projected: Some(ProjectedVolumeSource { sources: Some(vec![source]), default_mode: Some(0o440) }),
        ..Volume::default()
    }
}
