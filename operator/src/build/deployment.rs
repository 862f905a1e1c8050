//! The pods. Their template is a function of their shape: nothing in it comes from the content of the plan, except for
//! the Secrets that they mount, and those only grow for as long as nothing else changes.

mod pod;
mod secrets;
mod volumes;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use self::secrets::Secrets;
use super::{Inputs, digest, labels};
use crate::names;

pub(super) fn build(inputs: &Inputs<'_>) -> Result<Deployment, serde_json::Error> {
    let bridge = inputs.bridge;
    let shape = digest(&template(inputs, &Secrets::new()))?;
    // It holds also what is mounted, so that what somebody else adds to the volumes is not taken for ours.
    let mark = |secrets: &Secrets| Ok(format!("{shape}-{}", digest(&volumes::volumes(inputs, secrets))?));
    let needed = secrets::needed(inputs.plan);
    let mounted = inputs.live.map(|live| secrets::mounted(&live.data)).unwrap_or_default();
    let live_mark = inputs.live.and_then(|live| live.metadata.annotations.as_ref()?.get(names::TEMPLATE));
    let stays = secrets::suffice(&mounted, &needed) && live_mark == Some(&mark(&mounted)?);
    let secrets = if stays { mounted } else { needed };
    Ok(Deployment {
        metadata: ObjectMeta {
            annotations: Some(BTreeMap::from([(names::TEMPLATE.to_owned(), mark(&secrets)?)])),
            ..ObjectMeta::default()
        },
        spec: Some(DeploymentSpec {
            replicas: Some(bridge.spec.replicas),
            selector: labels::selector(bridge),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                // A new pod takes connections before an old one sends its devices away.
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::String("25%".to_owned())),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            revision_history_limit: Some(2),
            template: template(inputs, &secrets),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    })
}

fn template(inputs: &Inputs<'_>, secrets: &Secrets) -> PodTemplateSpec {
    let annotations = &inputs.bridge.spec.pod_annotations;
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels::of_pods(inputs.bridge)),
            annotations: (!annotations.is_empty()).then(|| annotations.clone()),
            ..ObjectMeta::default()
        }),
        spec: Some(pod::spec(inputs, secrets)),
    }
}
