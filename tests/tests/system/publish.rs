//! Devices publish, Kafka receives: the main job, with clients of others on both sides.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use isthmus_tests::Result;
use isthmus_tests::isthmus::Start;
use isthmus_tests::kafka::Kafka;
use isthmus_tests::manifest::{self, rule, sink};
use isthmus_tests::mosquitto::{self, Version};
use isthmus_tests::process::Process;
use isthmus_tests::python;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

/// Every vehicle's telemetry, as it is, to this topic.
fn telemetry(topic: &str) -> String {
    let all = r#"SELECT * FROM "vehicles/+/telemetry""#;
    manifest::file(&[sink("vehicles", topic).with("value", "${.payload}"), rule("telemetry", all).to_sink("vehicles")])
}

fn milliseconds_now() -> i64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_millis() as i64)
}

fn mosquitto_publication_reaches_kafka(version: Version) -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("telemetry")?;
    let isthmus = Start::on(kafka).manifests(&telemetry(&topic))?;
    let before = milliseconds_now();
    let payload = r#"{"speed":130,"place":"Zürich"}"#;
    mosquitto::publish(isthmus.mqtt(), version, "vehicles/7/telemetry", payload, &["-i", "car-7"])?;
    let record = kafka.read(&topic, 1, SOON)?.remove(0);
    assert_eq!(record.key.as_deref(), Some("car-7"));
    assert_eq!(record.value.as_deref(), Some(payload));
    assert!((before..=milliseconds_now()).contains(&record.timestamp), "{record:?}");
    isthmus.wait_for("sinks", "vehicles", "success", 1)?;
    isthmus.stop()?;
    Ok(())
}

#[test]
fn mosquitto_3_1_1_publication_reaches_kafka() -> Result<()> {
    mosquitto_publication_reaches_kafka(Version::V311)
}

#[test]
fn mosquitto_5_0_publication_reaches_kafka() -> Result<()> {
    mosquitto_publication_reaches_kafka(Version::V5)
}

/// What Kafka got from Paho clients of this version is complete and, per key, in order.
fn paho_publications_keep_their_order_per_key(version: &str) -> Result<()> {
    const VEHICLES: usize = 4;
    const MESSAGES: usize = 300;
    let kafka = Kafka::shared()?;
    let topic = kafka.topic_with("telemetry", 3, &[])?;
    let all = r#"SELECT payload.number AS number, clientid FROM "vehicles/+/telemetry""#;
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        sink("vehicles", &topic).with("partitionStrategy", "KeyDispatch"),
        rule("telemetry", all).to_sink("vehicles"),
    ]))?;
    let (host, port) = (isthmus.mqtt().ip().to_string(), isthmus.mqtt().port().to_string());
    let mut paho = python::script("telemetry.py")?;
    paho.args([&host, &port, version, &VEHICLES.to_string(), &MESSAGES.to_string()]);
    Process::run("telemetry.py", 3 * SOON, &mut paho)?;

    let mut consumer = python::script("consume.py")?;
    consumer.args([kafka.bootstrap(), &topic, &(VEHICLES * MESSAGES).to_string()]);
    let mut numbers: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for line in Process::run("consume.py", 3 * SOON, &mut consumer)? {
        let record: Value = serde_json::from_str(&line)?;
        let value: Value = serde_json::from_str(record["value"].as_str().unwrap_or_default())?;
        assert_eq!(record["is_create_time"], true, "{record}");
        let key = record["key"].as_str().unwrap_or_default().to_owned();
        numbers.entry(key).or_default().push(value["number"].as_i64().unwrap_or(-1));
    }
    let expected: Vec<i64> = (0..MESSAGES as i64).collect();
    assert_eq!(numbers.len(), VEHICLES);
    for (key, numbers) in numbers {
        assert_eq!(numbers, expected, "the order of {key}");
    }
    Ok(())
}

#[test]
fn paho_3_1_1_publications_keep_their_order_per_key() -> Result<()> {
    paho_publications_keep_their_order_per_key("3.1.1")
}

#[test]
fn paho_5_0_publications_keep_their_order_per_key() -> Result<()> {
    paho_publications_keep_their_order_per_key("5.0")
}

#[test]
fn weather_replay_is_in_kafka_value_by_value() -> Result<()> {
    let kafka = Kafka::shared()?;
    let (all, wet) = (kafka.topic("weather-all")?, kafka.topic("weather-wet")?);
    let wet_days = r#"
        SELECT payload.date AS day, payload.precipitation AS rain, payload.temp_max AS temperature.max,
               payload.temp_min AS temperature.min, payload.weather AS weather
        FROM "weather/seattle" WHERE payload.precipitation >= 10 AND payload.weather <> 'snow'"#;
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        sink("all", &all).with("value", "${.payload}"),
        sink("wet", &wet).with("key", "${.day}"),
        rule("archive", r#"SELECT * FROM "weather/#""#).to_sink("all"),
        rule("wet-days", wet_days).to_sink("wet"),
    ]))?;
    let (host, port) = (isthmus.mqtt().ip().to_string(), isthmus.mqtt().port().to_string());
    let mut replay = python::script("weather.py")?;
    replay.args([host.as_str(), &port, "weather/seattle"]);
    let rows = Process::run("weather.py", 3 * SOON, &mut replay)?
        .iter()
        .map(|row| Ok(serde_json::from_str(row)?))
        .collect::<Result<Vec<Value>>>()?;
    assert_eq!(rows.len(), 1461, "four years of days");

    let archived = kafka.read(&all, rows.len(), SOON)?;
    for (row, record) in rows.iter().zip(&archived) {
        assert_eq!(record.json()?, *row);
        assert_eq!(record.key.as_deref(), Some("weather-station"));
    }
    let is_wet =
        |row: &&Value| row["precipitation"].as_f64().is_some_and(|rain| rain >= 10.0) && row["weather"] != "snow";
    let expected: Vec<Value> = rows
        .iter()
        .filter(is_wet)
        .map(|row| {
            let temperature = json!({"max": row["temp_max"], "min": row["temp_min"]});
            json!({"day": row["date"], "rain": row["precipitation"], "temperature": temperature,
                   "weather": row["weather"]})
        })
        .collect();
    assert!(expected.len() > 50, "the data set has many wet days: {}", expected.len());
    let found = kafka.read(&wet, expected.len(), SOON)?;
    for (row, record) in expected.iter().zip(&found) {
        assert_eq!(record.json()?, *row);
        assert_eq!(record.key.as_deref(), row["day"].as_str());
    }
    assert_eq!(kafka.read_all(&wet)?.len(), expected.len(), "no other day");
    Ok(())
}

#[test]
fn apache_kafkas_console_consumer_reads_key_value_and_timestamp() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("console")?;
    let text = r#"SELECT payload.at AS at, payload.text AS text FROM "notes""#;
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        sink("notes", &topic)
            .with("key", "note-${.text}")
            .with("value", "${.text} from ${.missing}!")
            .with("timestamp", "${.at}"),
        rule("notes", text).to_sink("notes"),
    ]))?;
    let payload = r#"{"at":1700000000123,"text":"hello"}"#;
    mosquitto::publish(isthmus.mqtt(), Version::V5, "notes", payload, &[])?;
    let lines = kafka.console_consumer(&topic, 1, &["print.key=true", "print.timestamp=true"])?;
    assert_eq!(lines, ["CreateTime:1700000000123\tnote-hello\thello from !"]);
    Ok(())
}

#[test]
fn every_compression_is_read_by_another_client() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("compressed")?;
    let codecs = ["None", "Gzip", "Snappy", "Lz4", "Zstd"];
    let mut resources = Vec::new();
    for codec in codecs {
        let name = codec.to_lowercase();
        resources.push(sink(&name, &topic).with("compression", codec).with("value", "${.payload}"));
        resources.push(rule(&name, &format!(r#"SELECT * FROM "{name}""#)).to_sink(&name));
    }
    let isthmus = Start::on(kafka).manifests(&manifest::file(&resources))?;
    let payload = "compressible ".repeat(200);
    for codec in codecs {
        let mqtt_topic = codec.to_lowercase();
        mosquitto::publish(isthmus.mqtt(), Version::V5, &mqtt_topic, &payload, &["-i", codec])?;
    }
    let mut lines = kafka.console_consumer(&topic, codecs.len(), &["print.key=true"])?;
    lines.sort_unstable();
    let mut expected = codecs.map(|codec| format!("{codec}\t{payload}"));
    expected.sort_unstable();
    assert_eq!(lines, expected);
    Ok(())
}

#[test]
fn keys_go_to_the_partition_that_java_producers_choose() -> Result<()> {
    let kafka = Kafka::shared()?;
    let (ours, theirs) = (kafka.topic_with("ours", 7, &[])?, kafka.topic_with("theirs", 7, &[])?);
    let isthmus = Start::on(kafka).manifests(&manifest::file(&[
        sink("keyed", &ours).with("partitionStrategy", "KeyDispatch").with("key", "${.key}"),
        rule("keyed", r#"SELECT payload.key AS key FROM "keyed""#).to_sink("keyed"),
    ]))?;
    let keys: Vec<String> = (0..40).map(|number| format!("vehicle-{}-é", number * 7919)).collect();
    let mut device = isthmus_tests::mqtt::Client::connect(isthmus.mqtt(), Version::V5, "keys")?;
    for key in &keys {
        assert_eq!(device.publish_and_wait("keyed", json!({"key": key}).to_string().as_bytes())?, 0);
    }
    kafka.console_producer(&theirs, &keys)?;
    let partitions = |topic: &str| -> Result<BTreeMap<Option<String>, i64>> {
        let records = kafka.read(topic, keys.len(), SOON)?;
        Ok(records.into_iter().map(|record| (record.key, record.partition)).collect())
    };
    let ours = partitions(&ours)?;
    assert_eq!(ours.len(), keys.len());
    assert_eq!(ours, partitions(&theirs)?);
    Ok(())
}
