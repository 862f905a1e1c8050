//! Bytes and packets that no client may send close their own connection, with the reason code of OASIS, and no other.

use isthmus_runtime::mqtt::Settings;
use isthmus_runtime::mqtt::codec::Version::{self, V5, V311};

use crate::client::{CONNACK_V311, Client, Hello, packet, publish, publish_with, string, subscribe};
use crate::edge::{Edge, settings};

/// Sends `bytes` on a connected client's connection and expects it to be closed with `reason`;
/// another client of the same broker does not notice.
async fn closes(edge: &Edge, version: Version, bytes: &[u8], reason: u8) {
    let mut bystander = Client::connect(edge, version, "bystander").await;
    let mut client = Client::connect(edge, version, "offender").await;
    client.send(bytes).await;
    client.expect_disconnect(reason).await;
    bystander.ping().await;
    bystander.send(&[0xE0, 0]).await;
    bystander.expect_closed().await;
    assert_eq!(edge.routed.messages.lock().len(), 0, "nothing of it was routed");
}

async fn closes_both(edge: &Edge, bytes: &[u8], reason: u8) {
    closes(edge, V5, bytes, reason).await;
    closes(edge, V311, bytes, reason).await;
}

#[tokio::test]
async fn malformed_packets_close_only_their_connection() {
    let edge = Edge::start();
    for bytes in [
        &[0x00, 0][..],                     // type 0
        &[0xC1, 0],                         // flags of PINGREQ
        &[0xC0, 0x80, 0x80, 0x80, 0x80, 1], // length of five bytes
        &[0xC0, 0x80, 0x00],                // length longer than it needs to be
        &[0xC0, 1, 0],                      // PINGREQ with a body
        &[0x80, 0],                         // flags of SUBSCRIBE
        &[0x36, 3, 0, 1, b'a'],             // QoS 3
        &[0x38, 3, 0, 1, b'a'],             // DUP with QoS 0
        &[0x30, 1, 0],                      // PUBLISH cut in the topic's length
        &[0x30, 3, 0, 9, b'a'],             // topic longer than the packet
        &[0x30, 4, 0, 2, 0xC3, 0x28],       // topic that is not UTF-8
        &[0x30, 5, 0, 3, b'a', 0, b'b'],    // topic with NUL
    ] {
        closes_both(&edge, bytes, 0x81).await;
    }
}

#[tokio::test]
async fn packets_that_only_a_server_sends_close_the_connection() {
    let edge = Edge::start();
    for bytes in [&[0x20, 2, 0, 0][..], &[0x90, 3, 0, 1, 0], &[0xB0, 2, 0, 1], &[0xD0, 0]] {
        closes_both(&edge, bytes, 0x82).await;
    }
}

#[tokio::test]
async fn packets_out_of_order_close_the_connection() {
    let edge = Edge::start();
    closes(&edge, V5, &Hello::default().packet(V5), 0x82).await;
    closes(&edge, V311, &Hello::default().packet(V311), 0x82).await;
    for bytes in [&[0x50, 2, 0, 1][..], &[0x62, 2, 0, 1], &[0x70, 2, 0, 1], &[0xF0, 0]] {
        closes_both(&edge, bytes, 0x82).await;
    }
    // Packet identifier 0.
    closes_both(&edge, &[0x32, 5, 0, 1, b'a', 0, 0], 0x82).await;
    closes_both(&edge, &[0x40, 2, 0, 0], 0x82).await;
    closes_both(&edge, &subscribe(V311, 0, &[("a", 0)]), 0x82).await;
}

#[tokio::test]
async fn a_first_packet_that_is_not_connect_closes_the_connection() {
    let edge = Edge::start();
    let long = publish(V5, "a", 1, &[b'x'; 3000]);
    for bytes in
        [&[0xC0, 0][..], &long, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", &[0xE0, 0], &[0; 64], &[0xff; 64]]
    {
        let mut client = Client::open(&edge, V311).await;
        client.send(bytes).await;
        client.expect_closed().await;
    }
    assert_eq!(edge.broker.snapshot().connections_refused[0], 6);
    Client::connect(&edge, V5, "next").await.ping().await;
}

#[tokio::test]
async fn an_oversized_packet_is_refused_by_its_header() {
    let edge = Edge::start_with(Settings { max_packet_size: 1000, ..settings() });
    let fits = publish(V5, "a", 1, &vec![b'x'; 1000 - 3 - 6]);
    assert_eq!(fits.len(), 1000);
    let mut client = Client::connect(&edge, V5, "fits").await;
    client.send(&fits).await;
    client.expect(&[0x40, 3, 0, 1, 0x10]).await;
    for version in [V5, V311] {
        let mut client = Client::connect(&edge, version, "too-large").await;
        // 256 MiB are announced, five bytes are sent: the answer does not wait for more.
        client.send(&[0x32, 0xff, 0xff, 0xff, 0x7f]).await;
        client.expect_disconnect(0x95).await;
    }
    let mut client = Client::open(&edge, V5).await;
    client.send(&[0x10, 0xff, 0xff, 0xff, 0x7f]).await;
    client.expect_closed().await;
}

#[tokio::test]
async fn topics_with_wildcards_or_nothing_close_the_connection() {
    let edge = Edge::start();
    for version in [V5, V311] {
        for topic in ["a/+", "a/#", "#", "+", "a+b"] {
            closes(&edge, version, &publish(version, topic, 0, b""), 0x90).await;
            closes(&edge, version, &publish(version, topic, 1, b""), 0x90).await;
        }
        closes(&edge, version, &publish(version, "", 1, b""), 0x82).await;
    }
}

#[tokio::test]
async fn what_is_not_offered_closes_the_connection() {
    let edge = Edge::start();
    let mut retained = publish(V5, "a", 1, b"x");
    retained[0] |= 1;
    closes(&edge, V5, &retained, 0x9A).await;
    closes(&edge, V311, &[0x31, 3, 0, 1, b'a'], 0x9A).await;
    let mut exactly_once = publish(V5, "a", 1, b"x");
    exactly_once[0] = 0x34;
    closes_both(&edge, &exactly_once, 0x9B).await;
    closes(&edge, V5, &publish_with(V5, "", 1, &[0x23, 0, 1], b""), 0x94).await;
    let mut with_identifier = vec![0, 1, 2, 0x0B, 7];
    with_identifier.extend(string("a"));
    with_identifier.push(0);
    closes(&edge, V5, &packet(0x82, &with_identifier), 0xA1).await;
}

#[tokio::test]
async fn properties_are_checked() {
    let edge = Edge::start();
    for (properties, reason) in [
        (&[0x01, 2][..], 0x82),                        // payload format 2
        (&[0x01, 1, 0x01, 1], 0x82),                   // twice
        (&[0x02, 0, 0], 0x81),                         // cut
        (&[0x11, 0, 0, 0, 1], 0x81),                   // belongs to CONNECT
        (&[0x12, 0, 1, b'a'], 0x81),                   // belongs to the server
        (&[0x7E], 0x81),                               // unknown
        (&[0x0B, 1], 0x82),                            // only a server's PUBLISH has it
        (&[0x08, 0, 1, b'#'], 0x90),                   // response topic with wildcard
        (&[0x26, 0, 1, b'a', 0, 2, 0xC3, 0x28], 0x81), // user property that is not UTF-8
    ] {
        closes(&edge, V5, &publish_with(V5, "a", 1, properties, b"x"), reason).await;
    }
}

#[tokio::test]
async fn bad_subscriptions_close_the_connection() {
    let edge = Edge::start();
    for version in [V5, V311] {
        closes(&edge, version, &subscribe(version, 1, &[]), 0x82).await;
        closes(&edge, version, &subscribe(version, 1, &[("", 0)]), 0x82).await;
        closes(&edge, version, &subscribe(version, 1, &[("a\0", 0)]), 0x81).await;
        closes(&edge, version, &subscribe(version, 1, &[("a", 3)]), 0x82).await;
        closes(&edge, version, &subscribe(version, 1, &[("a", 0xC0)]), 0x81).await;
    }
    closes(&edge, V311, &subscribe(V311, 1, &[("a", 4)]), 0x81).await;
    closes(&edge, V5, &subscribe(V5, 1, &[("a", 0x30)]), 0x82).await;
    closes(&edge, V5, &subscribe(V5, 1, &[("$share/g/a", 4)]), 0x82).await;
}

#[tokio::test]
async fn a_bad_connect_is_answered_where_the_protocol_has_an_answer() {
    let edge = Edge::start();
    let answer = async |version: Version, bytes: &[u8]| {
        let mut client = Client::open(&edge, version).await;
        client.send(bytes).await;
        let answer = client.next().await;
        if answer.is_some() {
            client.expect_closed().await;
        }
        answer.map(|connack| connack[3])
    };
    let with = |name: &str, level: u8, flags: u8, rest: &[u8]| {
        let mut body = string(name);
        body.extend([level, flags, 0, 0]);
        body.extend_from_slice(rest);
        packet(0x10, &body)
    };
    // MQTT 3.1, a version yet to come, another protocol.
    assert_eq!(answer(V311, &with("MQIsdp", 3, 2, &string("a"))).await, Some(1));
    assert_eq!(answer(V5, &with("MQTT", 6, 2, &string("a"))).await, Some(0x84));
    assert_eq!(answer(V311, &with("AMQP", 4, 2, &string("a"))).await, None);
    // Reserved flag; will QoS without will; will QoS 3; a password without user name.
    for flags in [0x03, 0x0A, 0x1E, 0x22] {
        assert_eq!(answer(V311, &with("MQTT", 4, flags, &string("a"))).await, None, "{flags:x}");
        let mut rest = vec![0];
        rest.extend(string("a"));
        assert_eq!(answer(V5, &with("MQTT", 5, flags, &rest)).await, Some(0x81), "{flags:x}");
    }
    assert_eq!(answer(V311, &with("MQTT", 4, 0x42, &[0, 1, b'a', 0, 1, b'p'])).await, None);
    // Bytes after the last field; a client id that is not UTF-8; a field cut off.
    assert_eq!(answer(V5, &with("MQTT", 5, 2, &[0, 0, 1, b'a', 9])).await, Some(0x81));
    assert_eq!(answer(V5, &with("MQTT", 5, 2, &[0, 0, 1, 0xff])).await, Some(0x81));
    assert_eq!(answer(V5, &with("MQTT", 5, 2, &[0, 0, 9, b'a'])).await, Some(0x81));
    // Receive Maximum 0, Maximum Packet Size 0, the same property twice, authentication data without method.
    for properties in [&[0x21, 0, 0][..], &[0x27, 0, 0, 0, 0], &[0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1], &[0x16, 0, 0]] {
        assert_eq!(answer(V5, &Hello { properties, ..Hello::default() }.packet(V5)).await, Some(0x82));
    }
    // Enhanced authentication.
    let scram = Hello { properties: &[0x15, 0, 1, b'S'], ..Hello::default() };
    assert_eq!(answer(V5, &scram.packet(V5)).await, Some(0x8C));
    assert_eq!(edge.broker.snapshot().connections, 0);
}

#[tokio::test]
async fn a_packet_in_single_bytes_and_many_packets_at_once_are_the_same() {
    let edge = Edge::start();
    let mut client = Client::open(&edge, V311).await;
    let mut bytes = Hello { client_id: "slow", ..Hello::default() }.packet(V311);
    bytes.extend(publish(V311, "a/b", 1, b"one"));
    bytes.extend(publish(V311, "a/b", 2, b"two"));
    for byte in &bytes {
        client.send(&[*byte]).await;
    }
    client.expect(CONNACK_V311).await;
    client.expect(&[0x40, 2, 0, 1]).await;
    client.expect(&[0x40, 2, 0, 2]).await;
    let mut client = Client::open(&edge, V311).await;
    client.send(&bytes).await;
    client.expect(CONNACK_V311).await;
    client.expect(&[0x40, 2, 0, 1]).await;
    client.expect(&[0x40, 2, 0, 2]).await;
    let payloads: Vec<_> = edge.routed.wait_for(4).await.into_iter().map(|message| message.payload).collect();
    assert_eq!(payloads, ["one", "two", "one", "two"]);
}

#[tokio::test]
async fn a_large_packet_arrives_whole_behind_small_ones() {
    let edge = Edge::start();
    let mut client = Client::connect(&edge, V5, "large").await;
    let large: Vec<u8> = (0..1_000_000u32).map(|index| index as u8).collect();
    let mut bytes = Vec::new();
    for packet_id in 1..=50 {
        bytes.extend(publish(V5, "small", packet_id, b"x"));
    }
    bytes.extend(publish(V5, "large", 51, &large));
    bytes.extend(publish(V5, "small", 52, b"x"));
    client.send(&bytes).await;
    for packet_id in 1..=52 {
        client.expect(&[0x40, 3, 0, packet_id, 0x10]).await;
    }
    let messages = edge.routed.wait_for(52).await;
    assert!(messages[50].payload == large);
}
