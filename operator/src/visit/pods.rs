//! Tells pods that their volumes have something new: an annotation of the pod makes the kubelet look at once instead
//! of within the minute.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1 as core;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::VisitError;
use crate::{context::Context, index::pod::Pod, names};

/// Pods told at the same time.
const AT_ONCE: usize = 16;

pub(super) async fn tell(
    context: &Context,
    pods: &[Arc<Pod>],
    revision: &str,
    secrets: &str,
) -> Result<(), VisitError> {
    let wanted = if secrets.is_empty() { revision.to_owned() } else { format!("{revision}-{secrets}") };
    let behind: Vec<_> =
        pods.iter().filter(|pod| !pod.leaving && pod.revision.as_ref() != Some(&wanted)).cloned().collect();
    let patch = json!({"metadata": {"annotations": {names::REVISION: wanted}}});
    let calls = behind.into_iter().map(|pod| {
        let patch = &patch;
        async move {
            let api: Api<core::Pod> = Api::namespaced(context.client.clone(), &pod.bridge.namespace);
            let parameters = PatchParams { field_manager: Some(names::MANAGER.to_owned()), ..PatchParams::default() };
            match api.patch_metadata(&pod.name, &parameters, &Patch::Merge(patch)).await {
                Ok(_) => Ok(()),
                // Gone in the meantime.
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                Err(source) => Err(VisitError::Pod { name: pod.name.clone(), source: Box::new(source) }),
            }
        }
    });
    stream::iter(calls).buffer_unordered(AT_ONCE).try_collect().await
}
