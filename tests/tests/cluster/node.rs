//! The node of processes by itself, with a Deployment written by hand: when these fail, the fault is
//! not the operator's.

use std::net::SocketAddr;

use anyhow::{Context as _, anyhow, ensure};
use isthmus_tests::condition::eventually;
use isthmus_tests::kafka::Kafka;
use isthmus_tests::kubernetes::Namespace;
use isthmus_tests::kubernetes::kubelet::container;
use isthmus_tests::manifest::{self, rule, sink};
use isthmus_tests::mosquitto::{self, Version::V5};
use isthmus_tests::process::Signal;
use isthmus_tests::{Result, isthmus};
use serde_json::{Value, json};

use crate::shared::{self, PATIENCE, RUNTIME_IMAGE};

/// A plan whose rule stamps each record with `version`.
fn plan(kafka: &Kafka, topic: &str, version: u32) -> Result<String> {
    isthmus::render(&manifest::documents(&[
        manifest::bridge(),
        manifest::connector().with("kafka.bootstrapServers", json!([kafka.bootstrap()])),
        sink("load", topic),
        rule("stamp", &format!(r#"SELECT payload, {version} AS version FROM "load/#""#)).to_sink("load"),
    ]))
}

fn config_map(plan: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "plan"}, "data": {"plan.json": plan}})
        .to_string()
}

fn deployment(image: &str, note: &str) -> String {
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "admin"}, "periodSeconds": 1});
    let container = json!({
        "name": "isthmus",
        "image": image,
        "args": ["run", "--plan", "/etc/isthmus/plan/plan.json", "--admin", "0.0.0.0:9600"],
        "ports": [{"name": "admin", "containerPort": 9600}],
        "startupProbe": probe("/livez"),
        "readinessProbe": probe("/readyz"),
        "livenessProbe": probe("/livez"),
        "volumeMounts": [{"name": "plan", "mountPath": "/etc/isthmus/plan"}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    });
    let source = json!({"configMap": {"name": "plan", "items": [{"key": "plan.json", "path": "plan.json"}]}});
    let spec = json!({
        "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 30,
        // A token is one kind of volume that the node does not write.
        "automountServiceAccountToken": false,
        "containers": [container],
        "volumes": [{"name": "plan", "projected": {"sources": [source]}}],
    });
    let metadata = json!({"labels": {"app": "by-hand"}, "annotations": {"note": note}});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "by-hand"},
        "spec": {
            "selector": {"matchLabels": {"app": "by-hand"}},
            "template": {"metadata": metadata, "spec": spec},
        },
    })
    .to_string()
}

/// The only pod of the namespace, once `is_so` holds for it.
fn pod(namespace: &Namespace<'_>, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    eventually(&format!("the only pod {what}"), PATIENCE, || {
        let list = namespace.other("v1", "pods")?;
        let items = list["items"].as_array().context("not a list")?;
        let log = || shared::kubelet().map(|kubelet| kubelet.log(namespace.name())).unwrap_or_default();
        ensure!(items.len() == 1 && is_so(&items[0]), "{items:#?}\n{}", log());
        Ok(items[0].clone())
    })
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn mqtt(pod: &Value) -> Result<SocketAddr> {
    Ok(SocketAddr::new(pod["status"]["podIP"].as_str().context("no podIP")?.parse()?, 1883))
}

#[test]
fn pod_becomes_ready_serves_and_follows_its_volume() -> Result<()> {
    let (kafka, kubelet) = (Kafka::shared()?, shared::kubelet()?);
    let namespace = Namespace::create(shared::control_plane()?, "node")?;
    let topic = kafka.topic("node")?;
    let kubectl = namespace.kubectl();
    kubectl.apply(&deployment(RUNTIME_IMAGE, "one"))?;
    let waiting = pod(&namespace, "waits for its volume", |pod| pod["status"]["phase"] == "Pending")?;
    kubectl.apply(&config_map(&plan(kafka, &topic, 1)?))?;
    kubectl.run(&["rollout", "status", "deployment/by-hand", "--timeout=120s"])?;
    let ready = pod(&namespace, "is ready", is_ready)?;
    assert_eq!(ready["metadata"]["uid"], waiting["metadata"]["uid"]);
    mosquitto::publish(mqtt(&ready)?, V5, "load/1", "one", &[])?;
    // Without a change of the pod its volumes are looked at once a minute.
    kubectl.apply(&config_map(&plan(kafka, &topic, 2)?))?;
    let name = ready["metadata"]["name"].as_str().context("no name")?;
    kubectl.run(&["annotate", "pod", name, "plan=2"])?;
    let mut sent = 1;
    eventually("the second plan is in force", PATIENCE, || {
        mosquitto::publish(mqtt(&ready)?, V5, "load/1", "two", &[])?;
        sent += 1;
        let records = kafka.read(&topic, sent, PATIENCE)?;
        let version = records[sent - 1].json()?["version"].clone();
        if version == 2 { Ok(()) } else { Err(anyhow!("version {version}")) }
    })?;
    let handle = kubelet.process(namespace.name(), name, "isthmus")?;
    container::lock(&handle).as_ref().context("no process")?.signal(Signal::KILL)?;
    let restarted = pod(&namespace, "runs again", |pod| {
        is_ready(pod) && pod["status"]["containerStatuses"][0]["restartCount"] == 1
    })?;
    assert_eq!(restarted["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"], 137);
    mosquitto::publish(mqtt(&restarted)?, V5, "load/1", "three", &[])?;
    kubectl.run(&["delete", "deployment", "by-hand", "--cascade=foreground", "--timeout=120s"])?;
    assert!(container::lock(&handle).is_none(), "the process is gone with its pod");
    Ok(())
}

#[test]
fn pod_with_an_unknown_image_says_so() -> Result<()> {
    shared::kubelet()?;
    let namespace = Namespace::create(shared::control_plane()?, "node")?;
    namespace.kubectl().apply(&config_map("{}"))?;
    namespace.kubectl().apply(&deployment("isthmus.test/runtime:none", ""))?;
    pod(&namespace, "cannot pull its image", |pod| {
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
    })?;
    Ok(())
}

#[test]
fn pod_that_ends_at_once_crash_loops() -> Result<()> {
    shared::kubelet()?;
    let namespace = Namespace::create(shared::control_plane()?, "node")?;
    namespace.kubectl().apply(&config_map("no plan"))?;
    namespace.kubectl().apply(&deployment(RUNTIME_IMAGE, ""))?;
    let pod = pod(&namespace, "crash-loops", |pod| {
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    })?;
    let ended = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(ended["exitCode"], 1);
    let message = ended["message"].as_str().unwrap_or_default();
    assert!(message.contains("is not a plan"), "{message}");
    Ok(())
}
