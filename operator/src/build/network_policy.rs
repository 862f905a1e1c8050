//! Who may connect to the pods: devices to the listeners, and anybody inside the cluster to the admin port, which is
//! where the operator and Prometheus ask.

use isthmus_api::Bridge;
use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::labels;
use crate::names;

pub(super) fn build(bridge: &Bridge) -> NetworkPolicy {
    let listeners = bridge.spec.listeners.iter().map(|listener| tcp(listener.port)).collect();
    let inside =
        NetworkPolicyPeer { namespace_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() };
    NetworkPolicy {
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(labels::selector(bridge)),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![
                NetworkPolicyIngressRule { ports: Some(listeners), from: None },
                NetworkPolicyIngressRule { ports: Some(vec![tcp(names::ADMIN_PORT)]), from: Some(vec![inside]) },
            ]),
            egress: None,
        }),
        ..NetworkPolicy::default()
    }
}

fn tcp(port: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(i32::from(port))),
        protocol: Some("TCP".to_owned()),
        end_port: None,
    }
}
