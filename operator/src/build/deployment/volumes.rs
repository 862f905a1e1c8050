//! What the pods find under `/etc/isthmus`: the plan, and a folder for each Secret.

use k8s_openapi::api::core::v1::{ConfigMapProjection, ProjectedVolumeSource, Volume, VolumeMount, VolumeProjection};
use kube::ResourceExt as _;

use super::secrets::{self, Secrets};
use crate::{build::Inputs, names};

pub(super) fn volumes(inputs: &Inputs<'_>, secrets: &Secrets) -> Vec<Volume> {
    let plan =
        ConfigMapProjection { name: names::plan_of(&inputs.bridge.name_any()), ..ConfigMapProjection::default() };
    let plan = VolumeProjection { config_map: Some(plan), ..VolumeProjection::default() };
    let mut volumes = vec![projected("plan".to_owned(), plan)];
    volumes.extend(secrets.iter().map(|(name, mounted)| projected(secrets::volume_of(name), mounted.source(name))));
    volumes
}

pub(super) fn mounts(secrets: &Secrets) -> Vec<VolumeMount> {
    let mount = |name: String, path: String| VolumeMount {
        name,
        mount_path: path,
        read_only: Some(true),
        ..VolumeMount::default()
    };
    let mut mounts = vec![mount("plan".to_owned(), names::PLAN_FOLDER.to_owned())];
    mounts.extend(
        secrets.keys().map(|name| mount(secrets::volume_of(name), format!("{}/{name}", names::SECRETS_FOLDER))),
    );
    mounts
}

fn projected(name: String, source: VolumeProjection) -> Volume {
    Volume {
        name,
        projected: Some(ProjectedVolumeSource { sources: Some(vec![source]), default_mode: Some(0o440) }),
        ..Volume::default()
    }
}
