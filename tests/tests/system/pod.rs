//! `isthmus run`: the plan that a pod is given, and its replacement.

use std::time::Duration;

use anyhow::anyhow;
use isthmus_tests::Result;
use isthmus_tests::condition::eventually;
use isthmus_tests::isthmus::{self, Isthmus};
use isthmus_tests::kafka::Kafka;
use isthmus_tests::manifest::{self, rule, sink};
use isthmus_tests::mosquitto::Version::V5;
use isthmus_tests::mqtt::Client;
use isthmus_tests::port;
use serde_json::json;

const SOON: Duration = Duration::from_secs(20);

/// A plan whose rule stamps each record with `version`.
fn plan(bootstrap: &str, port: u16, topic: &str, version: u32) -> Result<String> {
    let sql = format!(r#"SELECT payload, {version} AS version FROM "load/#""#);
    isthmus::render(&manifest::documents(&[
        manifest::bridge().with("listeners", json!([{"name": "mqtt", "port": port}])),
        manifest::connector().with("kafka.bootstrapServers", json!([bootstrap])),
        sink("load", topic),
        rule("stamp", &sql).to_sink("load"),
    ]))
}

#[test]
fn pod_runs_its_plan_and_takes_on_the_next_one() -> Result<()> {
    let kafka = Kafka::shared()?;
    let (topic, port) = (kafka.topic("pod")?, port::free()?);
    let isthmus = Isthmus::pod(&plan(kafka.bootstrap(), port, &topic, 1)?)?;
    assert_eq!(isthmus.mqtt().port(), port);
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    assert_eq!(device.publish_and_wait("load/1", b"one")?, 0);
    isthmus.reload(&plan(kafka.bootstrap(), port, &topic, 2)?)?;
    assert_eq!(device.publish_and_wait("load/1", b"two")?, 0, "the client stays");
    let records = kafka.read(&topic, 2, SOON)?;
    assert_eq!(records[0].json()?, json!({"payload": "one", "version": 1}));
    assert_eq!(records[1].json()?, json!({"payload": "two", "version": 2}));
    isthmus.stop()?;
    Ok(())
}

#[test]
fn pod_refuses_a_broken_plan_and_goes_on_with_the_old_one() -> Result<()> {
    let kafka = Kafka::shared()?;
    let (topic, port) = (kafka.topic("pod")?, port::free()?);
    let good = plan(kafka.bootstrap(), port, &topic, 1)?;
    let isthmus = Isthmus::pod(&good)?;
    let revision = isthmus.revision()?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    isthmus.edit(&good[..good.len() / 2])?;
    eventually("the status says that a plan was refused", SOON, || {
        let status = isthmus.status()?;
        if status["rejected"]["message"].is_string() { Ok(()) } else { Err(anyhow!("{status}")) }
    })?;
    assert_eq!(isthmus.revision()?, revision);
    assert_eq!(device.publish_and_wait("load/1", b"one")?, 0);
    assert_eq!(kafka.read(&topic, 1, SOON)?[0].json()?["version"], 1);
    Ok(())
}

#[test]
fn pod_takes_a_compressed_plan_too() -> Result<()> {
    let kafka = Kafka::shared()?;
    let (topic, port) = (kafka.topic("pod")?, port::free()?);
    let isthmus = Isthmus::pod(gzip(&plan(kafka.bootstrap(), port, &topic, 1)?)?)?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    assert_eq!(device.publish_and_wait("load/1", b"one")?, 0);
    let revision = isthmus.revision()?;
    let compressed = gzip(&plan(kafka.bootstrap(), port, &topic, 2)?)?;
    isthmus.edit(&compressed[..compressed.len() / 2])?;
    assert!(isthmus.wait_for_rejection()?.contains("damaged gzip"));
    assert_eq!(isthmus.revision()?, revision);
    isthmus.edit(&compressed)?;
    eventually("the second plan is in force", SOON, || {
        if isthmus.revision()? == revision { Err(anyhow!("revision {revision}")) } else { Ok(()) }
    })?;
    assert_eq!(device.publish_and_wait("load/1", b"two")?, 0);
    assert_eq!(kafka.read(&topic, 2, SOON)?[1].json()?["version"], 2);
    Ok(())
}

fn gzip(text: &str) -> Result<Vec<u8>> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), text)?;
    let output = std::process::Command::new("gzip").arg("--stdout").arg(file.path()).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

#[test]
fn same_manifests_give_the_same_plan() -> Result<()> {
    assert_eq!(plan("kafka:9092", 1883, "topic", 1)?, plan("kafka:9092", 1883, "topic", 1)?);
    assert_ne!(plan("kafka:9092", 1883, "topic", 1)?, plan("kafka:9092", 1883, "topic", 2)?);
    Ok(())
}
