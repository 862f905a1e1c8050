//! The quick start: one `kubectl apply`, five objects that turn Ready, a live path both ways.

use std::fs;

use anyhow::Context as _;
use isthmus_tests::kafka::Kafka;
use isthmus_tests::mosquitto::{self, Subscriber, Version::V5};
use isthmus_tests::{Result, environment};

use crate::fleet::Fleet;
use crate::shared::PATIENCE;

#[test]
fn quick_start_becomes_ready_and_carries_messages_both_ways() -> Result<()> {
    let fleet = Fleet::new("quick-start")?;
    let kafka = Kafka::shared()?;
    kafka.create_topic("vehicles", 3, &[])?;
    kafka.create_topic("commands", 1, &[])?;
    let text = fs::read_to_string(environment::checkout("examples/quickstart.yaml"))?;
    assert!(text.contains("- kafka:9092"), "the quick start names another Kafka");
    let kubectl = fleet.namespace.kubectl();
    kubectl.apply(&text.replace("- kafka:9092", &format!("- {}", kafka.bootstrap())))?;
    let all = ["bridge/fleet", "connector/kafka", "sink/vehicles", "source/commands", "rule/speeding"];
    for object in all {
        kubectl.run(&["wait", "--for=condition=Ready", "--timeout=120s", object]).with_context(|| {
            kubectl.run(&["get", "isthmus", "-o", "yaml"]).unwrap_or_else(|error| format!("{error:#}"))
        })?;
    }
    let pods = fleet.pods(1)?;
    let pod = pods.first().context("no pod")?;

    let fast = r#"{"speed":130,"position":[8.5,47.4]}"#;
    mosquitto::publish(pod.mqtt(), V5, "vehicles/7/telemetry", fast, &["-i", "car-7"])?;
    let records = kafka.read("vehicles", 1, PATIENCE)?;
    assert_eq!(records[0].key.as_deref(), Some("car-7"));
    assert_eq!(records[0].json()?["speed"], 130);

    let subscriber = Subscriber::start(pod.mqtt(), V5, "cmd/car-7", &["-i", "car-7"])?;
    kafka.write("commands", "car-7", "slow down", &[])?;
    assert_eq!(subscriber.payload("cmd/car-7", PATIENCE)?, "slow down");

    let listed = kubectl.run(&["get", "isthmus"])?;
    assert_eq!(listed.lines().filter(|line| line.contains("True")).count(), all.len(), "{listed}");
    Ok(())
}
