//! The process ends, in order or not: what it acknowledged is in Kafka, and what is left is said.

use std::collections::HashSet;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use isthmus_tests::condition::{eventually, throughout};
use isthmus_tests::isthmus::{self, Isthmus, Start};
use isthmus_tests::kafka::Kafka;
use isthmus_tests::manifest::{self, Resource, rule, sink, source};
use isthmus_tests::mosquitto::Version::{self, V5, V311};
use isthmus_tests::mqtt::{Client, Packet};
use isthmus_tests::process::{Process, Signal};
use isthmus_tests::{Result, operator, port, python};
use serde_json::json;

const SOON: Duration = Duration::from_secs(20);

fn raw_to(topic: &str) -> [Resource; 2] {
    [sink("load", topic).with("value", "${.payload}"), rule("load", r#"SELECT * FROM "load/#""#).to_sink("load")]
}

/// The records wait for company longer than a test has patience.
fn waiting_in_the_buffer(topic: &str) -> String {
    let [sink, rule] = raw_to(topic);
    manifest::file(&[sink.with("linger", "1m"), rule])
}

fn fill_the_buffer(mqtt: SocketAddr) -> Result<()> {
    let mut device = Client::connect(mqtt, V311, "device")?;
    for number in 0..500 {
        device.publish_and_wait("load/1", number.to_string().as_bytes())?;
    }
    Ok(())
}

fn delivers_what_is_in_the_buffer(signal: Signal) -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("stop")?;
    let isthmus = Start::on(kafka).manifests(&waiting_in_the_buffer(&topic))?;
    fill_the_buffer(isthmus.mqtt())?;
    isthmus.stop_by(signal, SOON)?;
    assert_eq!(kafka.read_all(&topic)?.len(), 500);
    Ok(())
}

#[test]
fn sigterm_delivers_what_is_in_the_buffer() -> Result<()> {
    delivers_what_is_in_the_buffer(Signal::TERM)
}

#[test]
fn sighup_delivers_what_is_in_the_buffer() -> Result<()> {
    delivers_what_is_in_the_buffer(Signal::HUP)
}

#[test]
fn sighup_does_nothing_under_nohup() -> Result<()> {
    let plan = isthmus::render(&manifest::documents(&[
        manifest::bridge().with("listeners", json!([{"name": "mqtt", "port": port::free()?}]))
    ]))?;
    let secrets = tempfile::tempdir()?;
    let mut nohup = Command::new("nohup");
    nohup.arg(isthmus::binary()?);
    let isthmus = Isthmus::pod_under(&mut nohup, &plan, secrets.path(), "info")?;
    isthmus.process().signal(Signal::HUP)?;
    throughout("it serves", Duration::from_secs(1), || Ok(isthmus.get("/readyz")?.0 == 200))?;
    isthmus.stop()?;
    Ok(())
}

/// The process gets SIGHUP, and cannot say a word any more.
#[test]
fn a_terminal_that_closes_does_not_lose_what_is_in_the_buffer() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("stop")?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("manifests.yaml");
    std::fs::write(&file, waiting_in_the_buffer(&topic))?;
    let mqtt = SocketAddr::from(([127, 0, 0, 1], port::free()?));
    let mut command = python::script("terminal.py")?;
    command.arg(isthmus::binary()?).arg("dev").arg(&file).args(["--admin", "127.0.0.1:0", "--mqtt", &mqtt.to_string()]);
    command.args(["--kafka", kafka.bootstrap()]).env("TMPDIR", folder.path());
    let mut terminal = Process::start("terminal", &mut command)?;
    eventually("devices can connect", SOON, || Client::connect(mqtt, V311, "first").map(drop))?;
    fill_the_buffer(mqtt)?;
    terminal.signal(Signal::USR1)?;
    let status = terminal.wait(SOON)?;
    assert_eq!(status.code(), Some(0), "{}", terminal.output());
    assert_eq!(kafka.read_all(&topic)?.len(), 500);
    Ok(())
}

#[test]
fn the_operator_ends_in_order_when_its_terminal_closes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    // Nobody answers there.
    let server = json!({"name": "c", "cluster": {"server": format!("http://127.0.0.1:{}", port::free()?)}});
    let context = json!({"name": "c", "context": {"cluster": "c", "user": "u"}});
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c", "clusters": [server],
                        "contexts": [context], "users": [{"name": "u", "user": {}}]});
    std::fs::write(&kubeconfig, config.to_string())?;
    let mut command = Command::new(operator::binary()?);
    command.args(["--admin=127.0.0.1:0", "--runtime-image=isthmus:test"]).env("KUBECONFIG", &kubeconfig);
    let mut operator = Process::start("operator", &mut command)?;
    operator.line("its admin port", SOON, |line| line.contains("admin port").then_some(()))?;
    operator.signal(Signal::HUP)?;
    assert_eq!(operator.wait(SOON)?.code(), Some(0), "{}", operator.output());
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

/// Each topic is a question to Kafka, which nobody answers.
fn ends_in_time_with_many_topics(kafka: &Kafka) -> Result<()> {
    let bridge = manifest::bridge().with("drain.gracePeriod", "3s");
    let rule = rule("load", r#"SELECT payload.kafka AS kafka FROM "load/#""#).to_sink("load");
    let manifests = [bridge, manifest::connector(), sink("load", "stop-${.kafka}"), rule];
    let isthmus = Start::on(kafka).manifests(&manifest::documents(&manifests))?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    for number in 0..12 {
        assert_eq!(device.publish_and_wait("load/1", format!(r#"{{"kafka":{number}}}"#).as_bytes())?, 0);
    }
    let output = isthmus.stop_within(Duration::from_secs(10))?;
    let says_so = |line: &str| line.contains("Sink load") && line.contains("12 records");
    assert!(output.lines().any(says_so), "{output}");
    Ok(())
}

#[test]
fn sigterm_with_absent_kafka_ends_in_time_with_many_topics() -> Result<()> {
    ends_in_time_with_many_topics(&Kafka::not_started()?)
}

#[test]
fn sigterm_with_frozen_kafka_ends_in_time_with_many_topics() -> Result<()> {
    let mut kafka = Kafka::private()?;
    kafka.broker()?.freeze()?;
    ends_in_time_with_many_topics(&kafka)
}

#[test]
fn half_a_request_on_the_admin_port_does_not_keep_the_process() -> Result<()> {
    let isthmus = Start::embedded().manifests(&manifest::documents(&[manifest::bridge()]))?;
    let address = isthmus.admin().strip_prefix("http://").context("an unusual address")?;
    let mut request = TcpStream::connect(address)?;
    request.write_all(b"GET /livez HTTP/1.1\r\nHost: ")?;
    // Connections are accepted in order: when a later one is answered, this one is being read.
    assert_eq!(isthmus.get("/livez")?.0, 200);
    isthmus.stop_within(Duration::from_secs(5))?;
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
            Ok(other) => bail!("{other:?}"),
        }
    }
    Ok(acknowledged)
}

/// Some devices that publish until the broker is gone.
struct Devices(Vec<JoinHandle<Result<Vec<String>>>>);

impl Devices {
    fn start(broker: SocketAddr, version: Version) -> Result<Self> {
        let start = |name| {
            let device = Client::connect(broker, version, name)?;
            Ok(thread::spawn(move || publish_until_the_end(device, name)))
        };
        Ok(Self(["a", "b", "c", "d"].into_iter().map(start).collect::<Result<_>>()?))
    }

    /// Checks that everything acknowledged is in the topic, and that it was a good deal.
    fn lost_nothing(self, kafka: &Kafka, topic: &str) -> Result<()> {
        let found: HashSet<_> = kafka.read_all(topic)?.into_iter().filter_map(|record| record.value).collect();
        let mut count = 0;
        for device in self.0 {
            for payload in device.join().map_err(|_| anyhow!("a device panicked"))?? {
                assert!(found.contains(&payload), "{payload} was acknowledged and is lost");
                count += 1;
            }
        }
        assert!(count > 1_000, "only {count} were acknowledged");
        Ok(())
    }
}

fn crash_loses_nothing_acknowledged(version: Version) -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("crash")?;
    let [sink, rule] = raw_to(&topic);
    let sink = sink.with("requestMode", "Sync").with("syncTimeout", "60s");
    let mut isthmus = Start::on(kafka).manifests(&manifest::file(&[sink, rule]))?;
    let devices = Devices::start(isthmus.mqtt(), version)?;
    isthmus.wait_for("sinks", "load", "success", 2_000)?;
    isthmus.process_mut().kill()?;
    devices.lost_nothing(kafka, &topic)
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
fn sigterm_with_a_subscriber_that_never_acknowledges_loses_nothing_acknowledged() -> Result<()> {
    let kafka = Kafka::shared()?;
    let (topic, commands) = (kafka.topic("stop")?, kafka.topic("commands")?);
    let group = Kafka::unused_name("commands");
    let mapping = json!({"kafkaTopic": commands, "mqttTopic": "cmd", "qos": 1});
    let source = source("commands").with("groupId", group.as_str()).with("offsetReset", "Earliest");
    let [sink, rule] = raw_to(&topic);
    let isthmus = Start::on(kafka).manifests(&manifest::documents(&[
        manifest::bridge().with("drain.gracePeriod", "6s"),
        manifest::connector(),
        source.and("topicMapping", mapping),
        // What is acknowledged waits in the buffer until the process stops.
        sink.with("linger", "1m"),
        rule,
    ]))?;
    let mut silent = Client::connect(isthmus.mqtt(), V5, "silent")?;
    silent.subscribe("cmd")?;
    kafka.write(&commands, "car-7", "one", &[])?;
    assert!(matches!(silent.receive()?, Packet::Publish(_)), "it has the record and keeps silent");

    let devices = Devices::start(isthmus.mqtt(), V5)?;
    isthmus.wait_for("sinks", "load", "matched", 2_000)?;
    let output = isthmus.stop()?;
    devices.lost_nothing(kafka, &topic)?;
    assert!(kafka.committed(&group, &commands)?.is_empty(), "the record comes again");
    assert!(output.lines().any(|line| line.contains("Source commands") && line.contains('1')), "{output}");
    assert!(!output.contains("Sink load:"), "nothing is left in the buffer: {output}");
    Ok(())
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
