//! Publications: acknowledged in order, when they are safe and not before, and never holding up the reading.

use std::time::{Duration, Instant};

use isthmus_runtime::message::QoS;
use isthmus_runtime::mqtt::Settings;
use isthmus_runtime::mqtt::codec::Version::{V5, V311};
use isthmus_runtime::receipt::Outcome;

use crate::client::{Client, Hello, publish, publish_with, string};
use crate::edge::{Edge, settings};

#[tokio::test]
async fn acknowledgements_wait_for_safety_and_leave_in_order() {
    for version in [V5, V311] {
        let edge = Edge::start();
        edge.routed.hold();
        let mut client = Client::connect(&edge, version, "car").await;
        for packet_id in [5, 3, 9] {
            client.send(&publish(version, "t", packet_id, b"x")).await;
        }
        edge.routed.wait_for(3).await;
        let mut held = edge.routed.take_held();
        client.ping().await;
        held.pop().unwrap().resolve(Outcome::Safe);
        held.pop().unwrap().resolve(Outcome::Safe);
        client.ping().await;
        held.pop().unwrap().resolve(Outcome::Safe);
        for packet_id in [5, 3, 9] {
            client.expect(&[0x40, 2, 0, packet_id]).await;
        }
    }
}

#[tokio::test]
async fn reading_goes_on_while_acknowledgements_are_outstanding() {
    for version in [V5, V311] {
        let edge = Edge::start_with(Settings { receive_maximum: 1000, ..settings() });
        edge.routed.hold();
        let mut client = Client::connect(&edge, version, "car").await;
        let payload = [b'x'; 200];
        for packet_id in 1..=1000 {
            client.send(&publish(version, "t", packet_id, &payload)).await;
        }
        // All thousand are routed though none is acknowledged.
        edge.routed.wait_for(1000).await;
        for receipt in edge.routed.take_held() {
            receipt.resolve(Outcome::Safe);
        }
        for packet_id in 1..=1000u16 {
            let [high, low] = packet_id.to_be_bytes();
            client.expect(&[0x40, 2, high, low]).await;
        }
    }
}

#[tokio::test]
async fn reading_from_3_1_1_clients_pauses_at_the_limit() {
    let edge = Edge::start_with(Settings { receive_maximum: 10, ..settings() });
    edge.routed.hold();
    let mut client = Client::connect(&edge, V311, "car").await;
    let mut bytes = Vec::new();
    for packet_id in 1..=35 {
        bytes.extend(publish(V311, "t", packet_id, b"x"));
    }
    client.send(&bytes).await;
    let mut acknowledged = 0;
    for round in [10, 10, 10, 5] {
        edge.routed.wait_for(acknowledged + round).await;
        let held = edge.routed.take_held();
        assert_eq!(held.len(), round);
        for receipt in held {
            receipt.resolve(Outcome::Safe);
            acknowledged += 1;
            client.expect(&[0x40, 2, 0, acknowledged as u8]).await;
        }
    }
}

#[tokio::test]
async fn a_5_0_client_that_exceeds_receive_maximum_is_disconnected() {
    let edge = Edge::start_with(Settings { receive_maximum: 3, ..settings() });
    edge.routed.hold();
    let mut client = Client::connect(&edge, V5, "car").await;
    for packet_id in 1..=4 {
        client.send(&publish(V5, "t", packet_id, b"x")).await;
    }
    client.expect_disconnect(0x93).await;
    assert_eq!(edge.routed.messages.lock().len(), 3);
}

#[tokio::test]
async fn a_window_that_is_used_up_again_and_again_is_never_exceeded() {
    let edge = Edge::start_with(Settings { receive_maximum: 3, ..settings() });
    let mut client = Client::connect(&edge, V5, "car").await;
    for round in 0..200u16 {
        let ids = [1, 2, 3].map(|offset| round * 3 + offset);
        client.send(&ids.map(|id| publish(V5, "t", id, b"x")).concat()).await;
        for id in ids {
            let [high, low] = id.to_be_bytes();
            client.expect(&[0x40, 3, high, low, 0x10]).await;
        }
    }
}

#[tokio::test]
async fn failures_are_told_in_5_0_and_close_3_1_1_when_a_re_send_helps() {
    for (outcome, reason, v311_goes_on) in
        [(Outcome::Rejected, 0x80, true), (Outcome::QuotaExceeded, 0x97, false), (Outcome::Unavailable, 0x80, false)]
    {
        let edge = Edge::start();
        edge.routed.settle_as(outcome);
        let mut client = Client::connect(&edge, V5, "five").await;
        client.send(&publish(V5, "t", 1, b"x")).await;
        client.expect(&[0x40, 3, 0, 1, reason]).await;
        client.ping().await;
        let mut client = Client::connect(&edge, V311, "three").await;
        client.send(&publish(V311, "t", 1, b"x")).await;
        if v311_goes_on {
            client.expect(&[0x40, 2, 0, 1]).await;
            client.ping().await;
        } else {
            client.expect_closed().await;
        }
    }
}

#[tokio::test]
async fn a_publication_without_answer_fails_when_patience_is_over() {
    let edge = Edge::start();
    edge.routed.hold_for(Duration::from_millis(300));
    let mut client = Client::connect(&edge, V5, "car").await;
    let started = Instant::now();
    client.send(&publish(V5, "t", 1, b"x")).await;
    client.expect(&[0x40, 3, 0, 1, 0x80]).await;
    assert!(started.elapsed() >= Duration::from_millis(300));
    // A later publication has its own deadline, and the late receipt of the first changes nothing.
    client.send(&publish(V5, "t", 2, b"x")).await;
    edge.routed.wait_for(2).await;
    for receipt in edge.routed.take_held() {
        receipt.resolve(Outcome::Safe);
    }
    client.expect(&[0x40, 2, 0, 2]).await;
}

#[tokio::test]
async fn topics_and_payloads_that_are_not_accepted_fail_alone() {
    let edge = Edge::start();
    let deep = "l/".repeat(16);
    let mut client = Client::connect(&edge, V5, "five").await;
    for (bytes, reason) in [
        (publish(V5, "$SYS/broker", 1, b"x"), 0x90),
        (publish(V5, &deep, 1, b"x"), 0x90),
        (publish_with(V5, "t", 1, &[0x01, 1], &[0xff]), 0x99),
        (publish_with(V5, "t", 1, &[0x01, 1], "é".as_bytes()), 0x10),
        (publish_with(V5, "t", 1, &[0x01, 0], &[0xff]), 0x10),
    ] {
        client.send(&bytes).await;
        client.expect(&[0x40, 3, 0, 1, reason]).await;
    }
    client.send(&publish(V5, "$SYS/broker", 0, b"x")).await;
    client.ping().await;
    let mut client = Client::connect(&edge, V311, "three").await;
    client.send(&publish(V311, "$SYS/broker", 1, b"x")).await;
    client.expect(&[0x40, 2, 0, 1]).await;
    assert_eq!(edge.routed.messages.lock().len(), 2);
    assert_eq!(edge.broker.snapshot().publishes_refused, [4, 1]);
}

#[tokio::test]
async fn a_repeated_packet_identifier_never_acknowledges_another_message() {
    let edge = Edge::start();
    edge.routed.hold();
    let mut first = publish(V311, "t", 1, b"x");
    let mut client = Client::connect(&edge, V311, "repeats").await;
    client.send(&first).await;
    first[0] |= 0x08;
    client.send(&first).await;
    client.ping().await;
    let mut held = edge.routed.take_held();
    assert_eq!(held.len(), 1, "the copy is not a second message");
    held.remove(0).resolve(Outcome::Safe);
    client.expect(&[0x40, 2, 0, 1]).await;
    client.ping().await;
    for version in [V5, V311] {
        let mut client = Client::connect(&edge, version, "confused").await;
        client.send(&publish(version, "t", 1, b"x")).await;
        client.send(&publish(version, "t", 1, b"y")).await;
        client.expect_disconnect(0x82).await;
    }
}

#[tokio::test]
async fn rules_see_who_published_what() {
    let edge = Edge::start();
    let hello = Hello { client_id: "car-7", username: Some("driver"), ..Hello::default() };
    let (mut client, _) = Client::connect_with(&edge, V5, &hello).await;
    let peer = client.stream.local_addr().unwrap();
    let mut properties = vec![0x02, 0, 0, 0, 60, 0x01, 1, 0x09, 0, 2, 7, 8];
    for name in ["b", "a", "b"] {
        properties.push(0x26);
        properties.extend(string(name));
        properties.extend(string("1"));
    }
    let mut bytes = publish_with(V5, "vehicles/7", 1, &properties, b"{}");
    bytes[0] |= 0x08;
    client.send(&bytes).await;
    client.send(&publish(V5, "vehicles/8", 0, b"")).await;
    let messages = edge.routed.wait_for(2).await;
    let [first, second] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(
        (&*first.topic, &*first.payload, first.qos, first.dup),
        ("vehicles/7", &b"{}"[..], QoS::AtLeastOnce, true)
    );
    assert_eq!(&*first.publisher.client_id, "car-7");
    assert_eq!(first.publisher.username.as_deref(), Some("driver"));
    assert_eq!(first.publisher.peer.as_ref().map(|known| &**known.name()), Some(&*peer.to_string()));
    let properties = first.properties.as_ref().unwrap();
    assert_eq!((properties.message_expiry, properties.payload_format), (Some(60), Some(1)));
    assert_eq!(properties.correlation_data.as_deref(), Some(&[7, 8][..]));
    let names: Vec<_> = properties.user_properties.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["b", "a", "b"]);
    assert_eq!((second.qos, second.properties.is_none()), (QoS::AtMostOnce, true));
    assert!(second.id > first.id);
}
