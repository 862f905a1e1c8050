//! Secrets that are missing, appear, rotate, and leave.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::condition::eventually;
use isthmus_tests::kafka::Secure;
use isthmus_tests::kafka::secure::PLAIN;
use isthmus_tests::kubernetes::Pod;
use isthmus_tests::manifest::{self, Resource, rule, sink};
use isthmus_tests::mosquitto::{self, Version::V5};
use isthmus_tests::mqtt::Client;
use serde_json::{Value, json};

use crate::fleet::Fleet;
use crate::shared::PATIENCE;

/// The Bridge, open only to the users of the Secret `users`.
fn closed() -> Resource {
    manifest::bridge()
        .with("replicas", 1)
        .with("authentication.anonymous", "Deny")
        .with("authentication.usersSecretRef", json!({"name": "users"}))
}

fn users(password: &str) -> String {
    let data = json!({"car": format!("plain:{password}")});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "users"}, "stringData": data}).to_string()
}

fn publish(pod: &Pod, password: &str) -> Result<()> {
    mosquitto::publish(pod.mqtt(), V5, "load/1", "x", &["-u", "car", "-P", password])
}

#[test]
fn missing_secret_is_named_and_its_appearance_is_enough() -> Result<()> {
    let fleet = Fleet::new("secret")?;
    let mut resources = fleet.resources(1);
    resources[0] = closed();
    fleet.namespace.apply(&resources)?;
    let condition = fleet.wait("bridges", "fleet", "ResolvedRefs", "False")?;
    let message = condition["message"].as_str().context("no message")?;
    assert!(message.contains("users"), "{message}");
    fleet.wait("bridges", "fleet", "Ready", "False")?;
    fleet.namespace.kubectl().apply(&users("one"))?;
    fleet.wait_until_ready()?;
    publish(&fleet.pods(1)?[0], "one")?;
    Ok(())
}

#[test]
fn rotated_secret_is_in_force_without_a_restart_and_is_copied_nowhere() -> Result<()> {
    let fleet = Fleet::new("rotation")?;
    fleet.namespace.kubectl().apply(&users("first-secret"))?;
    let mut resources = fleet.resources(1);
    resources[0] = closed();
    fleet.namespace.apply(&resources)?;
    fleet.wait_until_ready()?;
    let before = fleet.pods(1)?;
    publish(&before[0], "first-secret")?;
    assert!(publish(&before[0], "second-secret").is_err());
    fleet.namespace.kubectl().apply(&users("second-secret"))?;
    eventually("the new password is good and the old one is not", PATIENCE, || {
        publish(&before[0], "second-secret")?;
        ensure!(publish(&before[0], "first-secret").is_err(), "the old password is still good");
        Ok(())
    })?;
    assert_eq!(fleet.pods(1)?, before, "the same pod, not restarted");
    let kinds = "isthmus,configmaps,deployments,pods,events,services";
    let everything = fleet.namespace.kubectl().run(&["get", kinds, "-o", "yaml"])?;
    for secret in ["first-secret", "second-secret", "Zmlyc3Qtc2VjcmV0"] {
        assert!(!everything.contains(secret), "{secret} is in:\n{everything}");
    }
    Ok(())
}

/// The way to a Kafka that asks for a user: the Secret `kafka-user`, and Connector, Sink and Rule `closed`.
fn closed_kafka(topic: &str) -> Result<(String, Vec<Resource>)> {
    let user = json!({"username": PLAIN.0, "password": PLAIN.1});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "kafka-user"}, "stringData": user});
    let connector = manifest::connector()
        .named("closed")
        .with("kafka.bootstrapServers", json!([Secure::shared()?.sasl()]))
        .with("kafka.authentication.plain", json!({"secretRef": {"name": "kafka-user"}}));
    let sink = sink("closed", topic).with("connectorRef.name", "closed").with("value", "${.payload}");
    let rule = rule("closed", r#"SELECT * FROM "safe/#""#).to_sink("closed");
    Ok((secret.to_string(), vec![connector, sink, rule]))
}

#[test]
fn new_sink_with_a_new_secret_loses_nothing_while_pods_are_replaced() -> Result<()> {
    let kafka = &Secure::shared()?.kafka;
    let topic = kafka.topic("safe")?;
    let fleet = Fleet::ready("new-secret", 1)?;
    let old = fleet.pods(1)?.remove(0);
    let mut device = Client::connect(old.mqtt(), V5, "device")?;
    let (secret, resources) = closed_kafka(&topic)?;
    fleet.namespace.kubectl().apply(&secret)?;
    fleet.namespace.apply(&resources)?;
    let mut acknowledged = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    // Until the old pod sends its devices away. 0x10 is no promise: no rule took it.
    for number in 0.. {
        ensure!(Instant::now() < deadline, "the old pod is not replaced");
        match device.publish_and_wait("safe/1", format!("{number}").as_bytes()) {
            Ok(0) => acknowledged.push(number.to_string()),
            Ok(0x10) => {}
            Ok(code) => anyhow::bail!("PUBACK with {code:#x}"),
            Err(_) => break,
        }
    }
    fleet.wait_until_ready()?;
    for (plural, name) in [("connectors", "closed"), ("sinks", "closed"), ("rules", "closed")] {
        fleet.wait(plural, name, "Ready", "True")?;
    }
    let new = fleet.pods(1)?.remove(0);
    ensure!(new.uid != old.uid, "only another pod can mount the Secret");
    let mut device = Client::connect(new.mqtt(), V5, "device")?;
    for number in 0..20 {
        let text = format!("new-{number}");
        assert_eq!(device.publish_and_wait("safe/1", text.as_bytes())?, 0);
        acknowledged.push(text);
    }
    let records = kafka.read(&topic, acknowledged.len(), PATIENCE)?;
    let values: Vec<_> = records.into_iter().filter_map(|record| record.value).collect();
    assert_eq!(values, acknowledged, "what was acknowledged, and nothing else");
    let events = fleet.namespace.kubectl().run(&["get", "events", "-o", "yaml"])?;
    ensure!(!events.contains("PlanRejected"), "nothing was wrong:\n{events}");
    Ok(())
}

#[test]
fn deleting_the_last_sink_of_a_secret_leaves_pods_alone_until_something_else_changes() -> Result<()> {
    let topic = Secure::shared()?.kafka.topic("safe")?;
    let fleet = Fleet::new("last-sink")?;
    let (secret, more) = closed_kafka(&topic)?;
    let kubectl = fleet.namespace.kubectl();
    kubectl.apply(&secret)?;
    let mut resources = fleet.resources(1);
    resources.extend(more);
    fleet.namespace.apply(&resources)?;
    fleet.wait_until_ready()?;
    fleet.wait("sinks", "closed", "Ready", "True")?;
    let pods = fleet.pods(1)?;
    let template = |fleet: &Fleet<'_>| -> Result<(Value, String)> {
        let deployment = fleet.namespace.other("apps/v1", "deployments/fleet")?;
        Ok((deployment["metadata"]["generation"].clone(), deployment["spec"]["template"].to_string()))
    };
    let before = template(&fleet)?;
    ensure!(before.1.contains("kafka-user"), "{}", before.1);

    kubectl.run(&["delete", "rule/closed", "sink/closed", "--timeout=60s"])?;
    fleet.wait_for_reason("connectors", "closed", "Connected", "Unknown", "Unused")?;
    kubectl.run(&["delete", "connector/closed", "secret/kafka-user", "--timeout=60s"])?;
    eventually("the pods run a plan without it", PATIENCE, || {
        let wanted = fleet.namespace.object("bridges", "fleet")?["status"]["revision"].clone();
        let plan = fleet.namespace.other("v1", "configmaps/fleet-plan")?["data"]["plan.json"].to_string();
        ensure!(!plan.contains("kafka-user") && plan.contains(wanted.as_str().unwrap_or_default()), "{plan}");
        Ok(())
    })?;
    fleet.wait("bridges", "fleet", "Programmed", "True")?;
    // A second change of the plan is seen to be in force, so what the first one led to is over.
    fleet.namespace.apply(&[crate::fleet::stamp(2)])?;
    fleet.wait_until_ready()?;
    assert_eq!(template(&fleet)?, before, "nothing to restart a pod for");
    assert_eq!(fleet.pods(1)?, pods);

    fleet.namespace.apply(&[manifest::bridge().with("replicas", 1).with("podLabels", json!({"team": "plant"}))])?;
    eventually("the Secret is not mounted any more", PATIENCE, || {
        let (_, template) = template(&fleet)?;
        ensure!(template.contains("plant") && !template.contains("kafka-user"), "{template}");
        Ok(())
    })?;
    fleet.wait_until_ready()
}
