//! Messages that cannot become records: counted, said, and the next ones flow.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context as _, bail};
use isthmus_tests::Result;
use isthmus_tests::isthmus::Start;
use isthmus_tests::kafka::Kafka;
use isthmus_tests::manifest::{self, rule, sink};
use isthmus_tests::mosquitto::Version::{V5, V311};
use isthmus_tests::mqtt::{Client, Packet};
use serde_json::json;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn payload_that_is_not_json_is_counted_and_the_next_one_flows() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("json")?;
    let speed = r#"SELECT payload.speed AS speed FROM "vehicles/#""#;
    let isthmus = Start::on(kafka)
        .manifests(&manifest::file(&[sink("vehicles", &topic), rule("speed", speed).to_sink("vehicles")]))?;
    let mut device = Client::connect(isthmus.mqtt(), V311, "car-7")?;
    for payload in [&b"{\"speed\":"[..], b"", b"\xFF\xFE", b"not json", br#"{"speed":7}"#] {
        device.publish_and_wait("vehicles/7", payload)?;
    }
    assert_eq!(kafka.read(&topic, 1, SOON)?[0].json()?, json!({"speed": 7}));
    assert_eq!(isthmus.wait_for("rules", "speed", "failedException", 4)?, 4);
    assert_eq!(isthmus.figure("rules", "speed", "passed")?, 1);
    assert_eq!(kafka.read_all(&topic)?.len(), 1);
    for _ in 0..500 {
        device.publish_and_wait("vehicles/7", b"not json")?;
    }
    let log = isthmus.stop()?;
    let said: Vec<&str> = log.lines().filter(|line| line.contains("rule failed")).collect();
    assert!((1..=5).contains(&said.len()), "now and then: {said:?}");
    Ok(())
}

#[test]
fn record_too_large_for_the_broker_fails_and_the_next_one_flows() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic_with("small", 1, &["max.message.bytes=10000"])?;
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        sink("small", &topic).with("value", "${.payload}").with("requestMode", "Sync"),
        rule("small", r#"SELECT * FROM "load/#""#).to_sink("small"),
    ]))?;
    let large = vec![b'x'; 50_000];
    let mut new = Client::connect(isthmus.mqtt(), V5, "new")?;
    assert!(new.publish_and_wait("load/new", &large)? >= 0x80, "5.0 hears of it");
    assert_eq!(new.publish_and_wait("load/new", b"fits")?, 0);
    let mut old = Client::connect(isthmus.mqtt(), V311, "old")?;
    old.publish_and_wait("load/old", &large)?;
    old.publish_and_wait("load/old", b"fits")?;

    let values: Vec<_> = kafka.read(&topic, 2, SOON)?.into_iter().map(|r| r.value).collect();
    assert_eq!(values, [Some("fits".to_owned()), Some("fits".to_owned())]);
    assert_eq!(isthmus.wait_for("sinks", "small", "failed", 2)?, 2);
    assert_eq!(isthmus.figure("sinks", "small", "success")?, 2);
    Ok(())
}

#[test]
fn topic_that_a_message_chooses_and_that_does_not_exist_fails_its_record_and_no_others() -> Result<()> {
    let kafka = Kafka::shared()?;
    let there = kafka.topic("there")?;
    // A topic that depends on the message is not created beforehand, and this broker creates none.
    // The verdict comes from Kafka, not from the end of the patience with it.
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        sink("by-name", "${.kafka}").with("value", "${.text}").with("requestMode", "Sync").with("syncTimeout", "5m"),
        rule("by-name", r#"SELECT payload.kafka AS kafka, payload.text AS text FROM "by-name""#).to_sink("by-name"),
    ]))?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    let to = |topic: &str| json!({"kafka": topic, "text": "hello"}).to_string();
    let missing = Kafka::unused_name("missing");
    assert_eq!(device.publish_and_wait("by-name", to(&missing).as_bytes())?, 0x80);
    assert_eq!(device.publish_and_wait("by-name", to(&there).as_bytes())?, 0);
    assert!(device.publish_and_wait("by-name", to("no such name!").as_bytes())? >= 0x80);
    assert!(device.publish_and_wait("by-name", br#"{"text":"no topic"}"#)? >= 0x80);
    assert_eq!(isthmus.figure("sinks", "by-name", "failed")?, 3);

    // A device that cannot be told would only send it again.
    let mut old = Client::connect(isthmus.mqtt(), V311, "old")?;
    old.publish_and_wait("by-name", to(&missing).as_bytes())?;
    old.publish_and_wait("by-name", to(&there).as_bytes())?;
    assert_eq!(isthmus.figure("sinks", "by-name", "failed")?, 4);
    for record in kafka.read(&there, 2, SOON)? {
        assert_eq!(record.value.as_deref(), Some("hello"));
    }
    assert_eq!(isthmus.figure("sinks", "by-name", "success")?, 2);
    Ok(())
}

#[test]
fn records_in_the_buffer_fail_when_the_topic_they_chose_does_not_exist() -> Result<()> {
    let kafka = Kafka::shared()?;
    let there = kafka.topic("there")?;
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        sink("by-name", "${.kafka}").with("value", "${.text}"),
        rule("by-name", r#"SELECT payload.kafka AS kafka, payload.text AS text FROM "by-name""#).to_sink("by-name"),
    ]))?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    for topic in [Kafka::unused_name("missing"), Kafka::unused_name("missing"), there.clone()] {
        for _ in 0..10 {
            let payload = json!({"kafka": topic, "text": "hello"}).to_string();
            assert_eq!(device.publish_and_wait("by-name", payload.as_bytes())?, 0, "it is in the buffer");
        }
    }
    assert_eq!(kafka.read(&there, 10, SOON)?.len(), 10);
    assert_eq!(isthmus.wait_for("sinks", "by-name", "failed", 20)?, 20);
    assert_eq!(isthmus.wait_for("sinks", "by-name", "success", 10)?, 10);
    assert_eq!(isthmus.figure("sinks", "by-name", "queuing")?, 0);
    Ok(())
}

/// Publications that wait for their acknowledgement at a time; below the broker's Receive Maximum.
const WINDOW: usize = 60;

/// Publishes what `payload` gives for each number. Says which ones were refused.
fn publish_all(device: &mut Client, count: usize, payload: impl Fn(usize) -> String) -> Result<Vec<usize>> {
    let (mut waiting, mut refused) = (VecDeque::new(), Vec::new());
    for number in 0..count + WINDOW {
        if number < count {
            waiting.push_back((device.publish("load/1", payload(number).as_bytes())?, number));
        }
        if number >= WINDOW && !waiting.is_empty() {
            let answer = device.receive()?;
            let Packet::PubAck { id, reason } = answer else { bail!("no PUBACK: {answer:?}") };
            let (expected, number) = waiting.pop_front().context("one for each")?;
            assert_eq!(id, expected);
            if reason >= 0x80 {
                refused.push(number);
            }
        }
    }
    Ok(refused)
}

/// The numbers that a topic holds, in its order.
fn numbers(kafka: &Kafka, topic: &str, count: usize) -> Result<Vec<usize>> {
    let records = kafka.read(topic, count, SOON)?;
    records.into_iter().map(|record| Ok(record.value.unwrap_or_default().parse()?)).collect()
}

/// The good ones of 3,000 messages with ten bad ones reach Kafka, each once. With `Sync` a 5.0 device hears which ten
/// did not; with `Async` batches are large.
fn ten_bad_ones_fail_alone(setting: &str, mode: &str, payload: impl Fn(usize, bool) -> String) -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic_with("ten-bad", 1, &[setting])?;
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        sink("good", &topic)
            .with("key", "${.key}")
            .with("value", "${.n}")
            .with("timestamp", "${.ts}")
            .with("linger", if mode == "Sync" { "50ms" } else { "0s" })
            .with("syncTimeout", "2m")
            .with("requestMode", mode),
        rule("good", r#"SELECT payload.key AS key, payload.n AS n, payload.ts AS ts FROM "load/#""#).to_sink("good"),
    ]))?;
    isthmus.wait_for_state("sinks", "good", "Connected")?;
    let is_bad = |number: &usize| number % 300 == 150;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    let refused = publish_all(&mut device, 3000, |number| payload(number, is_bad(&number)))?;
    if mode == "Sync" {
        assert_eq!(refused, (0..3000).filter(is_bad).collect::<Vec<_>>());
    } else {
        assert_eq!(refused, [0; 0]);
    }
    assert_eq!(isthmus.wait_for("sinks", "good", "success", 2990)?, 2990);
    assert_eq!(isthmus.wait_for("sinks", "good", "failed", 10)?, 10);
    let mut numbers = numbers(kafka, &topic, 2990)?;
    let behind = numbers.windows(2).filter(|pair| pair[0] > pair[1]).count();
    // A refused batch comes again behind those that were on their way with it, once or, halved, twice for a bad record.
    assert!(behind <= 20, "{behind} places out of order for 10 bad records");
    numbers.sort_unstable();
    assert_eq!(numbers, (0..3000).filter(|number| !is_bad(number)).collect::<Vec<_>>());
    let log = isthmus.stop()?;
    let warnings = log.lines().filter(|line| line.contains("Kafka refused a record")).count();
    assert!((1..=9).contains(&warnings), "{warnings} lines say so:\n{log}");
    Ok(())
}

fn from_the_future(number: usize, bad: bool) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_millis());
    json!({"key": "k", "n": number, "ts": now + if bad { 2 * 3_600_000 } else { 0 }}).to_string()
}

#[test]
fn records_from_the_future_fail_alone() -> Result<()> {
    ten_bad_ones_fail_alone("message.timestamp.after.max.ms=3600000", "Async", from_the_future)
}

#[test]
fn devices_hear_which_records_from_the_future_failed() -> Result<()> {
    ten_bad_ones_fail_alone("message.timestamp.after.max.ms=3600000", "Sync", from_the_future)
}

#[test]
fn records_without_key_for_a_compacted_topic_fail_alone() -> Result<()> {
    ten_bad_ones_fail_alone("cleanup.policy=compact", "Async", |number, bad| {
        let ts = 1_700_000_000_000_u64;
        if bad { json!({"n": number, "ts": ts}) } else { json!({"key": number.to_string(), "n": number, "ts": ts}) }
            .to_string()
    })
}

#[test]
fn batches_too_large_for_the_topic_go_in_smaller_ones() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic_with("small", 1, &["max.message.bytes=500"])?;
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        sink("small", &topic)
            .with("value", "${.payload}")
            .with("linger", "50ms")
            .with("syncTimeout", "2m")
            .with("requestMode", "Sync"),
        rule("small", r#"SELECT * FROM "load/#""#).to_sink("small"),
    ]))?;
    isthmus.wait_for_state("sinks", "small", "Connected")?;
    let is_large = |number: &usize| number % 100 == 50;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    let refused = publish_all(&mut device, 300, |number| {
        let length = if is_large(&number) { 700 } else { 100 };
        format!("{number:0length$}")
    })?;
    assert_eq!(refused, (0..300).filter(is_large).collect::<Vec<_>>());
    assert_eq!(isthmus.figure("sinks", "small", "failed")?, 3);
    assert_eq!(isthmus.figure("sinks", "small", "success")?, 297);
    let mut numbers = numbers(kafka, &topic, 297)?;
    numbers.sort_unstable();
    assert_eq!(numbers, (0..300).filter(|number| !is_large(number)).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn payload_that_is_no_text_is_stored_as_it_is_or_not_at_all() -> Result<()> {
    let kafka = Kafka::shared()?;
    let (json, bytes) = (kafka.topic("json")?, kafka.topic("bytes")?);
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        sink("json", &json).with("requestMode", "Sync"),
        sink("bytes", &bytes).with("value", "${payload}").with("requestMode", "Sync"),
        sink("text", &json).with("requestMode", "Sync"),
        rule("json", r#"SELECT * FROM "json""#).to_sink("json"),
        rule("bytes", r#"SELECT * FROM "bytes""#).to_sink("bytes"),
        rule("text", r#"SELECT base64_encode(payload) AS payload FROM "text""#).to_sink("text"),
    ]))?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    assert!(device.publish_and_wait("json", b"S\x80S")? >= 0x80);
    assert_eq!(device.publish_and_wait("bytes", b"S\x80S")?, 0);
    assert_eq!(device.publish_and_wait("text", b"S\x80S")?, 0);
    assert_eq!(isthmus.figure("sinks", "json", "failed")?, 1);
    assert_eq!(isthmus.figure("sinks", "bytes", "success")?, 1);
    assert_eq!(kafka.read(&json, 1, SOON)?[0].json()?, json!({"payload": "U4BT"}));
    assert_eq!(kafka.read_all(&json)?.len(), 1);
    let status = isthmus.status()?.to_string();
    assert!(status.contains("base64_encode"), "the rule's last error has the advice: {status}");
    Ok(())
}
