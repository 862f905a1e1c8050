use std::collections::BTreeMap;

use isthmus_plan::document;
use serde_json::{Value, json};

use super::*;
use crate::fixtures;

const SQL: &str = r#"SELECT payload.speed AS speed FROM "vehicles/+" WHERE payload.speed > 120"#;

fn built(spec: &Value, rules: Vec<isthmus_api::Rule>, pod_monitors: bool) -> Vec<Desired> {
    let bridge = fixtures::bridge(spec);
    let plan = fixtures::plan(&bridge, rules);
    children(&Inputs { bridge: &bridge, plan: &plan, image: &image(&[]), pod_monitors, live: None }).unwrap()
}

fn image(pull_secrets: &[&str]) -> RuntimeImage {
    RuntimeImage {
        name: "isthmus.test/runtime:1".to_owned(),
        pull_policy: Some("Never".to_owned()),
        pull_secrets: pull_secrets.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn by_kind(children: &[Desired]) -> BTreeMap<&str, &Value> {
    children.iter().map(|child| (child.kind.name(), &child.body)).collect()
}

#[test]
fn a_bridge_with_defaults() {
    let children = built(&json!({}), vec![fixtures::rule("speeding", SQL)], false);
    insta::assert_json_snapshot!(by_kind(&children));
}

#[test]
fn a_bridge_with_everything() {
    let spec = json!({
        "replicas": 3,
        "image": "registry.test/own:2",
        "listeners": [
            {"name": "mqtt", "port": 1883},
            {"name": "mqtts", "port": 443, "tls": {
                "secretRef": {"name": "server"}, "clientAuth": "Required", "caSecretRef": {"name": "devices"},
            }},
        ],
        "authentication": {"anonymous": "Deny", "usersSecretRef": {"name": "users"}},
        "drain": {"gracePeriod": "1500ms"},
        "service": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "annotations": {"lb": "internal"}},
        "resources": {"requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "tolerations": [{"key": "edge", "operator": "Exists", "effect": "NoSchedule"}],
        "topologySpreadConstraints": [
            {"topologyKey": "rack", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"},
        ],
        "nodeSelector": {"disk": "fast"},
        "podLabels": {"team": "plant", "app.kubernetes.io/instance": "not-this"},
        "podAnnotations": {"note": "hello"},
    });
    insta::assert_json_snapshot!(by_kind(&built(&spec, Vec::new(), true)));
}

#[test]
fn an_edited_rule_changes_the_plan_and_nothing_else() {
    let before = built(&json!({}), vec![fixtures::rule("speeding", SQL)], false);
    let after = built(&json!({}), vec![fixtures::rule("speeding", &SQL.replace("120", "90"))], false);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before == after, before.kind != ChildKind::ConfigMap, "{:?}", before.kind);
    }
}

#[test]
fn one_pod_needs_no_disruption_budget() {
    let has_budget = |replicas: u32| {
        let children = built(&json!({"replicas": replicas}), Vec::new(), false);
        children.iter().any(|child| child.kind == ChildKind::PodDisruptionBudget)
    };
    assert!(!has_budget(1));
    assert!(has_budget(2));
}

#[test]
fn pull_policy_is_that_of_our_image_and_pull_secrets_are_for_any() {
    let pod = |spec: &Value| {
        let bridge = fixtures::bridge(spec);
        let plan = fixtures::plan(&bridge, Vec::new());
        let image = image(&["registry", "mirror"]);
        let inputs = Inputs { bridge: &bridge, plan: &plan, image: &image, pod_monitors: false, live: None };
        let children = children(&inputs).unwrap();
        by_kind(&children)["Deployment"]["spec"]["template"]["spec"].clone()
    };
    let (ours, own) = (pod(&json!({})), pod(&json!({"image": "registry.test/own:2"})));
    assert_eq!(ours["containers"][0]["imagePullPolicy"], "Never");
    assert_eq!(own["containers"][0]["imagePullPolicy"], Value::Null);
    for pod in [ours, own] {
        assert_eq!(pod["imagePullSecrets"], json!([{"name": "registry"}, {"name": "mirror"}]));
    }
}

#[test]
fn a_new_user_changes_no_pod() {
    let children = built(&json!({"authentication": {"usersSecretRef": {"name": "users"}}}), Vec::new(), false);
    let volumes = &by_kind(&children)["Deployment"]["spec"]["template"]["spec"]["volumes"];
    assert_eq!(volumes[1]["projected"]["sources"], json!([{"secret": {"name": "users"}}]));
}

/// The Deployment of a Bridge whose plan needs these Secrets for Kafka, such as `a:x b:x,y`, after `live`.
fn deployment(spec: &Value, secrets: &str, live: Option<&Desired>) -> Desired {
    let bridge = fixtures::bridge(spec);
    let mut plan = fixtures::plan(&bridge, Vec::new());
    let sink = plan.sinks[0].clone();
    let secrets = secrets.split_whitespace().map(|secret| secret.split_once(':').unwrap());
    plan.sinks = secrets
        .flat_map(|(secret, keys)| keys.split(',').map(move |key| (secret, key)))
        .map(|(secret, key)| {
            let mut sink = sink.clone();
            sink.kafka.tls = Some(tls(secret, key));
            sink
        })
        .collect();
    let live = live.map(|live| Child::read(ChildKind::Deployment, serde_json::from_value(live.body.clone()).unwrap()));
    let image = image(&[]);
    let inputs = Inputs { bridge: &bridge, plan: &plan, image: &image, pod_monitors: false, live: live.as_ref() };
    children(&inputs).unwrap().into_iter().find(|child| child.kind == ChildKind::Deployment).unwrap()
}

/// TLS whose CA is under this key of a Secret.
fn tls(secret: &str, key: &str) -> document::KafkaTls {
    let ca = Some(document::SecretKey::new(secret, key));
    document::KafkaTls { ca, certificate: None, verify_hostname: true, insecure_skip_verify: false }
}

/// The Secrets that a Deployment mounts, in the same form.
fn mounts(deployment: &Desired) -> String {
    let pod = &deployment.body["spec"]["template"]["spec"];
    let volumes = pod["volumes"].as_array().unwrap();
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let named: Vec<_> = volumes.iter().map(|volume| &volume["name"]).collect();
    assert_eq!(named, mounts.iter().map(|mount| &mount["name"]).collect::<Vec<_>>(), "each volume is mounted");
    let secrets = volumes.iter().filter_map(|volume| volume.pointer("/projected/sources/0/secret"));
    let keys = |secret: &Value| {
        let items = secret["items"].as_array().into_iter().flatten();
        items.map(|item| item["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(",")
    };
    let secrets = secrets.map(|secret| format!("{}:{}", secret["name"].as_str().unwrap(), keys(secret)));
    secrets.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_secret_that_is_not_needed_any_more_restarts_nothing() {
    let before = deployment(&json!({}), "a:x b:x,y", None);
    assert_eq!(mounts(&before), "a:x b:x,y");
    for fewer in ["a:x", "b:y", ""] {
        let after = deployment(&json!({}), fewer, Some(&before));
        assert_eq!(after, before, "the same object to the last byte: there is nothing to apply");
        // The Deployment is the memory, so that this holds for ever.
        assert_eq!(deployment(&json!({}), fewer, Some(&after)), before);
    }
    let more_pods = deployment(&json!({"replicas": 3}), "", Some(&before));
    assert_eq!(more_pods.body["spec"]["template"], before.body["spec"]["template"], "its number is not its shape");
}

#[test]
fn what_restarts_pods_anyway_lets_go_of_secrets() {
    let before = deployment(&json!({}), "a:x b:x,y", None);
    let image = deployment(&json!({"image": "registry.test/own:2"}), "b:y", Some(&before));
    assert_eq!(mounts(&image), "b:y");
    // Nothing of the new template is missing in the old one, and yet it is another one.
    let labelled = deployment(&json!({"podLabels": {"team": "plant"}}), "a:x", Some(&before));
    assert_eq!(mounts(&deployment(&json!({}), "", Some(&labelled))), "");
    for more in ["a:x c:x", "a:x,z"] {
        assert_eq!(mounts(&deployment(&json!({}), more, Some(&before))), more, "nothing else can mount it");
    }
}

#[test]
fn a_secret_that_new_pods_would_wait_for_is_not_kept() {
    let before = built(&json!({"authentication": {"usersSecretRef": {"name": "users"}}}), Vec::new(), false);
    let before = before.into_iter().find(|child| child.kind == ChildKind::Deployment).unwrap();
    assert_eq!(mounts(&before), "users:");
    assert_eq!(mounts(&deployment(&json!({}), "", Some(&before))), "");
}

#[test]
fn what_somebody_else_mounts_is_not_kept() {
    let before = deployment(&json!({}), "a:x", None);
    let other = deployment(&json!({}), "a:x b:x", None);
    let mut edited = before.clone();
    edited.body["spec"] = other.body["spec"].clone();
    assert_eq!(deployment(&json!({}), "a:x", Some(&edited)), before);
    // As does a Deployment of a version that left no mark.
    edited.body["metadata"]["annotations"] = json!({});
    assert_eq!(deployment(&json!({}), "a:x", Some(&edited)), before);
}
