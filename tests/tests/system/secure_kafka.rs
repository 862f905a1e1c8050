//! Kafka that asks who its clients are: every way of proving it, with the Secrets that people have.

use std::time::Duration;

use anyhow::ensure;
use isthmus_tests::Result;
use isthmus_tests::isthmus::Start;
use isthmus_tests::kafka::secure::{PLAIN, SCRAM};
use isthmus_tests::kafka::{Kafka, Secure};
use isthmus_tests::manifest::{self, Resource, rule, sink, source};
use isthmus_tests::mosquitto::{self, Subscriber, Version::V5};
use isthmus_tests::secrets::Secret;
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);

/// A Sink and a Source through this Connector.
fn both_ways(connector: Resource, topics: [&str; 2], secrets: &[Secret<'_>]) -> String {
    let [vehicles, commands] = topics;
    let mapping = json!({"kafkaTopic": commands, "mqttTopic": "cmd/${.key}", "qos": 1, "payloadTemplate": "${.value}"});
    let resources = [
        manifest::bridge(),
        connector,
        sink("vehicles", vehicles).with("value", "${.payload}").with("requestMode", "Sync"),
        source("commands")
            .with("groupId", Kafka::unused_name("commands"))
            .with("offsetReset", "Earliest")
            .and("topicMapping", mapping),
        rule("all", r#"SELECT * FROM "load/#""#).to_sink("vehicles"),
    ];
    manifest::with_secrets(&manifest::documents(&resources), secrets)
}

/// Publishes to Kafka and reads from it, through this Connector at this address, in local mode.
fn carries_both_ways(at: &str, connector: Resource, secrets: &[Secret<'_>]) -> Result<()> {
    carries_with(&Start::at(at), connector, secrets)
}

fn carries_with(start: &Start, connector: Resource, secrets: &[Secret<'_>]) -> Result<()> {
    let kafka = &Secure::shared()?.kafka;
    let (vehicles, commands) = (kafka.topic("vehicles")?, kafka.topic("commands")?);
    let isthmus = start.manifests(&both_ways(connector, [&vehicles, &commands], secrets))?;
    isthmus.wait_for_state("sinks", "vehicles", "Connected")?;
    mosquitto::publish(isthmus.mqtt(), V5, "load/1", "to kafka", &[])?;
    assert_eq!(kafka.read(&vehicles, 1, SOON)?[0].value.as_deref(), Some("to kafka"));
    let subscriber = Subscriber::start(isthmus.mqtt(), V5, "cmd/+", &[])?;
    kafka.write(&commands, "car-7", "from kafka", &[])?;
    assert_eq!(subscriber.payload("cmd/car-7", SOON)?, "from kafka");
    isthmus.wait_for_state("sources", "commands", "Connected")?;
    Ok(())
}

fn basic_auth<'a>((username, password): (&'a str, &'a str)) -> [(&'a str, &'a str); 2] {
    [("username", username), ("password", password)]
}

fn with_user(mechanism: &str) -> Resource {
    let credentials = json!({"secretRef": {"name": "kafka-user"}});
    manifest::connector().with(&format!("kafka.authentication.{mechanism}"), credentials)
}

#[test]
fn plain_carries_records_both_ways() -> Result<()> {
    let secure = Secure::shared()?;
    carries_both_ways(&secure.sasl(), with_user("plain"), &[("kafka-user", &basic_auth(PLAIN))])
}

#[test]
fn scram_sha_256_carries_records_both_ways() -> Result<()> {
    let secure = Secure::shared()?;
    carries_both_ways(&secure.sasl(), with_user("scramSha256"), &[("kafka-user", &basic_auth(SCRAM))])
}

#[test]
fn scram_sha_512_over_tls_works_with_the_secrets_of_strimzi() -> Result<()> {
    let secure = Secure::shared()?;
    let (user, password) = SCRAM;
    // A KafkaUser's Secret is called as the user is, and has no user name in it.
    let connector = manifest::connector()
        .with("kafka.authentication.scramSha512", json!({"secretRef": {"name": user}}))
        .with("kafka.tls.caSecretRef", json!({"name": "fleet-cluster-ca-cert"}));
    let secrets: [Secret<'_>; 2] = [
        (user, &[("password", password), ("sasl.jaas.config", "not used")]),
        ("fleet-cluster-ca-cert", &[("ca.crt", &secure.authority.pem()), ("ca.password", "not used")]),
    ];
    carries_both_ways(&secure.sasl_tls(), connector, &secrets)
}

fn with_certificate(secret: &str) -> Resource {
    let own = json!({"name": secret});
    manifest::connector().with("kafka.tls", json!({"caSecretRef": own, "certificateSecretRef": own}))
}

#[test]
fn client_certificate_of_cert_manager_carries_records_both_ways() -> Result<()> {
    let secure = Secure::shared()?;
    let client = secure.authority.issue("client", &["client"])?;
    let ca = secure.authority.pem();
    let secret: [(&str, &str); 3] = [("tls.crt", &client.chain), ("tls.key", &client.key), ("ca.crt", &ca)];
    carries_both_ways(&secure.mutual(), with_certificate("client"), &[("client", &secret)])
}

#[test]
fn client_certificate_of_a_strimzi_user_carries_records_both_ways() -> Result<()> {
    let secure = Secure::shared()?;
    let client = secure.authority.issue("my-user", &["my-user"])?;
    let ca = secure.authority.pem();
    let secret: [(&str, &str); 3] = [("user.crt", &client.chain), ("user.key", &client.key), ("ca.crt", &ca)];
    carries_both_ways(&secure.mutual(), with_certificate("my-user"), &[("my-user", &secret)])
}

#[test]
fn tls_without_a_ca_takes_those_of_the_machine() -> Result<()> {
    let secure = Secure::shared()?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), secure.authority.pem())?;
    let start = Start::at(&secure.sasl_tls()).variable("SSL_CERT_FILE", &file.path().display().to_string());
    carries_with(&start, with_user("plain").with("kafka.tls", json!({})), &[("kafka-user", &basic_auth(PLAIN))])
}

#[test]
fn host_name_and_ca_are_checked_unless_told_otherwise() -> Result<()> {
    let secure = Secure::shared()?;
    // The certificate is for `localhost`; this is how the broker is reached here.
    let by_address = secure.sasl_tls().replace("localhost", "127.0.0.1");
    let ca = secure.authority.pem();
    let tls = |tls: serde_json::Value| with_user("plain").with("kafka.tls", tls);
    let user = basic_auth(PLAIN);
    let secrets: [Secret<'_>; 2] = [("kafka-user", &user), ("ca", &[("ca.crt", &ca)])];
    carries_both_ways(&by_address, tls(json!({"caSecretRef": {"name": "ca"}, "verifyHostname": false})), &secrets)?;
    carries_both_ways(&by_address, tls(json!({"insecureSkipVerify": true})), &secrets)
}

/// What the links say when the broker's certificate is not accepted.
fn complaint(at: &str, ca: &str) -> Result<String> {
    let secure = Secure::shared()?;
    let topic = secure.kafka.topic("refused")?;
    let connector = with_user("plain").with("kafka.tls.caSecretRef", json!({"name": "ca"}));
    let user = basic_auth(PLAIN);
    let secrets: [Secret<'_>; 2] = [("kafka-user", &user), ("ca", &[("ca.crt", ca)])];
    let isthmus = Start::at(at).manifests(&both_ways(connector, [&topic, &topic], &secrets))?;
    let what = |list: &str, name: &str| {
        isthmus_tests::condition::eventually(&format!("{name} says whose certificate it is about"), SOON, || {
            let link = isthmus.link(list, name)?;
            let message = link["message"].as_str().unwrap_or_default().to_owned();
            ensure!(link["reason"] == "TlsFailed" && message.starts_with("the certificate of"), "{link}");
            Ok::<_, anyhow::Error>(message)
        })
    };
    let message = what("sinks", "vehicles")?;
    assert_eq!(what("sources", "commands")?, message);
    Ok(message)
}

#[test]
fn unknown_ca_is_told_as_such() -> Result<()> {
    let at = Secure::shared()?.sasl_tls();
    let stranger = isthmus_tests::certificates::Authority::new("somebody-else")?;
    assert_eq!(
        complaint(&at, &stranger.pem())?,
        format!(
            "the certificate of {at} is not from the CA in Secret ca: store the CA that signed it; it keeps trying"
        )
    );
    Ok(())
}

#[test]
fn wrong_host_name_is_told_as_such() -> Result<()> {
    let secure = Secure::shared()?;
    let at = secure.sasl_tls().replace("localhost", "127.0.0.1");
    let message = complaint(&at, &secure.authority.pem())?;
    assert!(message.contains("is not for the host name 127.0.0.1 but for"), "{message}");
    assert!(message.contains("localhost") && message.contains("verifyHostname"), "{message}");
    Ok(())
}

#[test]
fn embedded_kafka_says_that_it_has_no_users() -> Result<()> {
    let isthmus = Start::embedded().manifests(&both_ways(with_user("plain"), ["a", "b"], &[]))?;
    isthmus.process().line("that users are not used", SOON, |line| {
        line.contains("the embedded Kafka has no users and no TLS: those of Connector kafka are not used").then_some(())
    })?;
    isthmus.wait_for_state("sinks", "vehicles", "Connected")?;
    Ok(())
}
