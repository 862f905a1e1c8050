//! Secrets that change while they are used, and what may be seen of them: nothing.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use isthmus_tests::condition::eventually;
use isthmus_tests::isthmus::{self, Isthmus};
use isthmus_tests::kafka::secure::{PLAIN, SCRAM};
use isthmus_tests::kafka::{Kafka, Secure};
use isthmus_tests::manifest::{self, Resource, rule, sink, source};
use isthmus_tests::mosquitto::{self, Version::V5};
use isthmus_tests::mqtt::Client;
use isthmus_tests::secrets::Volume;
use isthmus_tests::{Result, port};
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);

/// The plan of a Bridge with a Sink and a Source through this Connector.
fn plan(bridge: Resource, connector: Resource, topics: [&str; 2]) -> Result<String> {
    let [vehicles, commands] = topics;
    let mapping = json!({"kafkaTopic": commands, "mqttTopic": "cmd/${.key}", "qos": 1, "payloadTemplate": "${.value}"});
    let resources = [
        bridge.with("listeners", json!([{"name": "mqtt", "port": port::free()?}])),
        connector,
        sink("vehicles", vehicles).with("value", "${.payload}"),
        source("commands")
            .with("groupId", Kafka::unused_name("commands"))
            .with("offsetReset", "Earliest")
            .and("topicMapping", mapping),
        rule("all", r#"SELECT * FROM "load/#""#).to_sink("vehicles"),
    ];
    let user = [("username", ""), ("password", "")];
    let file = manifest::with_secrets(
        &manifest::documents(&resources),
        &[("kafka-user", &user), ("ca", &[("ca.crt", "")]), ("users", &[("car-7", "")])],
    );
    isthmus::render(&file)
}

fn connector(secure: &Secure) -> Resource {
    manifest::connector()
        .with("kafka.bootstrapServers", json!([secure.sasl_tls()]))
        .with("kafka.authentication.scramSha512", json!({"secretRef": {"name": "kafka-user"}}))
        .with("kafka.tls.caSecretRef", json!({"name": "ca"}))
}

fn publish_numbers(device: &mut Client, numbers: std::ops::Range<u32>) -> Result<()> {
    for number in numbers {
        assert_eq!(device.publish_and_wait("load/1", number.to_string().as_bytes())?, 0);
    }
    Ok(())
}

fn values(kafka: &Kafka, topic: &str, count: usize) -> Result<Vec<String>> {
    Ok(kafka.read(topic, count, SOON)?.into_iter().filter_map(|record| record.value).collect())
}

#[test]
fn wrong_password_is_told_and_its_correction_loses_nothing() -> Result<()> {
    let secure = Secure::shared()?;
    let kafka = &secure.kafka;
    let (vehicles, commands) = (kafka.topic("vehicles")?, kafka.topic("commands")?);
    let ca = secure.authority.pem();
    let (username, password) = SCRAM;
    let wrong = [("username", username), ("password", "not-the-password")];
    let volume = Volume::with(&[("kafka-user", &wrong), ("ca", &[("ca.crt", &ca)])])?;
    let plan = plan(manifest::bridge(), connector(secure), [&vehicles, &commands])?;
    let isthmus = Isthmus::pod_with(&plan, volume.path())?;
    for (list, name) in [("sinks", "vehicles"), ("sources", "commands")] {
        let link = isthmus.wait_for_reason(list, name, "AuthenticationFailed")?;
        let message = link["message"].as_str().context("no message")?;
        assert!(message.contains("correct the Secret"), "{message}");
        assert_eq!(link["state"], "Connecting");
    }
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    device.subscribe("cmd/+")?;
    publish_numbers(&mut device, 0..100)?;
    // Silence of the broker that refused does not hide why.
    assert_eq!(isthmus.link("sinks", "vehicles")?["reason"], "AuthenticationFailed");
    kafka.write(&commands, "car-7", "hello", &[])?;

    let right = [("username", username), ("password", password)];
    volume.swap(&[("kafka-user", &right), ("ca", &[("ca.crt", &ca)])])?;
    isthmus.wait_for("sinks", "vehicles", "success", 100)?;
    let expected: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(values(kafka, &vehicles, 100)?, expected, "all of them, in their order");
    assert_eq!(device.message()?.payload, b"hello", "the Source works too, and the device is still there");
    isthmus.wait_for_state("sinks", "vehicles", "Connected")?;
    isthmus.wait_for_state("sources", "commands", "Connected")?;
    Ok(())
}

#[test]
fn changed_credentials_of_a_working_link_lose_nothing_and_keep_the_order() -> Result<()> {
    let secure = Secure::shared()?;
    let kafka = &secure.kafka;
    let (vehicles, commands) = (kafka.topic("vehicles")?, kafka.topic("commands")?);
    let ca = secure.authority.pem();
    let user = |(username, password): (&'static str, &'static str)| [("username", username), ("password", password)];
    // PLAIN has a user of the same kind on this listener, so a change of both fields is a change to other credentials.
    let credentials = json!({"secretRef": {"name": "kafka-user"}});
    let connector = manifest::connector()
        .with("kafka.bootstrapServers", json!([secure.sasl_tls()]))
        .with("kafka.authentication.plain", credentials)
        .with("kafka.tls.caSecretRef", json!({"name": "ca"}));
    let volume = Volume::with(&[("kafka-user", &user(PLAIN)), ("ca", &[("ca.crt", &ca)])])?;
    let isthmus = Isthmus::pod_with(plan(manifest::bridge(), connector, [&vehicles, &commands])?, volume.path())?;
    isthmus.wait_for_state("sinks", "vehicles", "Connected")?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    publish_numbers(&mut device, 0..200)?;
    // To credentials that Kafka refuses, and back.
    volume.swap(&[("kafka-user", &[("username", "nobody"), ("password", "x")]), ("ca", &[("ca.crt", &ca)])])?;
    isthmus.wait_for_reason("sinks", "vehicles", "AuthenticationFailed")?;
    publish_numbers(&mut device, 200..400)?;
    volume.swap(&[("kafka-user", &user(PLAIN)), ("ca", &[("ca.crt", &ca)])])?;
    isthmus.wait_for("sinks", "vehicles", "success", 400)?;
    let expected: Vec<_> = (0..400).map(|number| number.to_string()).collect();
    assert_eq!(values(kafka, &vehicles, 400)?, expected);
    assert_eq!(isthmus.figure("sinks", "vehicles", "dropped")?, 0);
    device.ping()
}

#[test]
fn ca_that_cannot_be_used_is_reported_and_the_link_goes_on() -> Result<()> {
    let secure = Secure::shared()?;
    let kafka = &secure.kafka;
    let (vehicles, commands) = (kafka.topic("vehicles")?, kafka.topic("commands")?);
    let ca = secure.authority.pem();
    let user = [("username", SCRAM.0), ("password", SCRAM.1)];
    let volume = Volume::with(&[("kafka-user", &user), ("ca", &[("ca.crt", &ca)])])?;
    let isthmus =
        Isthmus::pod_with(plan(manifest::bridge(), connector(secure), [&vehicles, &commands])?, volume.path())?;
    isthmus.wait_for_state("sinks", "vehicles", "Connected")?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    volume.swap(&[("kafka-user", &user), ("ca", &[("ca.crt", "no certificate")])])?;
    let message = isthmus.wait_for_rejection()?;
    assert!(message.starts_with("Secret ca, key ca.crt: holds no PEM certificate"), "{message}");
    assert!(message.contains("what was read before stays in use"), "{message}");
    publish_numbers(&mut device, 0..10)?;
    isthmus.wait_for("sinks", "vehicles", "success", 10)?;
    assert_eq!(isthmus.link("sinks", "vehicles")?["state"], "Connected");
    Ok(())
}

#[test]
fn secret_that_comes_later_is_waited_for() -> Result<()> {
    let secure = Secure::shared()?;
    let kafka = &secure.kafka;
    let (vehicles, commands) = (kafka.topic("vehicles")?, kafka.topic("commands")?);
    let ca = secure.authority.pem();
    let volume = Volume::with(&[("ca", &[("ca.crt", &ca)])])?;
    let isthmus =
        Isthmus::pod_with(plan(manifest::bridge(), connector(secure), [&vehicles, &commands])?, volume.path())?;
    let link = isthmus.wait_for_reason("sinks", "vehicles", "SecretNotUsable")?;
    let message = link["message"].as_str().context("no message")?;
    assert!(message.starts_with("Secret kafka-user: is not there: create it"), "{message}");
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    device.subscribe("cmd/+")?;
    publish_numbers(&mut device, 0..10)?;
    kafka.write(&commands, "car-7", "hello", &[])?;
    volume.swap(&[("kafka-user", &[("username", SCRAM.0), ("password", SCRAM.1)]), ("ca", &[("ca.crt", &ca)])])?;
    isthmus.wait_for("sinks", "vehicles", "success", 10)?;
    assert_eq!(device.message()?.payload, b"hello");
    eventually("nothing is rejected any more", SOON, || {
        let status = isthmus.status()?;
        if status["rejected"].is_null() { Ok(()) } else { Err(anyhow!("{status}")) }
    })
}

#[test]
fn changed_users_are_in_force_for_the_next_connections() -> Result<()> {
    let bridge = manifest::bridge()
        .with("authentication.anonymous", "Deny")
        .with("authentication.usersSecretRef", json!({"name": "users"}))
        .with("listeners", json!([{"name": "mqtt", "port": port::free()?}]));
    let file = manifest::with_secrets(&manifest::documents(&[bridge]), &[("users", &[("car-7", "")])]);
    let volume = Volume::with(&[("users", &[("car-7", "plain:one")])])?;
    let isthmus = Isthmus::pod_with(isthmus::render(&file)?, volume.path())?;
    let publish = |user: &str, password: &str| {
        mosquitto::publish(isthmus.mqtt(), V5, "t/1", "hello", &["-u", user, "-P", password])
    };
    publish("car-7", "one")?;
    volume.swap(&[("users", &[("car-7", "plain:two"), ("car-8", "plain:new")])])?;
    eventually("the new user gets in", SOON, || publish("car-8", "new"))?;
    publish("car-7", "two")?;
    assert!(publish("car-7", "one").is_err(), "the old password is of no use");
    Ok(())
}

#[test]
fn no_value_of_a_secret_is_seen_anywhere() -> Result<()> {
    let secure = Secure::shared()?;
    let kafka = &secure.kafka;
    let (vehicles, commands) = (kafka.topic("vehicles")?, kafka.topic("commands")?);
    let (ca, client) = (secure.authority.pem(), secure.authority.issue("client", &["client"])?);
    let bridge = manifest::bridge().with("authentication.usersSecretRef", json!({"name": "users"}));
    let connector = connector(secure).with("kafka.tls.certificateSecretRef", json!({"name": "kafka-user"}));
    let plan = {
        let keys = [("username", ""), ("password", ""), ("tls.crt", ""), ("tls.key", "")];
        let file = manifest::with_secrets(
            &manifest::documents(&[
                bridge.with("listeners", json!([{"name": "mqtt", "port": port::free()?}])),
                connector,
                sink("vehicles", &vehicles),
                source("commands")
                    .with("groupId", Kafka::unused_name("commands"))
                    .and("topicMapping", json!({"kafkaTopic": commands, "mqttTopic": "cmd/1"})),
                rule("all", r#"SELECT * FROM "load/#""#).to_sink("vehicles"),
            ]),
            &[("kafka-user", &keys), ("ca", &[("ca.crt", "")]), ("users", &[("car-7", "plain:the-users-password")])],
        );
        isthmus::render(&file)?
    };
    let with_password = |password: &'static str| {
        [("username", SCRAM.0), ("password", password), ("tls.crt", client.chain.as_str()), ("tls.key", &client.key)]
    };
    let users = [("car-7", "plain:the-users-password"), ("car-8", "a-broken-hash")];
    let volume = Volume::with(&[
        ("kafka-user", &with_password("a-wrong-password")),
        ("ca", &[("ca.crt", &ca)]),
        ("users", &users),
    ])?;
    let mut isthmus = Isthmus::pod_logging(&plan, volume.path(), "trace")?;
    isthmus.wait_for_reason("sinks", "vehicles", "AuthenticationFailed")?;
    volume.swap(&[("kafka-user", &with_password(SCRAM.1)), ("ca", &[("ca.crt", &ca)]), ("users", &users)])?;
    isthmus.wait_for_state("sinks", "vehicles", "Connected")?;
    mosquitto::publish(isthmus.mqtt(), V5, "load/1", "hello", &["-u", "car-7", "-P", "the-users-password"])?;
    // And a private key that is damaged, half a line of it.
    let (half, _) = client.key.split_at(client.key.len() / 2);
    let damaged = [("username", SCRAM.0), ("password", SCRAM.1), ("tls.crt", &client.chain), ("tls.key", half)];
    volume.swap(&[("kafka-user", &damaged), ("ca", &[("ca.crt", &ca)]), ("users", &users)])?;
    isthmus.wait_for_rejection()?;

    let key_line = client.key.lines().nth(1).context("a key has lines")?.to_owned();
    let values =
        ["a-wrong-password", SCRAM.1, "the-users-password", "a-broken-hash", key_line.as_str()].map(str::to_owned);
    let status = isthmus.get("/v1/status")?.1;
    let metrics = isthmus.get("/metrics")?.1;
    isthmus.process_mut().kill()?;
    let log = isthmus.process().output();
    assert!(log.contains("AuthenticationFailed"), "the log says what happens: {log}");
    for value in values {
        for (place, text) in
            [("the status", &status), ("the metrics", &metrics), ("the log", &log), ("the plan", &plan)]
        {
            assert!(!text.contains(&value), "{place} shows {value}");
        }
    }
    Ok(())
}

/// A plan with the Sink `open`, which needs no Secret, and, if asked for, one through a Kafka that needs `kafka-user`.
fn growing(port: u16, servers: [&str; 2], topics: [&str; 2], whole: bool) -> Result<String> {
    let connector = |name: &str, bootstrap: &str| {
        manifest::connector().named(name).with("kafka.bootstrapServers", json!([bootstrap]))
    };
    let to = |name: &str, topic: &str| sink(name, topic).with("value", "${.payload}").with("connectorRef.name", name);
    let mut resources = vec![
        manifest::bridge().with("listeners", json!([{"name": "mqtt", "port": port}])),
        connector("open", servers[0]),
        to("open", topics[0]),
        rule("open", r#"SELECT * FROM "load/#""#).to_sink("open"),
    ];
    if whole {
        let credentials = json!({"secretRef": {"name": "kafka-user"}});
        resources.extend([
            connector("closed", servers[1]).with("kafka.authentication.plain", credentials),
            to("closed", topics[1]),
            rule("closed", r#"SELECT * FROM "safe/#""#).to_sink("closed"),
        ]);
    }
    let user = [("username", ""), ("password", "")];
    isthmus::render(&manifest::with_secrets(&manifest::documents(&resources), &[("kafka-user", &user)]))
}

#[test]
fn plan_that_needs_a_secret_which_is_not_mounted_is_not_taken_until_it_is() -> Result<()> {
    let secure = Secure::shared()?;
    let (kafka, closed) = (Kafka::shared()?, &secure.kafka);
    let (open, safe) = (kafka.topic("open")?, closed.topic("safe")?);
    let port = port::free()?;
    let plan = |whole| growing(port, [kafka.bootstrap(), &secure.sasl()], [&open, &safe], whole);
    let volume = Volume::with(&[])?;
    let isthmus = Isthmus::pod_with(plan(false)?, volume.path())?;
    let revision = isthmus.revision()?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    isthmus.edit(plan(true)?)?;
    let message = isthmus.wait_for_rejection()?;
    assert!(message.contains("the Secret `kafka-user`"), "{message}");
    let status = isthmus.status()?;
    assert_eq!(status["rejected"]["reason"], "SecretNotMounted", "{status}");
    assert_eq!(status["revision"], revision.as_str(), "the plan before goes on, whole");
    assert_eq!(device.publish_and_wait("safe/1", b"lost")?, 0x10, "nobody took it, and the device is told");
    assert_eq!(device.publish_and_wait("load/1", b"one")?, 0);
    isthmus.wait_for("sinks", "open", "success", 1)?;

    volume.swap(&[("kafka-user", &[("username", PLAIN.0), ("password", PLAIN.1)])])?;
    eventually("the new plan is in force", SOON, || match isthmus.status()? {
        status if status["revision"] != revision.as_str() => Ok(()),
        status => Err(anyhow!("{status}")),
    })?;
    assert_eq!(isthmus.status()?["rejected"], json!(null));
    assert_eq!(device.publish_and_wait("safe/1", b"kept")?, 0);
    assert_eq!(values(closed, &safe, 1)?, ["kept"]);
    Ok(())
}

#[test]
fn stopping_does_not_wait_for_a_secret_and_says_what_is_lost() -> Result<()> {
    let secure = Secure::shared()?;
    let (kafka, closed) = (Kafka::shared()?, &secure.kafka);
    let (open, safe) = (kafka.topic("open")?, closed.topic("safe")?);
    let volume = Volume::with(&[])?;
    // A process that starts takes the plan as it is.
    let plan = growing(port::free()?, [kafka.bootstrap(), &secure.sasl()], [&open, &safe], true)?;
    let isthmus = Isthmus::pod_with(plan, volume.path())?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "device")?;
    assert_eq!(device.publish_and_wait("safe/1", b"buffered")?, 0);
    isthmus.wait_for("sinks", "closed", "queuing", 1)?;
    drop(device);
    let said = isthmus.stop_within(Duration::from_secs(10))?;
    assert!(said.contains("its records cannot be sent and will be lost"), "{said}");
    assert!(said.contains("Sink closed: 1 records in the buffer did not reach Kafka"), "{said}");
    Ok(())
}
