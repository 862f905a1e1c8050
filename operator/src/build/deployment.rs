//! The pods. Their template is a function of their shape: nothing in it comes from the content of the plan.

mod pod;
mod volumes;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use super::{Inputs, labels};

pub(super) fn build(inputs: &Inputs<'_>) -> Deployment {
    let bridge = inputs.bridge;
    let annotations: &BTreeMap<String, String> = &bridge.spec.pod_annotations;
    Deployment {
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
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels::of_pods(bridge)),
                    annotations: (!annotations.is_empty()).then(|| annotations.clone()),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod::spec(inputs)),
            },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}
