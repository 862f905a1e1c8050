//! Listeners with TLS: who gets in, who does not, and what a certificate's change means to whom.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use isthmus_tests::certificates::{Authority, Certificate};
use isthmus_tests::condition::eventually;
use isthmus_tests::isthmus::{self, Isthmus, Start};
use isthmus_tests::manifest;
use isthmus_tests::mosquitto::{self, Subscriber, Version};
use isthmus_tests::secrets::Volume;
use isthmus_tests::{Result, environment, port};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);
const HOSTS: [&str; 2] = ["localhost", "127.0.0.1"];

/// Files for clients, gone with the test.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn write(&self, name: &str, text: &str) -> Result<String> {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.to_str().context("an unusual path")?.to_owned())
    }
}

fn pair(certificate: &Certificate) -> [(&str, &str); 2] {
    [("tls.crt", &certificate.chain), ("tls.key", &certificate.key)]
}

/// A pod with one listener, `mqtt`, that has this TLS.
fn pod(tls: &Value, volume: &Volume) -> Result<Isthmus> {
    let listener = json!({"name": "mqtt", "port": port::free()?, "tls": tls});
    let bridge = manifest::bridge().with("listeners", json!([listener]));
    // The plan is rendered from Secrets with the same keys, as the operator sees them.
    let keys = [("tls.crt", ""), ("tls.key", ""), ("ca.crt", "")];
    let file = manifest::with_secrets(&manifest::documents(&[bridge]), &[("mqtt-tls", &keys), ("devices", &keys)]);
    Isthmus::pod_with(isthmus::render(&file)?, volume.path())
}

fn secured() -> Value {
    json!({"secretRef": {"name": "mqtt-tls"}})
}

#[test]
fn both_versions_speak_over_tls_and_large_messages_arrive_whole() -> Result<()> {
    let authority = Authority::new("mqtt-authority")?;
    let own = authority.issue("mqtt", &HOSTS)?;
    let volume = Volume::with(&[("mqtt-tls", &pair(&own))])?;
    let isthmus = pod(&secured(), &volume)?;
    assert_eq!(isthmus.status()?["listeners"][0]["tls"], true);
    let files = Files::new()?;
    let ca = files.write("ca.crt", &authority.pem())?;
    let large = "x".repeat(100_000);
    for version in [Version::V311, Version::V5] {
        let subscriber = Subscriber::start(isthmus.mqtt(), version, "t/+", &["--cafile", &ca])?;
        mosquitto::publish(isthmus.mqtt(), version, "t/small", "hello", &["--cafile", &ca])?;
        assert_eq!(subscriber.payload("t/small", SOON)?, "hello");
        mosquitto::publish(isthmus.mqtt(), version, "t/large", &large, &["--cafile", &ca])?;
        assert_eq!(subscriber.payload("t/large", SOON)?, large);
    }
    isthmus.stop()?;
    Ok(())
}

#[test]
fn secure_example_runs_on_one_machine() -> Result<()> {
    let example = std::fs::read_to_string(environment::checkout("examples/secure.yaml"))?;
    // As the command in its head takes it out.
    let begin = example.lines().position(|line| line.trim_start().starts_with("-----BEGIN CERT")).context("no PEM")?;
    let lines: Vec<_> = example.lines().skip(begin).map(str::trim).collect();
    let end = lines.iter().position(|line| line.starts_with("-----END CERT")).context("no end")?;
    let files = Files::new()?;
    let ca = files.write("ca.crt", &lines[..=end].join("\n"))?;
    // The harness looks for a listener of this name.
    let isthmus = Start::embedded().manifests(&example.replace("name: mqtts", "name: mqtt"))?;
    let user = ["--cafile", &ca, "-u", "car-7", "-P", "secret"];
    mosquitto::publish(isthmus.mqtt(), Version::V5, "vehicles/7/telemetry", r#"{"speed":130}"#, &user)?;
    isthmus.wait_for("sinks", "vehicles", "success", 1)?;
    isthmus.process().line("that Kafka's users are not used", SOON, |line| {
        line.contains("those of Connector kafka are not used").then_some(())
    })
}

#[test]
fn mutual_tls_refuses_a_client_without_a_certificate_of_its_ca() -> Result<()> {
    let (authority, devices) = (Authority::new("mqtt-authority")?, Authority::new("device-authority")?);
    let own = authority.issue("mqtt", &HOSTS)?;
    let volume = Volume::with(&[("mqtt-tls", &pair(&own)), ("devices", &[("ca.crt", &devices.pem())])])?;
    let tls = json!({
        "secretRef": {"name": "mqtt-tls"}, "clientAuth": "Required", "caSecretRef": {"name": "devices"},
    });
    let isthmus = pod(&tls, &volume)?;
    let files = Files::new()?;
    let ca = files.write("ca.crt", &authority.pem())?;
    let certified = |authority: &Authority, name: &str| -> Result<Vec<String>> {
        let device = authority.issue(name, &[name])?;
        let certificate = files.write(&format!("{name}.crt"), &device.chain)?;
        let key = files.write(&format!("{name}.key"), &device.key)?;
        Ok(vec!["--cafile".to_owned(), ca.clone(), "--cert".to_owned(), certificate, "--key".to_owned(), key])
    };
    let publish = |arguments: &[String]| {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        mosquitto::publish(isthmus.mqtt(), Version::V5, "t/1", "hello", &arguments)
    };
    publish(&certified(&devices, "car-7")?)?;
    assert!(publish(&["--cafile".to_owned(), ca.clone()]).is_err(), "without a certificate");
    assert!(publish(&certified(&authority, "stranger")?).is_err(), "with one of another CA");
    eventually("both are counted", SOON, || {
        let refused = isthmus.status()?["mqtt"]["refused"].clone();
        let tls = refused.as_array().into_iter().flatten().find(|entry| entry[0] == "tls");
        let count = tls.and_then(|entry| entry[1].as_u64()).unwrap_or(0);
        if count >= 2 { Ok(()) } else { Err(anyhow!("{refused}")) }
    })?;
    publish(&certified(&devices, "car-8")?)
}

#[test]
fn plain_client_on_a_tls_port_loses_only_its_own_connection() -> Result<()> {
    let authority = Authority::new("mqtt-authority")?;
    let own = authority.issue("mqtt", &HOSTS)?;
    let volume = Volume::with(&[("mqtt-tls", &pair(&own))])?;
    let isthmus = pod(&secured(), &volume)?;
    let files = Files::new()?;
    let ca = files.write("ca.crt", &authority.pem())?;
    let subscriber = Subscriber::start(isthmus.mqtt(), Version::V5, "t/+", &["--cafile", &ca])?;
    assert!(mosquitto::publish(isthmus.mqtt(), Version::V5, "t/1", "in clear", &[]).is_err());
    mosquitto::publish(isthmus.mqtt(), Version::V5, "t/2", "hello", &["--cafile", &ca])?;
    assert_eq!(subscriber.payload("t/2", SOON)?, "hello");
    assert!(!subscriber.output().contains("in clear"));
    Ok(())
}

#[test]
fn stalled_handshake_ends_at_its_deadline() -> Result<()> {
    let authority = Authority::new("mqtt-authority")?;
    let own = authority.issue("mqtt", &HOSTS)?;
    let volume = Volume::with(&[("mqtt-tls", &pair(&own))])?;
    let isthmus = pod(&secured(), &volume)?;
    let start = Instant::now();
    let stalled = |bytes: &[u8]| -> Result<TcpStream> {
        let mut socket = TcpStream::connect(isthmus.mqtt())?;
        socket.write_all(bytes)?;
        socket.set_read_timeout(Some(2 * SOON))?;
        Ok(socket)
    };
    // Nothing at all, and the first bytes of a ClientHello.
    for mut socket in [stalled(&[])?, stalled(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01])?] {
        let mut end = [0; 16];
        assert!(matches!(socket.read(&mut end), Ok(0) | Err(_)), "nothing is said to it");
        assert!(start.elapsed() < SOON, "it ended by itself, after {:?}", start.elapsed());
    }
    Ok(())
}

#[test]
fn changed_certificate_is_shown_to_the_next_clients_and_the_others_stay() -> Result<()> {
    let (old, new) = (Authority::new("old-authority")?, Authority::new("new-authority")?);
    let (first, second) = (old.issue("mqtt", &HOSTS)?, new.issue("mqtt", &HOSTS)?);
    let volume = Volume::with(&[("mqtt-tls", &pair(&first))])?;
    let isthmus = pod(&secured(), &volume)?;
    let files = Files::new()?;
    let (old_ca, new_ca) = (files.write("old.crt", &old.pem())?, files.write("new.crt", &new.pem())?);
    let mut early = Subscriber::start(isthmus.mqtt(), Version::V5, "t/+", &["--cafile", &old_ca])?;
    let connections = isthmus.status()?["mqtt"]["connectionsTotal"].clone();
    volume.swap(&[("mqtt-tls", &pair(&second))])?;
    eventually("the next client sees the new certificate", SOON, || {
        mosquitto::publish(isthmus.mqtt(), Version::V5, "t/1", "new", &["--cafile", &new_ca])
    })?;
    assert_eq!(early.payload("t/1", SOON)?, "new", "the one before was not disturbed");
    assert!(early.process_mut().is_running()?);
    assert!(mosquitto::publish(isthmus.mqtt(), Version::V5, "t/2", "old", &["--cafile", &old_ca]).is_err());
    let after = isthmus.status()?;
    assert_eq!(after["mqtt"]["connectionsTotal"].as_u64(), connections.as_u64().map(|count| count + 1), "{after}");
    assert_eq!(after["rejected"], Value::Null, "{after}");
    Ok(())
}

#[test]
fn certificate_that_cannot_be_used_is_reported_and_the_old_one_goes_on() -> Result<()> {
    let authority = Authority::new("mqtt-authority")?;
    let (first, second) = (authority.issue("mqtt", &HOSTS)?, authority.issue("mqtt", &HOSTS)?);
    let volume = Volume::with(&[("mqtt-tls", &pair(&first))])?;
    let isthmus = pod(&secured(), &volume)?;
    let files = Files::new()?;
    let ca = files.write("ca.crt", &authority.pem())?;
    let goes_on = || mosquitto::publish(isthmus.mqtt(), Version::V5, "t/1", "hello", &["--cafile", &ca]);
    goes_on()?;
    // Half of a pair.
    volume.swap(&[("mqtt-tls", &[("tls.crt", &second.chain), ("tls.key", &first.key)])])?;
    let message = isthmus.wait_for_rejection()?;
    assert!(message.starts_with("Secret mqtt-tls, key tls.key: belongs to another certificate"), "{message}");
    goes_on()?;
    volume.swap(&[("mqtt-tls", &[("tls.crt", "no certificate"), ("tls.key", &second.key)])])?;
    eventually("the new problem is told", SOON, || {
        let message = isthmus.wait_for_rejection()?;
        if message.contains("key tls.crt: holds no PEM certificate") { Ok(()) } else { Err(anyhow!("{message}")) }
    })?;
    goes_on()?;
    volume.swap(&[("mqtt-tls", &pair(&second))])?;
    eventually("nothing is rejected any more", SOON, || {
        let status = isthmus.status()?;
        if status["rejected"].is_null() { Ok(()) } else { Err(anyhow!("{status}")) }
    })?;
    goes_on()
}
