//! Bytes that no decent client sends: they cost their sender the connection, and nobody else.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::isthmus::{Isthmus, Start};
use isthmus_tests::manifest;
use isthmus_tests::mosquitto::Version::{self, V5, V311};
use isthmus_tests::mqtt::{Client, Packet, packet};

/// A broker with a small packet limit, and a client that must not notice what others do.
struct Scene {
    isthmus: Isthmus,
    bystander: Client,
}

impl Scene {
    fn set() -> Result<Self> {
        let bridge = manifest::bridge().with("mqtt.maxPacketSize", "4Ki");
        let isthmus = Start::embedded().manifests(&manifest::documents(&[bridge]))?;
        let mut bystander = Client::connect(isthmus.mqtt(), V5, "bystander")?;
        bystander.subscribe("news")?;
        Ok(Self { isthmus, bystander })
    }

    /// A client of this version that is let in.
    fn client(&self, version: Version) -> Result<Client> {
        Client::connect(self.isthmus.mqtt(), version, "offender")
    }

    /// Checks that the bystander still gets messages.
    fn is_unharmed(&mut self, after: &str) -> Result<()> {
        let mut reporter = Client::connect(self.isthmus.mqtt(), V311, "reporter")?;
        reporter.publish_and_wait("news", after.as_bytes())?;
        let message = self.bystander.message().with_context(|| format!("after {after}"))?;
        ensure!(message.payload == after.as_bytes(), "after {after}: {message:?}");
        Ok(())
    }
}

/// What the broker answers to these bytes before it closes the connection.
fn last_words(client: &mut Client, what: &str, bytes: &[u8]) -> Result<Option<Packet>> {
    // The broker may close before everything is written.
    let written = client.send(bytes);
    let mut last = None;
    for _ in 0..4 {
        let packet = client.receive().with_context(|| format!("after {what}: {written:?}"))?;
        if packet == Packet::Closed {
            return Ok(last);
        }
        last = Some(packet);
    }
    Err(anyhow::anyhow!("after {what} the connection stays open: {last:?}"))
}

#[test]
fn first_packet_that_is_not_connect_closes_only_that_connection() -> Result<()> {
    let mut scene = Scene::set()?;
    for (what, bytes) in [
        ("PINGREQ", packet::pingreq()),
        ("DISCONNECT", packet::disconnect()),
        ("PUBLISH", packet::publish(V311, b"news", 0, 0, b"x")),
        ("SUBSCRIBE", packet::subscribe(V311, 1, b"#", 0)),
        ("an HTTP request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a TLS hello", [&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3][..], &[0; 40]].concat()),
        ("zeros", vec![0; 64]),
        ("0xFF", vec![0xFF; 64]),
    ] {
        let mut client = Client::open(scene.isthmus.mqtt(), V311)?;
        let answer = last_words(&mut client, what, &bytes)?;
        assert_eq!(answer, None, "no answer to {what}: it is not known to be MQTT");
        scene.is_unharmed(what)?;
    }
    Ok(())
}

#[test]
fn malformed_packet_closes_only_that_connection() -> Result<()> {
    let mut scene = Scene::set()?;
    let malformed: [(&str, &[u8]); 14] = [
        ("a remaining length of five bytes", &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]),
        ("packet type 0", &[0x00, 0]),
        ("a PUBLISH of QoS 3", &[0x36, 7, 0, 1, b'a', 0, 1, 0, b'x']),
        ("a PUBLISH with packet id 0", &[0x32, 6, 0, 1, b'a', 0, 0, 0]),
        ("a PUBLISH shorter than its topic", &[0x30, 4, 0, 9, b'a', b'b']),
        ("an empty PUBLISH", &[0x30, 0]),
        ("a SUBSCRIBE with wrong flags", &[0x80, 7, 0, 1, 0, 0, 1, b'a', 0]),
        ("a SUBSCRIBE without a filter", &[0x82, 3, 0, 1, 0]),
        ("a CONNACK from a client", &[0x20, 2, 0, 0]),
        ("a SUBACK from a client", &[0x90, 4, 0, 1, 0, 0]),
        ("an UNSUBACK from a client", &[0xB0, 3, 0, 1, 0]),
        ("a PINGRESP from a client", &[0xD0, 0]),
        ("a PINGREQ with a body", &[0xC0, 1, 0]),
        ("a PUBACK that is cut off", &[0x40, 1, 0]),
    ];
    for (what, bytes) in malformed {
        for version in [V311, V5] {
            let mut client = scene.client(version)?;
            let answer = last_words(&mut client, what, bytes)?;
            match version {
                V311 => assert_eq!(answer, None, "3.1.1 has no word for {what}"),
                V5 => assert!(matches!(answer, Some(Packet::Disconnect(0x81 | 0x82 | 0x9B))), "{what}: {answer:?}"),
            }
            scene.is_unharmed(what)?;
        }
    }
    Ok(())
}

#[test]
fn packet_out_of_order_closes_only_that_connection() -> Result<()> {
    let mut scene = Scene::set()?;
    for (what, bytes) in
        [("a second CONNECT", packet::connect(V5, "offender")), ("AUTH without a method", vec![0xF0, 0])]
    {
        let mut client = scene.client(V5)?;
        let answer = last_words(&mut client, what, &bytes)?;
        assert_eq!(answer, Some(Packet::Disconnect(0x82)), "{what} is a protocol error");
        scene.is_unharmed(what)?;
    }
    Ok(())
}

#[test]
fn oversized_packet_is_refused_before_it_is_read() -> Result<()> {
    let mut scene = Scene::set()?;
    // 200 MB are announced and never sent: the header is enough.
    let header = [0x30, 0x80, 0x84, 0xAF, 0x5F];
    let mut old = scene.client(V311)?;
    assert_eq!(last_words(&mut old, "200 MB", &header)?, None);
    let mut new = scene.client(V5)?;
    let answer = last_words(&mut new, "200 MB", &header)?;
    assert_eq!(answer, Some(Packet::Disconnect(0x95)), "packet too large");
    let mut new = scene.client(V5)?;
    let just_over = packet::publish(V5, b"news", 1, 1, &[0; 4096]);
    let answer = last_words(&mut new, "5 kB", &just_over)?;
    assert_eq!(answer, Some(Packet::Disconnect(0x95)));
    scene.is_unharmed("oversized packets")
}

#[test]
fn impossible_topic_closes_only_that_connection() -> Result<()> {
    let mut scene = Scene::set()?;
    let topics: [(&str, &[u8]); 7] = [
        ("a NUL", b"news\0"),
        ("the wildcard +", b"news/+"),
        ("the wildcard #", b"#"),
        ("no UTF-8", b"news\xFF\xFE"),
        ("a surrogate in UTF-8", b"news\xED\xA0\x80"),
        ("an overlong encoding", b"news\xC0\xAF"),
        ("nothing", b""),
    ];
    for (what, topic) in topics {
        for version in [V311, V5] {
            let mut client = scene.client(version)?;
            let publish = packet::publish(version, topic, 1, 1, b"x");
            let answer = last_words(&mut client, what, &publish)?;
            match version {
                V311 => assert_eq!(answer, None, "a topic with {what}"),
                V5 => assert!(
                    matches!(answer, Some(Packet::Disconnect(0x81 | 0x82 | 0x90))),
                    "a topic with {what}: {answer:?}"
                ),
            }
            scene.is_unharmed(what)?;
        }
    }
    Ok(())
}

#[test]
fn topic_of_any_script_is_carried() -> Result<()> {
    let scene = Scene::set()?;
    for version in [V311, V5] {
        let mut subscriber = Client::connect(scene.isthmus.mqtt(), version, "subscriber")?;
        subscriber.subscribe("дома/+/температура")?;
        let mut device = Client::connect(scene.isthmus.mqtt(), version, "device")?;
        let topic = "дома/кухня 🍲/температура";
        assert_eq!(device.publish_and_wait(topic, b"21")?, 0);
        assert_eq!(subscriber.message()?.topic, topic);
    }
    Ok(())
}

#[test]
fn packet_in_single_bytes_is_a_packet() -> Result<()> {
    let scene = Scene::set()?;
    let mut client = Client::open(scene.isthmus.mqtt(), V5)?;
    for byte in packet::connect(V5, "slow") {
        client.send(&[byte])?;
    }
    assert!(matches!(client.receive()?, Packet::ConnAck { code: 0, .. }));
    for byte in packet::publish(V5, b"nowhere", 1, 9, b"x") {
        client.send(&[byte])?;
    }
    assert_eq!(client.receive()?, Packet::PubAck { id: 9, reason: 0x10 }, "nobody listens");
    Ok(())
}

#[test]
fn connection_that_breaks_off_in_a_packet_harms_nobody() -> Result<()> {
    let mut scene = Scene::set()?;
    for length in 1..12 {
        let mut client = scene.client(V5)?;
        let publish = packet::publish(V5, b"news", 1, 1, b"unfinished");
        client.send(&publish[..length])?;
        drop(client);
    }
    scene.is_unharmed("broken connections")
}

#[test]
fn silent_client_is_disconnected_after_its_keep_alive() -> Result<()> {
    let scene = Scene::set()?;
    let mut client = Client::open(scene.isthmus.mqtt(), V5)?;
    client.send(&packet::connect_as(V5, "silent", 1, None))?;
    assert!(matches!(client.receive()?, Packet::ConnAck { code: 0, .. }));
    let answer = client.receive_within(Duration::from_secs(10))?;
    assert_eq!(answer, Some(Packet::Disconnect(0x8D)), "keep alive timeout");
    Ok(())
}
