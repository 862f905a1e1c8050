//! One pod: its container, and under which restrictions it runs.

use std::collections::BTreeMap;

use isthmus_api::{
    Bridge, Quantity as Amount,
    bridge::pods::{TaintEffect, TolerationOperator, WhenUnsatisfiable},
};
use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, HTTPGetAction, Lifecycle, LifecycleHandler, LocalObjectReference,
        PodSecurityContext, PodSpec, Probe, ResourceRequirements, SeccompProfile, SecurityContext, SleepAction, Sysctl,
        Toleration, TopologySpreadConstraint,
    },
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};
use kube::ResourceExt as _;

use super::{secrets::Secrets, volumes};
use crate::{
    build::{Inputs, labels},
    names,
    status::memory::REST,
};

/// The user of the image, and one that owns nothing on any node.
const USER: i64 = 65532;

/// Seconds in which the rest of the cluster learns that a pod is going, before it stops to take connections.
const FAREWELL: i64 = 3;

/// Seconds beyond the grace period for what a process does after it: closing, reporting what was left.
const MARGIN: i64 = 10;

pub(super) fn spec(inputs: &Inputs<'_>, secrets: &Secrets) -> PodSpec {
    let bridge = inputs.bridge;
    let settings = &bridge.spec;
    let grace = i64::try_from(settings.drain.grace_period.as_millis().div_ceil(1000)).unwrap_or(i64::MAX / 2);
    PodSpec {
        service_account_name: Some(bridge.name_any()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(FAREWELL + grace + MARGIN),
        security_context: Some(pod_security(bridge)),
        image_pull_secrets: some(inputs.image.pull_secrets.iter().map(|name| pull_secret(name)).collect()),
        containers: vec![container(inputs, secrets)],
        volumes: Some(volumes::volumes(inputs, secrets)),
        tolerations: some(settings.tolerations.iter().map(toleration).collect()),
        topology_spread_constraints: Some(spread(bridge)),
        node_selector: (!settings.node_selector.is_empty()).then(|| settings.node_selector.clone()),
        ..PodSpec::default()
    }
}

fn pull_secret(name: &str) -> LocalObjectReference {
    LocalObjectReference { name: name.to_owned() }
}

fn container(inputs: &Inputs<'_>, secrets: &Secrets) -> Container {
    let settings = &inputs.bridge.spec;
    // How the operator's image is pulled says nothing about an image that the Bridge names.
    let (image, pull_policy) = match settings.image.as_str() {
        "" => (&inputs.image.name, inputs.image.pull_policy.clone()),
        _ => (&settings.image, None),
    };
    let port = |name: &str, port: u16| ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(port),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    let mut ports: Vec<ContainerPort> =
        settings.listeners.iter().map(|listener| port(&listener.name, listener.port)).collect();
    ports.push(port("admin", names::ADMIN_PORT));
    let plan = format!("{}/{}", names::PLAN_FOLDER, names::PLAN);
    let admin = format!("0.0.0.0:{}", names::ADMIN_PORT);
    let arguments = ["run", "--plan", &plan, "--secrets", names::SECRETS_FOLDER, "--admin", &admin];
    Container {
        name: names::CONTAINER.to_owned(),
        image: Some(image.clone()),
        image_pull_policy: pull_policy,
        args: Some(arguments.map(str::to_owned).to_vec()),
        ports: Some(ports),
        resources: Some(resources(&settings.resources.requests, &settings.resources.limits)),
        security_context: Some(container_security()),
        volume_mounts: Some(volumes::mounts(secrets)),
        startup_probe: Some(probe("/livez", 1, 60)),
        liveness_probe: Some(probe("/livez", 10, 3)),
        readiness_probe: Some(probe("/readyz", 2, 2)),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                sleep: Some(SleepAction { seconds: FAREWELL }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        // The last lines of the log become the pod's own account of why it ended.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("admin".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(2),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// What the restricted level of Pod Security asks for.
fn pod_security(bridge: &Bridge) -> PodSecurityContext {
    // Only with this may a process without privileges bind a low port; it concerns the pod's own network alone.
    let low = bridge.spec.listeners.iter().map(|listener| listener.port).filter(|port| *port < 1024).min();
    let sysctl = |port: u16| Sysctl { name: "net.ipv4.ip_unprivileged_port_start".to_owned(), value: port.to_string() };
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        sysctls: low.map(|port| vec![sysctl(port)]),
        ..PodSecurityContext::default()
    }
}

fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}

/// What a pod is promised when the Bridge says nothing: a node that is full of pods that asked for nothing gives this
/// one nothing and ends it first. There is no limit by default: buffers are larger than most, and to be killed for
/// what Kafka did not take yet loses it.
const CPU: &str = "100m";

fn resources(requests: &BTreeMap<String, Amount>, limits: &BTreeMap<String, Amount>) -> ResourceRequirements {
    let amounts = |amounts: &BTreeMap<String, Amount>| {
        let amounts = amounts.iter().map(|(name, amount)| (name.clone(), Quantity(amount.0.clone())));
        Some(amounts.collect::<BTreeMap<_, _>>()).filter(|amounts| !amounts.is_empty())
    };
    let default = || {
        [("cpu", CPU.to_owned()), ("memory", REST.to_string())].map(|(name, text)| (name.to_owned(), Quantity(text)))
    };
    let (requests, limits) = match (amounts(requests), amounts(limits)) {
        (None, None) => (Some(BTreeMap::from(default())), None),
        asked => asked,
    };
    ResourceRequirements { requests, limits, claims: None }
}

fn toleration(toleration: &isthmus_api::bridge::Toleration) -> Toleration {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Toleration {
        key: text(&toleration.key),
        operator: Some(match toleration.operator {
            TolerationOperator::Equal => "Equal".to_owned(),
            TolerationOperator::Exists => "Exists".to_owned(),
        }),
        value: text(&toleration.value),
        effect: toleration.effect.map(|effect| {
            match effect {
                TaintEffect::NoSchedule => "NoSchedule",
                TaintEffect::PreferNoSchedule => "PreferNoSchedule",
                TaintEffect::NoExecute => "NoExecute",
            }
            .to_owned()
        }),
        toleration_seconds: toleration.toleration_seconds,
    }
}

/// As asked for; by default evenly over zones and hosts, as far as that is possible.
fn spread(bridge: &Bridge) -> Vec<TopologySpreadConstraint> {
    let constraint = |key: &str, skew: i32, when: WhenUnsatisfiable| TopologySpreadConstraint {
        topology_key: key.to_owned(),
        max_skew: skew,
        when_unsatisfiable: match when {
            WhenUnsatisfiable::ScheduleAnyway => "ScheduleAnyway".to_owned(),
            WhenUnsatisfiable::DoNotSchedule => "DoNotSchedule".to_owned(),
        },
        label_selector: Some(labels::selector(bridge)),
        // Pods of the version before are on their way out and must not push new ones together.
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        ..TopologySpreadConstraint::default()
    };
    let asked = &bridge.spec.topology_spread_constraints;
    if asked.is_empty() {
        return ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
            .map(|key| constraint(key, 1, WhenUnsatisfiable::ScheduleAnyway))
            .to_vec();
    }
    asked.iter().map(|asked| constraint(&asked.topology_key, asked.max_skew, asked.when_unsatisfiable)).collect()
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}
