//! Kafka stops, freezes, crashes or is not there: nothing acknowledged is lost, and it says so.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::anyhow;
use isthmus_tests::Result;
use isthmus_tests::condition::{eventually, throughout};
use isthmus_tests::isthmus::{Isthmus, Start};
use isthmus_tests::kafka::Kafka;
use isthmus_tests::load::{self, Load};
use isthmus_tests::manifest::{self, Resource, rule, sink};
use isthmus_tests::mosquitto::{self, Version};
use isthmus_tests::mqtt::{Client, Packet};

const SOON: Duration = Duration::from_secs(20);

/// Everything a device publishes under `load/`, as it is, with the PUBACK after Kafka's answer.
fn synchronous(topic: &str, timeout: &str) -> Vec<Resource> {
    vec![
        sink("load", topic).with("value", "${.payload}").with("requestMode", "Sync").with("syncTimeout", timeout),
        rule("load", r#"SELECT * FROM "load/#""#).to_sink("load"),
    ]
}

fn puback_waits_for_kafka(version: Version) -> Result<()> {
    let mut kafka = Kafka::private()?;
    let topic = kafka.topic("sync")?;
    let isthmus = Start::on(&kafka).manifests(&manifest::file(&synchronous(&topic, "60s")))?;
    let mut device = Client::connect(isthmus.mqtt(), version, "device")?;
    assert_eq!(device.publish_and_wait("load/1", b"before")?, 0);

    kafka.broker()?.freeze()?;
    let id = device.publish("load/1", b"during")?;
    let early = device.receive_within(Duration::from_secs(2))?;
    assert_eq!(early, None, "Kafka is frozen");
    kafka.broker()?.thaw()?;
    assert_eq!(device.receive()?, Packet::PubAck { id, reason: 0 });
    let values: Vec<_> = kafka.read(&topic, 2, SOON)?.into_iter().map(|r| r.value).collect();
    assert_eq!(values, [Some("before".to_owned()), Some("during".to_owned())]);
    Ok(())
}

#[test]
fn sync_puback_3_1_1_comes_only_after_kafka_acknowledged() -> Result<()> {
    puback_waits_for_kafka(Version::V311)
}

#[test]
fn sync_puback_5_0_comes_only_after_kafka_acknowledged() -> Result<()> {
    puback_waits_for_kafka(Version::V5)
}

#[test]
fn sync_timeout_is_a_reason_code_in_5_0_and_the_end_of_the_connection_in_3_1_1() -> Result<()> {
    let mut kafka = Kafka::private()?;
    let topic = kafka.topic("sync")?;
    let isthmus = Start::on(&kafka).manifests(&manifest::file(&synchronous(&topic, "1s")))?;
    let mut new = Client::connect(isthmus.mqtt(), Version::V5, "new")?;
    let mut old = Client::connect(isthmus.mqtt(), Version::V311, "old")?;
    // A broker that has just started needs a moment before it lets an idempotent producer in.
    eventually("Kafka takes records in time", SOON, || match new.publish_and_wait("load/new", b"before")? {
        0 => Ok(()),
        reason => Err(anyhow!("reason code {reason}")),
    })?;
    assert_eq!(old.publish_and_wait("load/old", b"before")?, 0);

    kafka.broker()?.freeze()?;
    assert!(new.publish_and_wait("load/new", b"during")? >= 0x80, "a failure reason code");
    new.ping()?;
    old.publish("load/old", b"during")?;
    assert_eq!(old.receive()?, Packet::Closed, "no PUBACK, so that the device sends again");
    kafka.broker()?.thaw()?;
    assert_eq!(new.publish_and_wait("load/new", b"after")?, 0);
    Ok(())
}

#[test]
fn every_acknowledged_message_survives_a_crash_of_kafka() -> Result<()> {
    const DEVICES: u32 = 25;
    const MESSAGES: u32 = 2_000;
    let total = u64::from(2 * DEVICES * MESSAGES);
    let mut kafka = Kafka::private()?;
    let topic = kafka.topic_with("crash", 4, &[])?;
    let isthmus = Start::on(&kafka).manifests(&manifest::file(&synchronous(&topic, "60s")))?;

    let load = |version| Load {
        broker: isthmus.mqtt(),
        version,
        devices: DEVICES,
        messages: MESSAGES,
        rate: 0,
        name: match version {
            Version::V311 => "old",
            Version::V5 => "new",
        },
    };
    let running = [load(Version::V311).start(), load(Version::V5).start()];
    let acknowledged = || running.iter().map(load::Running::acknowledged).sum::<u64>();
    eventually("a third is acknowledged", 6 * SOON, || match acknowledged() {
        count if count >= total / 3 => Ok(()),
        count => Err(anyhow!("{count}")),
    })?;
    kafka.broker()?.crash()?;
    assert!(acknowledged() < total * 9 / 10, "the crash came in the middle");
    kafka.broker()?.start_again()?;
    for running in running {
        running.finish()?;
    }

    let found: HashSet<String> = kafka.read_all(&topic)?.into_iter().filter_map(|record| record.value).collect();
    let mut lost = Vec::new();
    for name in ["old", "new"] {
        for device in 0..DEVICES {
            for message in 0..MESSAGES {
                let payload = load::payload(name, device, message);
                if !found.contains(&payload) {
                    lost.push(payload);
                }
            }
        }
    }
    assert!(lost.is_empty(), "{} acknowledged messages are lost: {:?}", lost.len(), &lost[..lost.len().min(5)]);
    assert_eq!(found.len() as u64, total, "nothing else is there");
    sums_up(&isthmus, "load")?;
    isthmus.stop()?;
    Ok(())
}

/// Row X6: at every instant matched = success + failed + dropped + queuing + inflight.
pub(crate) fn sums_up(isthmus: &Isthmus, name: &str) -> Result<u64> {
    let sink = isthmus.link("sinks", name)?;
    let figure = |field: &str| sink[field].as_u64().ok_or_else(|| anyhow!("no {field}: {sink}"));
    let sum = figure("success")? + figure("failed")? + figure("dropped")? + figure("queuing")? + figure("inflight")?;
    assert_eq!(figure("matched")?, sum, "{sink}");
    Ok(sum)
}

#[test]
fn sink_figures_add_up_in_the_middle_of_a_storm() -> Result<()> {
    let mut kafka = Kafka::private()?;
    let topic = kafka.topic("storm")?;
    let mut resources = synchronous(&topic, "60s");
    resources[0] = sink("load", &topic).with("value", "${.payload}").with("linger", "1ms");
    let isthmus = Start::on(&kafka).manifests(&manifest::file(&resources))?;
    let load =
        Load { broker: isthmus.mqtt(), version: Version::V5, devices: 8, messages: 2_000, rate: 500, name: "storm" };
    let running = load.start();
    let storm = |seconds: u64| {
        throughout("the figures add up", Duration::from_secs(seconds), || sums_up(&isthmus, "load").map(|_| true))
    };
    storm(1)?;
    kafka.broker()?.freeze()?;
    storm(1)?;
    kafka.broker()?.thaw()?;
    running.finish()?;
    assert_eq!(isthmus.wait_for("sinks", "load", "success", 16_000)?, 16_000);
    assert_eq!(sums_up(&isthmus, "load")?, 16_000);
    let metric = isthmus.metric(r#"isthmus_sink_success_total{sink="load"}"#)?;
    assert!((metric - 16_000.0).abs() < 0.5, "/metrics agrees with /v1/status: {metric}");
    Ok(())
}

#[test]
fn absent_kafka_is_reported_and_its_records_wait() -> Result<()> {
    let mut kafka = Kafka::private()?;
    let topic = kafka.topic("late")?;
    kafka.broker()?.crash()?;
    let isthmus = Start::on(&kafka).manifests(&manifest::file(&[
        sink("late", &topic).with("value", "${.payload}"),
        sink("made", &format!("{topic}-made")).with("value", "${.payload}"),
        rule("late", r#"SELECT * FROM "load/#""#).to_sink("late").to_sink("made"),
    ]))?;
    let link = isthmus.link("sinks", "late")?;
    assert_eq!(link["state"], "Connecting", "{link}");
    let mut device = Client::connect(isthmus.mqtt(), Version::V311, "device")?;
    for number in 0..100 {
        device.publish_and_wait("load/1", format!("{number}").as_bytes())?;
    }
    let link = isthmus.link("sinks", "late")?;
    let message = link["message"].as_str().unwrap_or_default();
    assert!(message.contains(kafka.bootstrap()), "the message says which Kafka: {link}");
    assert_eq!(isthmus.figure("sinks", "late", "success")?, 0);

    kafka.broker()?.start_again()?;
    let values: Vec<_> = kafka.read(&topic, 100, SOON)?.into_iter().map(|r| r.value).collect();
    let expected: Vec<_> = (0..100).map(|number| Some(number.to_string())).collect();
    assert_eq!(values, expected, "all of them, in order");
    isthmus.wait_for_state("sinks", "late", "Connected")?;
    isthmus.wait_for("sinks", "made", "success", 100)?;
    Ok(())
}

#[test]
fn buffered_records_survive_a_crash_of_kafka() -> Result<()> {
    let mut kafka = Kafka::private()?;
    let topic = kafka.topic("async")?;
    let isthmus = Start::on(&kafka).manifests(&manifest::file(&[
        sink("async", &topic).with("value", "${.payload}"),
        rule("async", r#"SELECT * FROM "load/#""#).to_sink("async"),
    ]))?;
    mosquitto::publish(isthmus.mqtt(), Version::V5, "load/1", "before", &[])?;
    isthmus.wait_for("sinks", "async", "success", 1)?;
    kafka.broker()?.crash()?;
    isthmus.wait_for_state("sinks", "async", "Connecting")?;
    let mut device = Client::connect(isthmus.mqtt(), Version::V5, "device")?;
    for number in 0..1000 {
        assert_eq!(device.publish_and_wait("load/1", format!("{number}").as_bytes())?, 0);
    }
    kafka.broker()?.start_again()?;
    isthmus.wait_for("sinks", "async", "success", 1001)?;
    let values: Vec<_> = kafka.read_all(&topic)?.into_iter().filter_map(|r| r.value).collect();
    let expected: Vec<_> = ["before".to_owned()].into_iter().chain((0..1000).map(|n| n.to_string())).collect();
    assert_eq!(values, expected, "each once, in order");
    Ok(())
}
