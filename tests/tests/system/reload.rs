//! Editing the manifests of a running local mode.

use std::time::Duration;

use anyhow::anyhow;
use isthmus_tests::Result;
use isthmus_tests::condition::eventually;
use isthmus_tests::isthmus::Start;
use isthmus_tests::kafka::Kafka;
use isthmus_tests::load::Load;
use isthmus_tests::manifest::{self, rule, sink, source};
use isthmus_tests::mosquitto::Version::{V5, V311};
use isthmus_tests::mqtt::Client;
use serde_json::json;

const SOON: Duration = Duration::from_secs(20);

/// A rule that stamps each record with `version`.
fn stamped(topic: &str, version: u32) -> String {
    let sql = format!(
        r#"SELECT payload.device AS device, payload.message AS message, {version} AS version
           FROM "load/#""#
    );
    manifest::file(&[sink("load", topic), rule("stamp", &sql).to_sink("load")])
}

#[test]
fn editing_a_rule_under_load_drops_no_client_and_no_message() -> Result<()> {
    const DEVICES: u32 = 20;
    const MESSAGES: u32 = 300;
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("reload")?;
    let isthmus = Start::on(kafka).manifests(&stamped(&topic, 1))?;
    let load =
        Load { name: "reload", broker: isthmus.mqtt(), version: V5, devices: DEVICES, messages: MESSAGES, rate: 60 };
    let running = load.start();
    let reaches = |least: u64| {
        eventually("the load goes on", SOON, || match running.acknowledged() {
            count if count >= least => Ok(()),
            count => Err(anyhow!("{count} of {least}")),
        })
    };
    for version in 2..=4 {
        reaches(u64::from(version - 1) * 1_000)?;
        isthmus.reload(&stamped(&topic, version))?;
    }
    let outcome = running.finish()?;
    assert_eq!((outcome.reconnects, outcome.refused), (0, 0), "nobody noticed");

    let total = (DEVICES * MESSAGES) as usize;
    let records = kafka.read(&topic, total, SOON)?;
    let mut last = [(0, -1); DEVICES as usize];
    for record in &records {
        let json = record.json()?;
        let device = json["device"].as_str().and_then(|name| name.rsplit('-').next()?.parse().ok());
        let device: usize = device.ok_or_else(|| anyhow!("{json}"))?;
        let version = json["version"].as_i64().unwrap_or(0);
        let message = json["message"].as_i64().unwrap_or(-1);
        let (last_version, last_message) = last[device];
        assert!(version >= last_version, "an old rule after a new one: {json}");
        assert_eq!(message, last_message + 1, "the order of {device}");
        last[device] = (version, message);
    }
    assert!(last.iter().all(|(_, message)| *message == i64::from(MESSAGES) - 1));
    assert!(last.iter().any(|(version, _)| *version == 4), "the newest rule was in force");
    Ok(())
}

#[test]
fn broken_edit_is_reported_and_the_old_rules_go_on() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("reload")?;
    let good = stamped(&topic, 1);
    let isthmus = Start::on(kafka).manifests(&good)?;
    let revision = isthmus.revision()?;
    let mut device = Client::connect(isthmus.mqtt(), V311, "device")?;
    device.publish_and_wait("load/1", br#"{"message":1}"#)?;

    isthmus.edit(good.replace("payload.device AS device", "payload.device AAS device"))?;
    let path = isthmus.file().display().to_string();
    isthmus.process().line("what is wrong with the edit", SOON, |line| line.contains(&path).then_some(()))?;
    assert_eq!(isthmus.revision()?, revision);
    device.publish_and_wait("load/1", br#"{"message":2}"#)?;
    assert_eq!(kafka.read(&topic, 2, SOON)?[1].json()?["message"], 2);

    isthmus.reload(&stamped(&topic, 2))?;
    device.publish_and_wait("load/1", br#"{"message":3}"#)?;
    assert_eq!(kafka.read(&topic, 3, SOON)?[2].json()?["version"], 2);
    Ok(())
}

#[test]
fn edited_sink_topic_takes_the_next_records_and_loses_none() -> Result<()> {
    let kafka = Kafka::shared()?;
    let (old, new) = (kafka.topic("old")?, kafka.topic("new")?);
    let isthmus = Start::on(kafka).manifests(&stamped(&old, 1))?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    for _ in 0..50 {
        assert_eq!(device.publish_and_wait("load/1", br#"{"message":1}"#)?, 0);
    }
    isthmus.reload(&stamped(&new, 1))?;
    for _ in 0..50 {
        assert_eq!(device.publish_and_wait("load/1", br#"{"message":2}"#)?, 0);
    }
    for record in kafka.read(&new, 50, SOON)? {
        assert_eq!(record.json()?["message"], 2);
    }
    assert_eq!(kafka.read(&old, 50, SOON)?.len(), 50);
    Ok(())
}

#[test]
fn removed_rule_stops_and_its_clients_stay() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("removed")?;
    let isthmus = Start::on(kafka).manifests(&stamped(&topic, 1))?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    assert_eq!(device.publish_and_wait("load/1", br#"{"message":1}"#)?, 0);
    isthmus.wait_for("sinks", "load", "success", 1)?;
    isthmus.reload(&manifest::file(&[sink("load", &topic)]))?;
    assert_eq!(device.publish_and_wait("load/1", br#"{"message":2}"#)?, 0x10, "nobody listens");
    assert_eq!(isthmus.figure("sinks", "load", "success")?, 1, "the Sink was not touched");
    Ok(())
}

#[test]
fn edited_source_publishes_elsewhere_and_counts_on() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("commands")?;
    let group = Kafka::unused_name("commands");
    let to = |mqtt_topic: &str| {
        let mapping = json!({"kafkaTopic": topic, "mqttTopic": mqtt_topic, "qos": 1, "payloadTemplate": "${.value}"});
        let commands = source("commands").with("groupId", group.as_str()).with("offsetReset", "Earliest");
        manifest::file(&[commands.and("topicMapping", mapping)])
    };
    let isthmus = Start::on(kafka).manifests(&to("old/${.key}"))?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    device.subscribe("old/+")?;
    device.subscribe("new/+")?;
    kafka.write(&topic, "car-7", "one", &[])?;
    let one = device.message()?;
    assert_eq!((one.topic.as_str(), &one.payload[..]), ("old/car-7", &b"one"[..]));
    isthmus.wait_for("sources", "commands", "delivered", 1)?;

    isthmus.reload(&to("new/${.key}"))?;
    assert_eq!(isthmus.figure("sources", "commands", "received")?, 1, "the count goes on");
    kafka.write(&topic, "car-7", "two", &[])?;
    let two = device.message()?;
    assert_eq!((two.topic.as_str(), &two.payload[..]), ("new/car-7", &b"two"[..]), "and no record twice");
    isthmus.wait_for("sources", "commands", "delivered", 2)?;
    assert_eq!(isthmus.figure("sources", "commands", "received")?, 2);
    device.ping()?;
    Ok(())
}

#[test]
fn removed_sink_delivers_what_it_holds_and_works_when_it_is_back() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("removed")?;
    let with_sink = |linger: &str| {
        let sink = sink("load", &topic).with("value", "${.payload}").with("linger", linger);
        manifest::file(&[sink, rule("load", r#"SELECT * FROM "load/#""#).to_sink("load")])
    };
    // The records wait for company longer than the test has patience: only the removal makes them go.
    let isthmus = Start::on(kafka).manifests(&with_sink("1m"))?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    for number in 0..50 {
        assert_eq!(device.publish_and_wait("load/1", number.to_string().as_bytes())?, 0);
    }
    isthmus.reload(&manifest::file(&[]))?;
    assert_eq!(isthmus.status()?["sinks"], json!([]));
    assert_eq!(device.publish_and_wait("load/1", b"nobody listens")?, 0x10);
    assert_eq!(kafka.read(&topic, 50, SOON)?.len(), 50);

    isthmus.reload(&with_sink("5ms"))?;
    assert_eq!(device.publish_and_wait("load/1", b"50")?, 0);
    let values: Vec<_> = kafka.read(&topic, 51, SOON)?.into_iter().filter_map(|record| record.value).collect();
    let expected: Vec<_> = (0..=50).map(|number| number.to_string()).collect();
    assert_eq!(values, expected);
    Ok(())
}

#[test]
fn sink_that_is_back_before_kafka_loses_nothing_of_its_former_life() -> Result<()> {
    let mut kafka = Kafka::private()?;
    let topic = kafka.topic("removed")?;
    let manifests = stamped(&topic, 1);
    let isthmus = Start::on(&kafka).manifests(&manifests)?;
    isthmus.wait_for_state("sinks", "load", "Connected")?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    kafka.broker()?.freeze()?;
    let mut publish_fifty = || -> Result<()> {
        for _ in 0..50 {
            assert_eq!(device.publish_and_wait("load/1", b"{}")?, 0);
        }
        Ok(())
    };
    publish_fifty()?;
    isthmus.reload(&manifest::file(&[]))?;
    isthmus.reload(&manifests)?;
    publish_fifty()?;
    kafka.broker()?.thaw()?;
    assert_eq!(kafka.read(&topic, 100, 2 * SOON)?.len(), 100);
    Ok(())
}
