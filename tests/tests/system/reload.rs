//! Editing the manifests of a running local mode.

use std::time::Duration;

use anyhow::anyhow;
use isthmus_tests::Result;
use isthmus_tests::condition::eventually;
use isthmus_tests::isthmus::Start;
use isthmus_tests::kafka::Kafka;
use isthmus_tests::load::{self, Load};
use isthmus_tests::manifest::{self, rule, sink};
use isthmus_tests::mosquitto::Version::{V5, V311};
use isthmus_tests::mqtt::Client;

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
    assert_eq!(outcome, load::Outcome { reconnects: 0, refused: 0 }, "nobody noticed");

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

    isthmus.edit(&good.replace("payload.device AS device", "payload.device AAS device"))?;
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
