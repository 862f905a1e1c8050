//! The limits of a Sink's buffer: what goes, what stays, and what the device hears.

use isthmus_tests::Result;
use isthmus_tests::isthmus::{Isthmus, Start};
use isthmus_tests::kafka::Kafka;
use isthmus_tests::manifest::{self, rule, sink};
use isthmus_tests::mosquitto::{self, Version::V5};
use isthmus_tests::mqtt::Client;
use serde_json::Value;

use crate::faults::sums_up;

/// With a hundred small records in the buffer, acknowledged, one comes that is larger than the whole buffer.
/// `away` takes Kafka away from the running Isthmus when it is not already, `back` brings it.
fn record_that_cannot_fit_drops_nobody(
    mut kafka: Kafka,
    away: impl FnOnce(&Isthmus, &mut Kafka) -> Result<()>,
    back: impl FnOnce(&mut Kafka) -> Result<()>,
) -> Result<Value> {
    // Local mode creates it as soon as Kafka is there.
    let topic = Kafka::unused_name("small");
    let isthmus = Start::on(&kafka).manifests(&manifest::file(&[
        sink("small", &topic)
            .with("value", "${.payload}")
            // Few bytes in flight, so that most of the records could be dropped.
            .with("maxBatchBytes", "1Ki")
            .with("maxInflight", 1)
            .with("buffer.perPartitionLimit", "64Ki"),
        rule("small", r#"SELECT * FROM "load/#""#).to_sink("small"),
    ]))?;
    away(&isthmus, &mut kafka)?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    for number in 0..100 {
        assert_eq!(device.publish_and_wait("load/1", number.to_string().as_bytes())?, 0);
    }
    let large = vec![b'x'; 100_000];
    assert_eq!(device.publish_and_wait("load/1", &large)?, 0x97, "quota exceeded");
    let link = isthmus.link("sinks", "small")?;
    assert_eq!(link["dropped"], 1, "{link}");
    assert_eq!(link["queuing"].as_u64().zip(link["inflight"].as_u64()).map(|(q, i)| q + i), Some(100), "{link}");
    assert_eq!(device.publish_and_wait("load/1", b"100")?, 0, "there is room as before");

    back(&mut kafka)?;
    isthmus.wait_for("sinks", "small", "success", 101)?;
    let values: Vec<_> = kafka.read_all(&topic)?.into_iter().filter_map(|record| record.value).collect();
    let expected: Vec<_> = (0..=100).map(|number| number.to_string()).collect();
    assert_eq!(values, expected);
    Ok(link)
}

#[test]
fn record_larger_than_the_buffer_is_refused_and_drops_nobody_while_kafka_is_absent() -> Result<()> {
    let nothing = |_: &Isthmus, _: &mut Kafka| Ok(());
    let link =
        record_that_cannot_fit_drops_nobody(Kafka::not_started()?, nothing, |kafka| kafka.broker()?.start_again())?;
    assert_eq!(link["queuing"], 100, "{link}");
    Ok(())
}

#[test]
fn record_larger_than_the_buffer_is_refused_and_drops_nobody_while_kafka_is_frozen() -> Result<()> {
    let freeze = |isthmus: &Isthmus, kafka: &mut Kafka| {
        isthmus.wait_for_state("sinks", "small", "Connected")?;
        kafka.broker()?.freeze()
    };
    record_that_cannot_fit_drops_nobody(Kafka::private()?, freeze, |kafka| kafka.broker()?.thaw())?;
    Ok(())
}

#[test]
fn full_buffer_drops_the_oldest_and_counts_them() -> Result<()> {
    let mut kafka = Kafka::private()?;
    let topic = kafka.topic("full")?;
    let isthmus = Start::on(&kafka).manifests(&manifest::file(&[
        sink("full", &topic)
            .with("value", "${.payload}")
            // Few bytes in flight, so that almost all of the buffer may be dropped.
            .with("maxBatchBytes", "1Ki")
            .with("maxInflight", 1)
            .with("buffer.perPartitionLimit", "64Ki")
            .with("buffer.totalLimit", "64Ki"),
        rule("full", r#"SELECT * FROM "load/#""#).to_sink("full"),
    ]))?;
    mosquitto::publish(isthmus.mqtt(), V5, "load/1", "before", &[])?;
    isthmus.wait_for("sinks", "full", "success", 1)?;
    kafka.broker()?.crash()?;
    isthmus.wait_for_state("sinks", "full", "Connecting")?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    for number in 0..200 {
        let payload = format!("{number:01000}");
        assert_eq!(device.publish_and_wait("load/1", payload.as_bytes())?, 0);
    }
    let dropped = isthmus.wait_for("sinks", "full", "dropped", 100)?;
    kafka.broker()?.start_again()?;
    isthmus.wait_for("sinks", "full", "success", 201 - dropped)?;
    assert_eq!(sums_up(&isthmus, "full")?, 201);
    let last = kafka.read_all(&topic)?.pop().and_then(|record| record.value);
    assert_eq!(last, Some(format!("{:01000}", 199)), "the newest is kept");
    let sample = r#"isthmus_sink_dropped_total{sink="full",reason="queue_full"}"#;
    assert!((isthmus.metric(sample)? - dropped as f64).abs() < 0.5);
    Ok(())
}
