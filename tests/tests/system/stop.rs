//! The process ends, in order or not: what it acknowledged is in Kafka, and what is left is said.

use std::collections::HashSet;
use std::time::Duration;

use isthmus_tests::Result;
use isthmus_tests::isthmus::Start;
use isthmus_tests::kafka::Kafka;
use isthmus_tests::manifest::{self, Resource, rule, sink};
use isthmus_tests::mosquitto::Version::{self, V5, V311};
use isthmus_tests::mqtt::{Client, Packet};

const SOON: Duration = Duration::from_secs(20);

fn raw_to(topic: &str) -> [Resource; 2] {
    [sink("load", topic).with("value", "${.payload}"), rule("load", r#"SELECT * FROM "load/#""#).to_sink("load")]
}

#[test]
fn sigterm_delivers_what_is_in_the_buffer() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("stop")?;
    let [sink, rule] = raw_to(&topic);
    // The records wait for company longer than the test has patience.
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[sink.with("linger", "1m"), rule]))?;
    let mut device = Client::connect(isthmus.mqtt(), V311, "device")?;
    for number in 0..500 {
        device.publish_and_wait("load/1", number.to_string().as_bytes())?;
    }
    isthmus.stop()?;
    assert_eq!(kafka.read_all(&topic)?.len(), 500);
    Ok(())
}

#[test]
fn sigterm_without_kafka_ends_in_time_and_says_what_is_left() -> Result<()> {
    let mut kafka = Kafka::private()?;
    let topic = kafka.topic("stop")?;
    let bridge = manifest::bridge().with("drain.gracePeriod", "1s");
    let manifests = manifest::documents(&[&[bridge, manifest::connector()], &raw_to(&topic)[..]].concat());
    let isthmus = Start::on(&kafka).manifests(&manifests)?;
    isthmus.wait_for_state("sinks", "load", "Connected")?;
    kafka.broker()?.freeze()?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    for number in 0..7 {
        assert_eq!(device.publish_and_wait("load/1", number.to_string().as_bytes())?, 0);
    }
    let output = isthmus.stop()?;
    let says_so = |line: &&str| line.contains("load") && line.contains('7');
    assert!(output.lines().rev().take(10).any(|line| says_so(&line)), "{output}");
    Ok(())
}

/// A device that publishes until the broker is gone, and what it got acknowledged.
fn publish_until_the_end(mut device: Client, name: &str) -> Result<Vec<String>> {
    let mut acknowledged = Vec::new();
    let mut sent = Vec::new();
    for number in 0_usize.. {
        let payload = format!("{name}-{number}");
        if device.publish("load/1", payload.as_bytes()).is_err() {
            break;
        }
        sent.push(payload);
        if sent.len() < acknowledged.len() + 32 {
            continue;
        }
        match device.receive() {
            Ok(Packet::PubAck { reason: 0, .. }) => {
                acknowledged.push(sent[acknowledged.len()].clone());
            }
            Ok(Packet::Closed | Packet::Disconnect(_)) | Err(_) => break,
            Ok(other) => anyhow::bail!("{other:?}"),
        }
    }
    Ok(acknowledged)
}

fn crash_loses_nothing_acknowledged(version: Version) -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("crash")?;
    let [sink, rule] = raw_to(&topic);
    let sink = sink.with("requestMode", "Sync").with("syncTimeout", "60s");
    let mut isthmus = Start::on(kafka).manifests(&manifest::file(&[sink, rule]))?;
    let devices: Vec<_> = ["a", "b", "c", "d"]
        .into_iter()
        .map(|name| {
            let device = Client::connect(isthmus.mqtt(), version, name)?;
            Ok(std::thread::spawn(move || publish_until_the_end(device, name)))
        })
        .collect::<Result<_>>()?;
    isthmus.wait_for("sinks", "load", "success", 2_000)?;
    isthmus.process_mut().kill()?;
    let found: HashSet<_> = kafka.read_all(&topic)?.into_iter().filter_map(|record| record.value).collect();
    let mut count = 0;
    for device in devices {
        for payload in device.join().map_err(|_| anyhow::anyhow!("a device panicked"))?? {
            assert!(found.contains(&payload), "{payload} was acknowledged and is lost");
            count += 1;
        }
    }
    assert!(count > 1_000, "only {count} were acknowledged");
    Ok(())
}

#[test]
fn crash_in_sync_mode_loses_nothing_acknowledged_to_3_1_1() -> Result<()> {
    crash_loses_nothing_acknowledged(V311)
}

#[test]
fn crash_in_sync_mode_loses_nothing_acknowledged_to_5_0() -> Result<()> {
    crash_loses_nothing_acknowledged(V5)
}

#[test]
fn new_process_takes_the_place_of_a_crashed_one() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("again")?;
    let manifests = manifest::file(&raw_to(&topic));
    let mut crashed = Start::on(kafka).manifests(&manifests)?;
    let address = crashed.mqtt();
    let mut device = Client::connect(address, V5, "device")?;
    assert_eq!(device.publish_and_wait("load/1", b"one")?, 0);
    crashed.wait_for("sinks", "load", "success", 1)?;
    crashed.process_mut().kill()?;
    let isthmus = Start::on(kafka).mqtt(&address.to_string()).manifests(&manifests)?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    assert_eq!(device.publish_and_wait("load/1", b"two")?, 0);
    assert_eq!(kafka.read(&topic, 2, SOON)?[1].value.as_deref(), Some("two"));
    Ok(())
}
