//! Where devices connect: a port for each listener.

use isthmus_api::{
    Bridge,
    bridge::service::{ServiceType, TrafficPolicy},
};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use super::labels;

pub(super) fn build(bridge: &Bridge) -> Service {
    let settings = &bridge.spec.service;
    let kind = match settings.kind {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    };
    let policy = match settings.external_traffic_policy {
        TrafficPolicy::Cluster => "Cluster",
        TrafficPolicy::Local => "Local",
    };
    let ports = bridge.spec.listeners.iter().map(|listener| ServicePort {
        name: Some(listener.name.clone()),
        port: i32::from(listener.port),
        target_port: Some(IntOrString::String(listener.name.clone())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    });
    Service {
        metadata: ObjectMeta { annotations: Some(settings.annotations.clone()), ..ObjectMeta::default() },
        spec: Some(ServiceSpec {
            type_: Some(kind.to_owned()),
            // Meaningless, and refused, for a Service that is reached from inside only.
            external_traffic_policy: (settings.kind != ServiceType::ClusterIP).then(|| policy.to_owned()),
            selector: labels::selector(bridge).match_labels,
            ports: Some(ports.collect()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
