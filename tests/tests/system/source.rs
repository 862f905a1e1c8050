//! Kafka writes, devices receive.

use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use isthmus_tests::condition::{eventually, throughout};
use isthmus_tests::isthmus::{self, Isthmus, Start};
use isthmus_tests::kafka::Kafka;
use isthmus_tests::manifest::{self, Resource, rule, sink, source};
use isthmus_tests::mosquitto::{Subscriber, Version};
use isthmus_tests::mqtt::{Client, Packet, packet};
use isthmus_tests::process::Signal;
use isthmus_tests::{Result, port};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

/// A Source that reads from the beginning and commits often, in a group of its own.
fn commands(group: &str) -> Resource {
    source("commands").with("groupId", group).with("offsetReset", "Earliest").with("offsetCommitInterval", "100ms")
}

fn mapping(kafka_topic: &str) -> Value {
    json!({"kafkaTopic": kafka_topic, "mqttTopic": "cmd/${.key}", "qos": 1,
           "payloadTemplate": "${.value}"})
}

fn record_reaches_mosquitto_sub(version: Version) -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("commands")?;
    let group = Kafka::unused_name("commands");
    let isthmus =
        Start::on(kafka).manifests(&manifest::file(&[commands(&group).and("topicMapping", mapping(&topic))]))?;
    let subscriber = Subscriber::start(isthmus.mqtt(), version, "cmd/#", &[])?;
    kafka.write(&topic, "car-7", r#"{"lights":"on"}"#, &[])?;
    assert_eq!(subscriber.payload("cmd/car-7", SOON)?, r#"{"lights":"on"}"#);
    isthmus.wait_for("sources", "commands", "delivered", 1)?;
    isthmus.stop()?;
    Ok(())
}

#[test]
fn kafka_record_reaches_a_3_1_1_subscriber() -> Result<()> {
    record_reaches_mosquitto_sub(Version::V311)
}

#[test]
fn kafka_record_reaches_a_5_0_subscriber() -> Result<()> {
    record_reaches_mosquitto_sub(Version::V5)
}

#[test]
fn default_payload_is_the_whole_record() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("audit")?;
    let group = Kafka::unused_name("audit");
    let audit = json!({"kafkaTopic": topic, "mqttTopic": "audit${.missing}"});
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[commands(&group).and("topicMapping", audit)]))?;
    let subscriber = Subscriber::start(isthmus.mqtt(), Version::V5, "audit", &[])?;
    kafka.write(&topic, "k", "text", &[("site", "north")])?;
    let record: Value = serde_json::from_str(&subscriber.payload("audit", SOON)?)?;
    assert_eq!(record["key"], "k");
    assert_eq!(record["value"], "text");
    assert_eq!(record["topic"], topic.as_str());
    assert_eq!(record["offset"], 0);
    assert_eq!(record["ts_type"], "create");
    assert_eq!(record["headers"], json!({"site": "north"}));
    assert_eq!(record["ts"], kafka.read(&topic, 1, SOON)?[0].timestamp);
    Ok(())
}

#[test]
fn base64_carries_what_is_not_text() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("binary")?;
    let group = Kafka::unused_name("binary");
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[commands(&group)
        .with("keyEncoding", "Base64")
        .with("valueEncoding", "Base64")
        .and("topicMapping", mapping(&topic))]))?;
    let subscriber = Subscriber::start(isthmus.mqtt(), Version::V5, "cmd/#", &[])?;
    kafka.write(&topic, "ab", "ÿ?", &[])?;
    assert_eq!(subscriber.payload("cmd/YWI=", SOON)?, "w78/");
    Ok(())
}

#[test]
fn rules_on_a_source_republish_and_fill_a_sink() -> Result<()> {
    let kafka = Kafka::shared()?;
    let (topic, copy) = (kafka.topic("orders")?, kafka.topic("copy")?);
    let group = Kafka::unused_name("orders");
    let old_name = r#"SELECT key, value.amount AS amount FROM "$bridges/kafka_consumer:commands"
                      WHERE value.amount > 10"#;
    let new_name = r#"SELECT key, value FROM "$sources/kafka_consumer:commands""#;
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        commands(&group).and("topicMapping", json!({"kafkaTopic": topic})),
        sink("copy", &copy).with("key", "${.key}").with("value", "${.value}"),
        rule("large", old_name).to_topic("orders/${key}", "${amount}"),
        rule("copy", new_name).to_sink("copy"),
    ]))?;
    let subscriber = Subscriber::start(isthmus.mqtt(), Version::V5, "orders/#", &[])?;
    kafka.write(&topic, "small", r#"{"amount":9}"#, &[])?;
    kafka.write(&topic, "large", r#"{"amount":11}"#, &[])?;
    assert_eq!(subscriber.payload("orders/large", SOON)?, "11");
    let copied = kafka.read(&copy, 2, SOON)?;
    assert_eq!(copied[0].key.as_deref(), Some("small"));
    assert_eq!(copied[1].value.as_deref(), Some(r#"{"amount":11}"#));
    assert!(!subscriber.output().contains("orders/small"), "{}", subscriber.output());
    Ok(())
}

#[test]
fn offset_is_committed_only_after_the_subscriber_has_acknowledged() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("commands")?;
    let group = Kafka::unused_name("commands");
    let manifests = manifest::file(&[commands(&group).and("topicMapping", mapping(&topic))]);

    let isthmus = Start::on(kafka).manifests(&manifests)?;
    let mut device = Client::connect(isthmus.mqtt(), Version::V5, "car-7")?;
    device.subscribe("cmd/car-7")?;
    kafka.write(&topic, "car-7", "one", &[])?;
    let Packet::Publish(first) = device.receive()? else {
        return Err(anyhow!("the command did not come"));
    };
    assert_eq!(first.payload, b"one");
    throughout("nothing is committed", Duration::from_millis(1500), || {
        Ok(kafka.committed(&group, &topic)?.is_empty())
    })?;

    device.send(&packet::puback(first.id))?;
    eventually("the offset is committed", SOON, || match kafka.committed(&group, &topic)?.get(&0) {
        Some(1) => Ok(()),
        other => Err(anyhow!("{other:?}")),
    })?;
    Ok(())
}

#[test]
fn undelivered_record_comes_again_after_a_crash() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("commands")?;
    let group = Kafka::unused_name("commands");
    let manifests = manifest::file(&[commands(&group).and("topicMapping", mapping(&topic))]);

    let mut crashing = Start::on(kafka).manifests(&manifests)?;
    let mut device = Client::connect(crashing.mqtt(), Version::V5, "car-7")?;
    device.subscribe("cmd/car-7")?;
    kafka.write(&topic, "car-7", "one", &[])?;
    assert!(matches!(device.receive()?, Packet::Publish(_)), "the first attempt");
    crashing.process_mut().kill()?;

    // The dead member's partitions are given away when its session has timed out.
    let isthmus = Start::on(kafka).manifests(&manifests)?;
    let mut device = Client::connect(isthmus.mqtt(), Version::V5, "car-7")?;
    device.subscribe("cmd/car-7")?;
    let again = device.receive_within(Duration::from_secs(60))?;
    let Some(Packet::Publish(again)) = again else {
        return Err(anyhow!("instead of the command came {again:?}"));
    };
    assert_eq!(again.payload, b"one");
    Ok(())
}

#[test]
fn second_pod_takes_over_half_of_the_partitions_and_repeats_nothing_that_was_delivered() -> Result<()> {
    const RECORDS: u64 = 12;
    let kafka = Kafka::shared()?;
    let topic = kafka.topic_with("commands", 2, &[])?;
    let group = Kafka::unused_name("commands");
    // The interval never comes: what is committed before the end is what was given back.
    let source = commands(&group).with("offsetCommitInterval", "1h").and("topicMapping", mapping(&topic));
    let pod = || -> Result<Isthmus> {
        let plan = isthmus::render(&manifest::documents(&[
            manifest::bridge().with("listeners", json!([{"name": "mqtt", "port": port::free()?}])),
            manifest::connector().with("kafka.bootstrapServers", json!([kafka.bootstrap()])),
            source.clone(),
        ]))?;
        Isthmus::pod(&plan)
    };
    let write = || (0..RECORDS).try_for_each(|car| kafka.write(&topic, &format!("car-{car}"), "on", &[]));
    let has_half = |pod: &Isthmus| -> Result<()> {
        let partitions = pod.figure("sources", "commands", "partitions")?;
        ensure!(partitions == 1, "{partitions} partitions");
        Ok(())
    };

    let first = pod()?;
    write()?;
    first.wait_for("sources", "commands", "delivered", RECORDS)?;
    assert!(kafka.committed(&group, &topic)?.is_empty(), "nothing is committed yet");
    let second = pod()?;
    eventually("each has a partition", 3 * SOON, || has_half(&first).and_then(|()| has_half(&second)))?;
    let given_back = kafka.committed(&group, &topic)?;
    assert!(given_back.len() == 1 && given_back.values().all(|offset| *offset > 0), "{given_back:?}");

    write()?;
    let sum = |field: &str| -> Result<u64> {
        Ok(first.figure("sources", "commands", field)? + second.figure("sources", "commands", field)?)
    };
    eventually("everything is delivered", SOON, || match sum("delivered")? {
        delivered if delivered >= 2 * RECORDS => Ok(()),
        delivered => Err(anyhow!("{delivered} of {}", 2 * RECORDS)),
    })?;
    assert_eq!(sum("received")?, 2 * RECORDS, "nothing came twice");
    first.stop()?;
    second.stop()?;
    let committed = kafka.committed(&group, &topic)?;
    assert_eq!(committed.values().sum::<i64>(), 2 * RECORDS as i64, "{committed:?}");
    Ok(())
}

/// The broker forgets the group's place together with the topic, or not: it depends on who is faster.
#[test]
fn recreated_topic_is_read_from_its_beginning_and_a_crash_loses_nothing_of_it() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("commands")?;
    let group = Kafka::unused_name("commands");
    let commands = commands(&group).with("offsetReset", "Latest").and("topicMapping", mapping(&topic));
    let manifests = manifest::file(&[commands]);
    let write = |numbers: std::ops::Range<u32>| {
        kafka.console_producer(&topic, &numbers.map(|number| number.to_string()).collect::<Vec<_>>())
    };
    let place = |place: i64| {
        eventually(&format!("the group's place is {place}"), SOON, || match kafka.committed(&group, &topic)?.get(&0) {
            Some(found) if *found == place => Ok(()),
            other => Err(anyhow!("{other:?}")),
        })
    };

    let mut isthmus = Start::on(kafka).manifests(&manifests)?;
    isthmus.wait_for_state("sources", "commands", "Connected")?;
    write(0..100)?;
    isthmus.wait_for("sources", "commands", "delivered", 100)?;
    place(100)?;

    kafka.delete_topic(&topic)?;
    kafka.create_topic(&topic, 1, &[])?;
    write(100..121)?;
    isthmus.wait_for("sources", "commands", "delivered", 121)?;
    place(21)?;
    assert_eq!(isthmus.figure("sources", "commands", "rewinds")?, 1);
    assert!(isthmus.process().output().contains("read from an earlier place"), "it is said");
    isthmus.process_mut().kill()?;

    write(121..126)?;
    let isthmus = Start::on(kafka).manifests(&manifests)?;
    isthmus.wait_for("sources", "commands", "delivered", 5)?;
    place(26)?;
    assert_eq!(isthmus.figure("sources", "commands", "received")?, 5, "nothing comes twice");
    Ok(())
}

/// Nobody is there when it happens; the group's place is one that the new topic does not have.
#[test]
fn place_beyond_the_end_of_a_topic_goes_back_to_its_beginning() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("commands")?;
    let group = Kafka::unused_name("commands");
    kafka.write(&topic, "car-7", "one", &[])?;
    kafka.commit(&group, &topic, 100)?;
    let commands = commands(&group).with("offsetReset", "Latest").and("topicMapping", mapping(&topic));
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[commands]))?;
    isthmus.wait_for("sources", "commands", "delivered", 1)?;
    eventually("the group's place goes back", SOON, || match kafka.committed(&group, &topic)?.get(&0) {
        Some(1) => Ok(()),
        other => Err(anyhow!("{other:?}")),
    })?;
    assert_eq!(isthmus.figure("sources", "commands", "rewinds")?, 1);
    Ok(())
}

#[test]
fn partitions_of_a_killed_pod_are_taken_over_within_the_session_timeout() -> Result<()> {
    const SESSION: Duration = Duration::from_secs(6);
    let [first, mut second] = two_pods(|source| source.with("sessionTimeout", "6s"))?;
    let killed = Instant::now();
    second.process_mut().kill()?;
    eventually("the other has both", SESSION + Duration::from_secs(5), || has_partitions(&first, 2))?;
    assert!(killed.elapsed() > SESSION / 2, "it was not given up as one that left: {:?}", killed.elapsed());
    Ok(())
}

#[test]
fn partitions_of_a_pod_that_drains_are_taken_over_at_once() -> Result<()> {
    let [first, mut second] = two_pods(|source| source)?;
    second.process_mut().signal(Signal::TERM)?;
    eventually("the other has both", Duration::from_secs(2), || has_partitions(&first, 2))?;
    assert_eq!(second.process_mut().wait(SOON)?.code(), Some(0));
    Ok(())
}

#[test]
fn session_timeout_that_kafka_does_not_allow_is_said() -> Result<()> {
    let kafka = Kafka::private_with("group.min.session.timeout.ms=20000")?;
    let topic = kafka.topic("commands")?;
    let source = commands("group").and("topicMapping", mapping(&topic));
    let isthmus = Start::on(&kafka).unready(&manifest::file(std::slice::from_ref(&source)))?;
    let link = isthmus.wait_for_reason("sources", "commands", "KafkaError")?;
    let message = link["message"].as_str().unwrap_or_default();
    assert!(message.contains("sessionTimeout") && message.contains("group.min.session.timeout.ms"), "{link}");
    isthmus.reload(&manifest::file(&[source.with("sessionTimeout", "20s")]))?;
    isthmus.wait_for_state("sources", "commands", "Connected")?;
    Ok(())
}

/// Two pods of one group with a partition each.
fn two_pods(with: impl Fn(Resource) -> Resource) -> Result<[Isthmus; 2]> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic_with("commands", 2, &[])?;
    let source = with(commands(&Kafka::unused_name("commands")).and("topicMapping", mapping(&topic)));
    let pod = || -> Result<Isthmus> {
        Isthmus::pod(isthmus::render(&manifest::documents(&[
            manifest::bridge().with("listeners", json!([{"name": "mqtt", "port": port::free()?}])),
            manifest::connector().with("kafka.bootstrapServers", json!([kafka.bootstrap()])),
            source.clone(),
        ]))?)
    };
    let pods = [pod()?, pod()?];
    eventually("each has a partition", 3 * SOON, || pods.iter().try_for_each(|pod| has_partitions(pod, 1)))?;
    Ok(pods)
}

fn has_partitions(pod: &Isthmus, count: u64) -> Result<()> {
    let partitions = pod.figure("sources", "commands", "partitions")?;
    ensure!(partitions == count, "{partitions} partitions");
    Ok(())
}

#[test]
fn source_goes_on_after_a_crash_of_kafka() -> Result<()> {
    let mut kafka = Kafka::private()?;
    let topic = kafka.topic("commands")?;
    let isthmus =
        Start::on(&kafka).manifests(&manifest::file(&[commands("group").and("topicMapping", mapping(&topic))]))?;
    let subscriber = Subscriber::start(isthmus.mqtt(), Version::V5, "cmd/#", &[])?;
    kafka.write(&topic, "before", "1", &[])?;
    assert_eq!(subscriber.payload("cmd/before", SOON)?, "1");
    kafka.broker()?.crash()?;
    isthmus.wait_for_state("sources", "commands", "Connecting")?;
    kafka.broker()?.start_again()?;
    kafka.write(&topic, "after", "2", &[])?;
    assert_eq!(subscriber.payload("cmd/after", 3 * SOON)?, "2");
    isthmus.wait_for_state("sources", "commands", "Connected")?;
    Ok(())
}

/// A full buffer drops its oldest record, in favour of a device's; a Source can wait.
#[test]
fn source_waits_for_room_in_a_buffer_and_pushes_nothing_out_of_it() -> Result<()> {
    const RECORDS: usize = 40;
    let kafka = Kafka::shared()?;
    let (topic, late) = (kafka.topic("commands")?, Kafka::unused_name("late"));
    let group = Kafka::unused_name("commands");
    let plan = isthmus::render(&manifest::documents(&[
        manifest::bridge().with("listeners", json!([{"name": "mqtt", "port": port::free()?}])),
        manifest::connector().with("kafka.bootstrapServers", json!([kafka.bootstrap()])),
        commands(&group).and("topicMapping", json!({"kafkaTopic": topic})),
        sink("late", &late).with("value", "${.value}").with("buffer.perPartitionLimit", "1Mi"),
        rule("records", r#"SELECT value FROM "$sources/kafka_consumer:commands""#).to_sink("late"),
        rule("devices", r#"SELECT payload AS value FROM "load/#""#).to_sink("late"),
    ]))?;
    let isthmus = Isthmus::pod(&plan)?;
    let mut device = Client::connect(isthmus.mqtt(), Version::V5, "device")?;
    for number in 0..5 {
        assert_eq!(device.publish_and_wait("load/1", format!("device-{number}").as_bytes())?, 0);
    }
    for number in 0..RECORDS {
        kafka.write(&topic, "k", &format!("{number:060000}"), &[])?;
    }
    // More than fits, and no end of it.
    isthmus.wait_for("sources", "commands", "lag", 15)?;
    throughout("the records wait", Duration::from_secs(2), || {
        let (source, sink) = (isthmus.link("sources", "commands")?, isthmus.link("sinks", "late")?);
        Ok(source["failed"] == 0 && source["pending"].as_u64() < Some(25) && sink["dropped"] == 0)
    })?;
    kafka.create_topic(&late, 1, &[])?;
    isthmus.wait_for("sources", "commands", "delivered", RECORDS as u64)?;
    let values: Vec<_> = kafka.read(&late, RECORDS + 5, SOON)?.into_iter().filter_map(|record| record.value).collect();
    let expected: Vec<_> = (0..5)
        .map(|number| format!("device-{number}"))
        .chain((0..RECORDS).map(|number| format!("{number:060000}")))
        .collect();
    assert!(values == expected, "all of them, in order");
    assert_eq!(isthmus.figure("sources", "commands", "failed")?, 0);
    Ok(())
}

#[test]
fn record_waits_for_a_sink_without_its_topic_however_long_that_takes() -> Result<()> {
    let kafka = Kafka::shared()?;
    let (topic, late) = (kafka.topic("commands")?, Kafka::unused_name("late"));
    let group = Kafka::unused_name("commands");
    // As in a pod: local mode would create the Sink's topic.
    let plan = isthmus::render(&manifest::documents(&[
        manifest::bridge().with("listeners", json!([{"name": "mqtt", "port": port::free()?}])),
        manifest::connector().with("kafka.bootstrapServers", json!([kafka.bootstrap()])),
        commands(&group).and("topicMapping", mapping(&topic)),
        sink("late", &late).with("value", "${.value}"),
        rule("late", r#"SELECT * FROM "$sources/kafka_consumer:commands""#).to_sink("late"),
    ]))?;
    let isthmus = Isthmus::pod(&plan)?;
    let mut device = Client::connect(isthmus.mqtt(), Version::V5, "car-7")?;
    device.subscribe("cmd/car-7")?;
    kafka.write(&topic, "car-7", "one", &[])?;
    assert_eq!(device.message()?.payload, b"one", "the subscriber has it and says so");

    // Longer than the 30 s that a subscriber is given.
    throughout("the record waits", Duration::from_secs(33), || {
        let link = isthmus.link("sources", "commands")?;
        Ok(link["pending"] == 1 && link["delivered"] == 0 && link["failed"] == 0)
    })?;
    assert!(kafka.committed(&group, &topic)?.is_empty(), "nothing is committed");
    let sink = isthmus.link("sinks", "late")?;
    assert!(sink["queuing"] == 1 && sink["failed"] == 0, "{sink}");

    kafka.create_topic(&late, 1, &[])?;
    isthmus.wait_for("sources", "commands", "delivered", 1)?;
    assert_eq!(kafka.read(&late, 1, SOON)?[0].value.as_deref(), Some("one"));
    eventually("the offset is committed", SOON, || match kafka.committed(&group, &topic)?.get(&0) {
        Some(1) => Ok(()),
        other => Err(anyhow!("{other:?}")),
    })?;
    assert_eq!(isthmus.figure("sources", "commands", "failed")?, 0);
    Ok(())
}
