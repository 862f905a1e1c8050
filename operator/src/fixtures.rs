//! Resources for tests, as the API server would have them.

use isthmus_api::{Bridge, Connector, Rule, Sink, Source};
use isthmus_plan::{Options, Plan, Resources, render};
use kube::core::DynamicObject;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::index::resource::{Kind, Stored};

/// A resource in the namespace `plant`, of generation 1.
pub(crate) fn object(kind: &str, name: &str, spec: &Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": isthmus_api::API_VERSION,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "plant",
            "uid": format!("uid-of-{name}"),
            "generation": 1,
            "resourceVersion": "10",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": spec,
    }))
    .unwrap()
}

/// The same as an index holds it.
pub(crate) fn stored<K: Kind>(name: &str, spec: &Value) -> Stored<K> {
    Stored::read(object(&K::kind(&()), name, spec))
}

fn typed<K: DeserializeOwned>(kind: &str, name: &str, spec: &Value) -> K {
    serde_json::from_value(serde_json::to_value(object(kind, name, spec)).unwrap()).unwrap()
}

/// A Bridge `fleet` with these settings besides the defaults.
pub(crate) fn bridge(spec: &Value) -> Bridge {
    let mut whole = json!({"authentication": {"anonymous": "Allow"}});
    for (field, value) in spec.as_object().unwrap() {
        whole[field] = value.clone();
    }
    typed("Bridge", "fleet", &whole)
}

/// The Connector `kafka` of `fleet`.
pub(crate) fn connector() -> Connector {
    typed("Connector", "kafka", &json!({"bridgeRef": {"name": "fleet"}, "kafka": {"bootstrapServers": ["kafka:9092"]}}))
}

/// A Sink of `kafka`.
pub(crate) fn sink(name: &str) -> Sink {
    typed("Sink", name, &json!({"connectorRef": {"name": "kafka"}, "topic": name}))
}

/// A Source of `kafka`.
pub(crate) fn source(name: &str) -> Source {
    typed("Source", name, &json!({"connectorRef": {"name": "kafka"}, "topicMapping": [{"kafkaTopic": name}]}))
}

/// A Rule of `fleet`.
pub(crate) fn rule(name: &str, sql: &str) -> Rule {
    typed("Rule", name, &json!({"bridgeRef": {"name": "fleet"}, "sql": sql}))
}

/// The plan of a Bridge with these rules.
pub(crate) fn plan(bridge: &Bridge, rules: Vec<Rule>) -> Plan {
    let secrets = bridge.spec.authentication.users_secret_ref.iter();
    let resources = Resources {
        bridges: vec![bridge.clone()],
        connectors: vec![connector()],
        sinks: vec![sink("vehicles")],
        sources: vec![source("commands")],
        rules,
        secrets: secrets.map(|secret| (("plant".to_owned(), secret.name.clone()), ["car".to_owned()].into())).collect(),
    };
    render(&resources, &Options { bridge: Some(("plant".to_owned(), "fleet".to_owned())) }, None).plan.unwrap()
}
