//! Clients with little room: a small Maximum Packet Size, a small receive window, a slow line.

use std::sync::Arc;
use std::time::Duration;

use isthmus_runtime::message::{Message, MessageIds, Publisher, QoS};
use isthmus_runtime::mqtt::Settings;
use isthmus_runtime::mqtt::codec::Version::{V5, V311};
use isthmus_runtime::mqtt::counters::{Ending, Refusal};

use crate::client::{Client, Hello, packet, puback, publish, string, subscribe, unsubscribe};
use crate::edge::{Edge, settings};

/// CONNACK of an accepted client whose keep alive is taken as it is.
const CONNACK_SIZE: u8 = 23;

#[tokio::test]
async fn a_reader_that_is_slow_but_alive_is_not_silent() {
    const COUNT: usize = 240;
    let edge = Edge::start();
    for version in [V5, V311] {
        let hello = Hello { client_id: "slow", keep_alive: 1, ..Hello::default() };
        let (mut slow, _) = Client::connect_with(&edge, version, &hello).await;
        slow.subscribe("t", 0).await;
        let mut publisher = Client::connect(&edge, version, "publisher").await;
        let payload = vec![b'x'; 64 * 1024];
        for _ in 0..COUNT {
            publisher.send(&publish(version, "t", 0, &payload)).await;
        }
        publisher.ping().await;
        // It says that it is there, all the time, and the server does not read it.
        for _ in 0..7 {
            slow.send(&[0xC0, 0]).await;
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        let mut deliveries = 0;
        while deliveries < COUNT {
            deliveries += usize::from(slow.packet().await[0] == 0x30);
        }
        assert_eq!(edge.broker.snapshot().sessions_ended[Ending::KeepAlive as usize], 0);
    }
}

#[tokio::test]
async fn an_answer_is_never_larger_than_the_client_takes() {
    let edge = Edge::start();
    let hello = |size: &'static [u8]| Hello { client_id: "a", keep_alive: 60, properties: size, ..Hello::default() };
    // CONNACK would be one byte too large: refused without Reason String.
    let (mut client, connack) = Client::connect_with(&edge, V5, &hello(&[0x27, 0, 0, 0, CONNACK_SIZE - 1])).await;
    assert_eq!(connack, [0x20, 3, 0, 0x95, 0]);
    client.expect_closed().await;
    // Not even that fits.
    let mut client = Client::open(&edge, V5).await;
    client.send(&hello(&[0x27, 0, 0, 0, 4]).packet(V5)).await;
    client.expect_closed().await;
    assert_eq!(edge.broker.snapshot().connections_refused[Refusal::Unsupported as usize], 2);

    // A SUBACK of 23 bytes is taken, one of 24 is not sent and nothing was subscribed.
    let (mut client, connack) = Client::connect_with(&edge, V5, &hello(&[0x27, 0, 0, 0, CONNACK_SIZE])).await;
    assert_eq!((connack.len(), connack[3]), (usize::from(CONNACK_SIZE), 0));
    let names: Vec<_> = (0..19).map(|number| format!("t/{number}")).collect();
    let filters: Vec<_> = names.iter().map(|name| (name.as_str(), 0)).collect();
    client.send(&subscribe(V5, 1, &filters[..18])).await;
    assert_eq!(client.packet().await.len(), 23);
    client.send(&subscribe(V5, 2, &filters)).await;
    assert_eq!(client.packet().await[..3], [0xE0, 2, 0x95]);
    client.expect_closed().await;
    edge.until(|counted| (counted.connections, counted.subscriptions) == (0, 0)).await;

    let (mut client, _) = Client::connect_with(&edge, V5, &hello(&[0x27, 0, 0, 0, CONNACK_SIZE])).await;
    let filters: Vec<_> = names.iter().map(String::as_str).collect();
    client.send(&unsubscribe(V5, 1, &filters[..18])).await;
    assert_eq!(client.packet().await.len(), 23);
    client.send(&unsubscribe(V5, 2, &filters)).await;
    assert_eq!(client.packet().await[..3], [0xE0, 2, 0x95]);
    client.expect_closed().await;
}

#[tokio::test]
async fn an_acknowledgement_out_of_order_frees_its_place() {
    let edge = Edge::start();
    let hello = Hello { client_id: "a", properties: &[0x21, 0, 2], ..Hello::default() };
    let (mut client, _) = Client::connect_with(&edge, V5, &hello).await;
    client.subscribe("t", 1).await;
    let mut publisher = Client::connect(&edge, V5, "publisher").await;
    for packet_id in 1..=4 {
        publisher.send(&publish(V5, "t", packet_id, b"x")).await;
        publisher.expect(&[0x40, 2, 0, packet_id as u8]).await;
    }
    assert_eq!([client.delivery().await.packet_id, client.delivery().await.packet_id], [1, 2]);
    client.send(&puback(2)).await;
    assert_eq!(client.delivery().await.packet_id, 3);
    client.ping().await;
    client.send(&puback(1)).await;
    assert_eq!(client.delivery().await.packet_id, 4);
}

#[tokio::test]
async fn no_local_is_about_the_client_not_the_connection() {
    let edge = Edge::start();
    let mut client = Client::connect(&edge, V5, "a").await;
    client.send(&subscribe(V5, 1, &[("t", 0x04)])).await;
    client.packet().await;
    let deliver = |client_id: &'static str, peer: bool, payload: &'static str| {
        let peer = peer.then(|| std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into());
        let message = Message {
            id: MessageIds::new().next(0),
            topic: "t".into(),
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            dup: false,
            retain: false,
            publisher: Arc::new(Publisher { client_id: client_id.into(), username: None, peer }),
            properties: None,
            received_at: 0,
        };
        edge.subscriptions.deliver(&message, None)
    };
    assert_eq!(deliver("a", true, "from an earlier connection of the same client"), 0);
    assert_eq!(deliver("b", true, "other"), 1);
    assert_eq!(client.delivery().await.payload, b"other");
    assert_eq!(deliver("a", false, "a Source or Rule of the same name"), 1);
    client.delivery().await;
}

#[tokio::test]
async fn the_longest_keep_alive_holds_for_all_clients() {
    let edge = Edge::start_with(Settings { max_keep_alive: 1, ..settings() });
    for (version, keep_alive) in [(V311, 0), (V311, 60), (V5, 0), (V5, 60)] {
        let hello = Hello { client_id: "a", keep_alive, ..Hello::default() };
        let (mut client, _) = Client::connect_with(&edge, version, &hello).await;
        client.expect_disconnect(0x8D).await;
    }
}

#[tokio::test]
async fn a_packet_that_never_completes_is_no_sign_of_life() {
    let edge = Edge::start();
    for version in [V5, V311] {
        let hello = Hello { client_id: "a", keep_alive: 1, ..Hello::default() };
        let (client, _) = Client::connect_with(&edge, version, &hello).await;
        let (_reading, mut writing) = client.stream.into_split();
        let drip = tokio::spawn(async move {
            let whole = publish(version, "t", 0, &vec![b'x'; 100_000]);
            for byte in whole.chunks(1) {
                if tokio::io::AsyncWriteExt::write_all(&mut writing, byte).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        edge.until(|counted| counted.connections == 0).await;
        drip.abort();
    }
    assert_eq!(edge.broker.snapshot().sessions_ended[Ending::KeepAlive as usize], 2);
}

#[tokio::test]
async fn a_large_packet_on_a_slow_line_arrives() {
    let edge = Edge::start();
    let hello = Hello { client_id: "a", keep_alive: 1, ..Hello::default() };
    let (mut client, _) = Client::connect_with(&edge, V311, &hello).await;
    for piece in publish(V311, "t", 1, &vec![b'x'; 50_000]).chunks(8 * 1024) {
        client.send(piece).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    client.expect(&[0x40, 2, 0, 1]).await;
}

#[tokio::test]
async fn protocol_levels_are_answered_in_a_form_that_the_client_reads() {
    let edge = Edge::start();
    for (name, level, version, answer) in [
        ("MQTT", 0x84, V311, &[0x20, 2, 0, 0][..]), // the bridge of mosquitto
        ("MQTT", 0x83, V311, &[0x20, 2, 0, 1]),
        ("MQIsdp", 0x83, V311, &[0x20, 2, 0, 1]),
        ("MQIsdp", 3, V311, &[0x20, 2, 0, 1]),
        ("MQTT", 3, V311, &[0x20, 2, 0, 1]),
    ] {
        let mut body = string(name);
        body.extend([level, 2, 0, 0]);
        body.extend(string("a"));
        let mut client = Client::open(&edge, version).await;
        client.send(&packet(0x10, &body)).await;
        assert_eq!(client.packet().await, answer, "{name} {level:x}");
    }
    let mut body = string("MQTT");
    body.extend([6, 2, 0, 0, 0]);
    body.extend(string("a"));
    let mut client = Client::open(&edge, V5).await;
    client.send(&packet(0x10, &body)).await;
    assert_eq!(client.packet().await[3], 0x84);
}

#[tokio::test]
async fn a_refused_publication_counts_once() {
    let edge = Edge::start();
    let mut client = Client::connect(&edge, V5, "a").await;
    client.send(&publish(V5, "$t", 1, b"x")).await;
    client.expect(&[0x40, 3, 0, 1, 0x90]).await;
    client.send(&publish(V5, "$t", 0, b"x")).await;
    client.ping().await;
    let counted = edge.broker.snapshot();
    assert_eq!(counted.acknowledged.iter().chain(&counted.publishes_refused).sum::<u64>(), 2, "{counted:?}");
}
