use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::fixtures;

const SQL: &str = r#"SELECT payload.speed AS speed FROM "vehicles/+" WHERE payload.speed > 120"#;

fn built(spec: &Value, rules: Vec<isthmus_api::Rule>, pod_monitors: bool) -> Vec<Desired> {
    let bridge = fixtures::bridge(spec);
    let plan = fixtures::plan(&bridge, rules);
    children(&Inputs { bridge: &bridge, plan: &plan, image: &image(&[]), pod_monitors }).unwrap()
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
        let children = children(&Inputs { bridge: &bridge, plan: &plan, image: &image, pod_monitors: false }).unwrap();
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
