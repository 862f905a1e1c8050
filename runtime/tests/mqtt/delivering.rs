//! Deliveries: who gets what, once, in order, with which QoS, and that a slow subscriber is nobody else's problem.

use std::sync::Arc;
use std::time::{Duration, Instant};

use isthmus_runtime::memory::Budget;
use isthmus_runtime::message::{Message, MessageIds, PublishProperties, Publisher, QoS, now_millis};
use isthmus_runtime::mqtt::Settings;
use isthmus_runtime::mqtt::codec::Version::{V5, V311};
use isthmus_runtime::mqtt::counters::Dropped;
use isthmus_runtime::receipt::{Outcome, Window};

use crate::client::{Client, Hello, puback, publish, publish_with, string, subscribe, unsubscribe};
use crate::edge::{Edge, settings};

/// A message as a Source brings it.
fn from_source(topic: &str, qos: QoS) -> Message {
    let publisher = Publisher { client_id: "source".into(), username: None, peer: None };
    let now = now_millis();
    Message {
        id: MessageIds::new().next(now),
        topic: topic.into(),
        payload: "x".into(),
        qos,
        dup: false,
        retain: false,
        publisher: Arc::new(publisher),
        properties: None,
        received_at: now,
    }
}

#[tokio::test]
async fn a_publication_reaches_its_subscribers_in_both_versions() {
    let edge = Edge::start();
    let mut subscribers = Vec::new();
    for (version, client_id) in [(V5, "a"), (V311, "b")] {
        let mut subscriber = Client::connect(&edge, version, client_id).await;
        subscriber.subscribe("vehicles/+/telemetry", 1).await;
        subscribers.push(subscriber);
    }
    for version in [V5, V311] {
        let mut publisher = Client::connect(&edge, version, "publisher").await;
        for (topic, packet_id, payload) in
            [("vehicles/7/telemetry", 1, b"one"), ("vehicles/7/other", 2, b"two"), ("vehicles/7/telemetry", 0, b"six")]
        {
            publisher.send(&publish(version, topic, packet_id, payload)).await;
        }
        publisher.expect(&[0x40, 2, 0, 1]).await;
        publisher.packet().await;
    }
    for subscriber in &mut subscribers {
        for packet_id in [1, 2] {
            let first = subscriber.delivery().await;
            assert_eq!(
                (first.topic.as_str(), first.packet_id, &first.payload[..]),
                ("vehicles/7/telemetry", packet_id, &b"one"[..])
            );
            let second = subscriber.delivery().await;
            assert_eq!((second.packet_id, &second.payload[..]), (0, &b"six"[..]));
        }
        subscriber.send(&puback(1)).await;
        subscriber.send(&puback(2)).await;
        subscriber.ping().await;
    }
    assert_eq!(edge.broker.snapshot().deliveries, [4, 4]);
}

#[tokio::test]
async fn overlapping_subscriptions_deliver_once_with_the_highest_qos() {
    let edge = Edge::start();
    let mut client = Client::connect(&edge, V5, "a").await;
    client.send(&subscribe(V5, 1, &[("t/#", 0), ("t/+", 1), ("t/x", 0), ("#", 0)])).await;
    client.packet().await;
    client.send(&publish(V5, "t/x", 1, b"1")).await;
    let mut packets = [client.packet().await, client.packet().await];
    packets.sort();
    assert_eq!((packets[0][0], packets[1][0]), (0x32, 0x40), "one delivery with QoS 1, one PUBACK");
    client.ping().await;
}

#[tokio::test]
async fn no_local_leaves_out_what_the_client_published_itself() {
    let edge = Edge::start();
    let mut client = Client::connect(&edge, V5, "a").await;
    client.send(&subscribe(V5, 1, &[("t", 0x04)])).await;
    client.packet().await;
    client.send(&publish(V5, "t", 1, b"own")).await;
    client.expect(&[0x40, 3, 0, 1, 0x10]).await;
    let mut other = Client::connect(&edge, V5, "b").await;
    other.send(&publish(V5, "t", 1, b"other")).await;
    assert_eq!(client.delivery().await.payload, b"other");
}

#[tokio::test]
async fn unsubscribed_filters_deliver_no_more() {
    let edge = Edge::start();
    let mut client = Client::connect(&edge, V5, "a").await;
    client.subscribe("t/#", 0).await;
    client.send(&unsubscribe(V5, 2, &["t/#", "t/#", "u"])).await;
    client.expect(&[0xB0, 6, 0, 2, 0, 0, 0x11, 0x11]).await;
    client.send(&publish(V5, "t/x", 1, b"1")).await;
    client.expect(&[0x40, 3, 0, 1, 0x10]).await;
    let mut client = Client::connect(&edge, V311, "b").await;
    client.send(&unsubscribe(V311, 2, &["t"])).await;
    client.expect(&[0xB0, 2, 0, 2]).await;
}

#[tokio::test]
async fn topics_of_any_script_work() {
    let edge = Edge::start();
    let mut client = Client::connect(&edge, V311, "a").await;
    for (packet_id, topic) in ["é", "температура/1", "温度", "🚗/7", "/", "//", "a//b", " "].into_iter().enumerate()
    {
        client.subscribe(topic, 0).await;
        client.send(&publish(V311, topic, packet_id as u16 + 1, b"x")).await;
        let mut packets = [client.packet().await, client.packet().await];
        packets.sort();
        assert_eq!((packets[0][0], packets[1][0]), (0x30, 0x40), "{topic}");
    }
}

#[tokio::test]
async fn dollar_topics_are_not_for_wildcards_at_the_front() {
    let edge = Edge::start();
    let mut client = Client::connect(&edge, V5, "a").await;
    client.send(&subscribe(V5, 1, &[("#", 0), ("+/x", 0)])).await;
    client.packet().await;
    assert_eq!(edge.subscriptions.deliver(&from_source("$SYS/x", QoS::AtMostOnce), None), 0);
    client.subscribe("$SYS/#", 0).await;
    assert_eq!(edge.subscriptions.deliver(&from_source("$SYS/x", QoS::AtMostOnce), None), 1);
    assert_eq!(client.delivery().await.topic, "$SYS/x");
}

#[tokio::test]
async fn properties_travel_to_5_0_subscribers() {
    let edge = Edge::start();
    let mut five = Client::connect(&edge, V5, "five").await;
    let mut three = Client::connect(&edge, V311, "three").await;
    five.subscribe("t", 0).await;
    three.subscribe("t", 0).await;
    let mut properties = vec![0x01, 1, 0x02, 0, 0, 1, 0, 0x03];
    properties.extend(string("text/plain"));
    properties.push(0x08);
    properties.extend(string("answer"));
    properties.extend([0x09, 0, 1, 42]);
    for name in ["k", "k"] {
        properties.push(0x26);
        properties.extend(string(name));
        properties.extend(string("v"));
    }
    let mut publisher = Client::connect(&edge, V5, "publisher").await;
    publisher.send(&publish_with(V5, "t", 0, &properties, b"hello")).await;
    assert_eq!(five.delivery().await.properties, properties);
    assert_eq!(three.delivery().await.payload, b"hello");
}

#[tokio::test]
async fn message_expiry_counts_down_and_expired_messages_are_not_delivered() {
    let edge = Edge::start();
    let mut client = Client::connect(&edge, V5, "a").await;
    client.subscribe("t", 0).await;
    let expiring = |seconds: u32, age: i64| {
        let mut message = from_source("t", QoS::AtMostOnce);
        message.received_at -= age;
        message.properties =
            Some(Arc::new(PublishProperties { message_expiry: Some(seconds), ..PublishProperties::default() }));
        message
    };
    edge.subscriptions.deliver(&expiring(10, 11_000), None);
    edge.subscriptions.deliver(&expiring(100, 40_000), None);
    let delivery = client.delivery().await;
    assert_eq!(delivery.properties[0], 0x02);
    let left = u32::from_be_bytes(delivery.properties[1..].try_into().unwrap());
    assert!((50..=60).contains(&left), "{left} seconds left");
    assert_eq!(edge.broker.snapshot().deliveries_dropped[Dropped::Expired as usize], 1);
}

#[tokio::test]
async fn the_clients_limits_are_respected() {
    let edge = Edge::start();
    // Receive Maximum 2, Maximum Packet Size 30.
    let hello = Hello { client_id: "a", properties: &[0x21, 0, 2, 0x27, 0, 0, 0, 30], ..Hello::default() };
    let mut client = Client::open(&edge, V5).await;
    client.send(&hello.packet(V5)).await;
    client.packet().await;
    client.subscribe("t", 1).await;
    let mut publisher = Client::connect(&edge, V5, "publisher").await;
    for packet_id in 1..=5 {
        publisher.send(&publish(V5, "t", packet_id, if packet_id == 2 { &[0; 30] } else { b"x" })).await;
        publisher.expect(&[0x40, 2, 0, packet_id as u8]).await;
    }
    assert_eq!(client.delivery().await.packet_id, 1);
    assert_eq!(client.delivery().await.packet_id, 2);
    client.ping().await;
    assert_eq!(edge.broker.snapshot().deliveries_dropped[Dropped::TooLarge as usize], 1);
    client.send(&puback(1)).await;
    assert_eq!(client.delivery().await.packet_id, 3);
    client.ping().await;
    client.send(&puback(2)).await;
    client.send(&puback(3)).await;
    assert_eq!(client.delivery().await.packet_id, 4);
    assert_eq!(edge.broker.snapshot().deliveries, [0, 4]);
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_does_not_slow_the_publisher() {
    let edge = Edge::start();
    let mut idle = Client::connect(&edge, V311, "idle").await;
    let mut busy = Client::connect(&edge, V311, "busy").await;
    idle.subscribe("t", 0).await;
    busy.subscribe("t", 0).await;
    let mut publisher = Client::connect(&edge, V5, "publisher").await;
    let payload = vec![b'x'; 10_000];
    let started = Instant::now();
    // 50 MB: more than sockets and queue of the idle client hold.
    for round in 0..50 {
        let mut bytes = Vec::new();
        for index in 0..100 {
            bytes.extend(publish(V5, "t", round * 100 + index + 1, &payload));
        }
        publisher.send(&bytes).await;
        for _ in 0..100 {
            publisher.packet().await;
            busy.delivery().await;
        }
    }
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert!(edge.broker.snapshot().deliveries_dropped[Dropped::QueueFull as usize] > 0);
    // It missed the newest, not the beginning, and still works.
    for _ in 0..500 {
        assert_eq!(idle.delivery().await.payload, payload);
    }
}

#[tokio::test]
async fn a_subscriber_that_never_reads_holds_no_more_than_its_queue_may() {
    let memory = Budget::new(Some(1 << 30));
    let bound = 2 * 1024 * 1024;
    let edge = Edge::start_with(Settings { max_queued_bytes: bound, memory: Arc::clone(&memory), ..settings() });
    let mut stuck = Client::connect(&edge, V5, "stuck").await;
    stuck.subscribe("t", 1).await;
    let mut publisher = Client::connect(&edge, V5, "publisher").await;
    let payload = vec![b'x'; 500_000];
    // 50 MB: more than sockets and queue hold, and fewer messages than may wait.
    for packet_id in 1..=100 {
        publisher.send(&publish(V5, "t", packet_id, &payload)).await;
        publisher.packet().await;
        assert!(memory.usage().granted <= bound as u64 + (32 << 10), "{:?}", memory.usage());
    }
    assert!(memory.usage().granted > bound as u64 / 2, "{:?}", memory.usage());
    let dropped = edge.broker.snapshot().deliveries_dropped[Dropped::QueueFull as usize];
    assert!((50..100).contains(&dropped), "{dropped}");
    // It reads after all: nothing is held for it any more, though it stays.
    for _ in 0..100 - dropped {
        assert_eq!(stuck.delivery().await.payload, payload);
    }
    edge.until(|counted| memory.usage().granted == 0 && counted.connections == 2).await;
}

#[tokio::test]
async fn a_full_queue_drops_qos_0_first_and_then_the_oldest() {
    let edge = Edge::start_with(Settings { max_queued_messages: 3, receive_maximum: 1, ..settings() });
    let mut client = Client::connect(&edge, V311, "a").await;
    client.subscribe("t", 1).await;
    let send = |payload: &'static str, qos| {
        let mut message = from_source("t", qos);
        message.payload = payload.into();
        assert_eq!(edge.subscriptions.deliver(&message, None), 1);
    };
    // In flight from here on: nothing else is sent before its PUBACK.
    send("first", QoS::AtLeastOnce);
    assert_eq!(client.delivery().await.payload, b"first");
    for (payload, qos) in [
        ("1a", QoS::AtLeastOnce),
        ("0a", QoS::AtMostOnce),
        ("0b", QoS::AtMostOnce),
        ("0c", QoS::AtMostOnce),  // the queue is full: not taken
        ("1b", QoS::AtLeastOnce), // in place of 0a
        ("1c", QoS::AtLeastOnce), // in place of 0b
        ("1d", QoS::AtLeastOnce), // in place of 1a
    ] {
        send(payload, qos);
    }
    assert_eq!(edge.broker.snapshot().deliveries_dropped[Dropped::QueueFull as usize], 4);
    client.send(&puback(1)).await;
    for (packet_id, expected) in [(2, "1b"), (3, "1c"), (4, "1d")] {
        assert_eq!(client.delivery().await.payload, expected.as_bytes());
        client.send(&puback(packet_id)).await;
    }
    client.ping().await;
}

#[tokio::test]
async fn a_source_learns_what_became_of_its_deliveries() {
    let edge = Edge::start();
    let mut window = Window::for_source();
    let route = |window: &mut Window<&'static str>, tag, qos| {
        window.track(Instant::now(), tag, |tracker| {
            edge.subscriptions.deliver(&from_source("t", qos), Some(tracker));
        });
    };
    route(&mut window, "nobody", QoS::AtLeastOnce);
    assert_eq!(window.pop_settled(), Some(("nobody", Outcome::Unmatched)));

    let mut client = Client::connect(&edge, V5, "a").await;
    client.subscribe("t", 1).await;
    route(&mut window, "qos 0", QoS::AtMostOnce);
    assert_eq!(window.pop_settled(), Some(("qos 0", Outcome::Safe)));
    client.delivery().await;

    route(&mut window, "acknowledged", QoS::AtLeastOnce);
    route(&mut window, "refused", QoS::AtLeastOnce);
    route(&mut window, "gone", QoS::AtLeastOnce);
    let ids = [client.delivery().await.packet_id, client.delivery().await.packet_id, client.delivery().await.packet_id];
    assert_eq!(window.pop_settled(), None);
    assert!(window.next_deadline().is_some());
    client.send(&puback(ids[0])).await;
    client.send(&[0x40, 3, 0, ids[1] as u8, 0x83]).await;
    client.ping().await;
    window.collect();
    assert_eq!(window.pop_settled(), Some(("acknowledged", Outcome::Safe)));
    assert_eq!(window.pop_settled(), Some(("refused", Outcome::Rejected)));
    assert_eq!(window.pop_settled(), None);
    drop(client);
    edge.until(|counted| counted.connections == 0).await;
    window.inbox().resolved().await;
    window.collect();
    assert_eq!(window.pop_settled(), Some(("gone", Outcome::Rejected)));
}

#[tokio::test]
async fn a_silent_subscriber_is_waited_for_once_and_again_after_it_acknowledged() {
    let edge = Edge::start_with_patience(Duration::from_millis(100));
    let mut silent = Client::connect(&edge, V5, "silent").await;
    let mut healthy = Client::connect(&edge, V5, "healthy").await;
    silent.subscribe("t", 1).await;
    healthy.subscribe("t", 1).await;
    let mut window = Window::for_source();
    let route = |window: &mut Window<u16>, tag| {
        window.track(Instant::now(), tag, |tracker| {
            edge.subscriptions.deliver(&from_source("t", QoS::AtLeastOnce), Some(tracker));
        });
    };
    // The first that are on their way together all wait for it, until the same moment.
    for record in 1..=2 {
        route(&mut window, record);
        let delivery = healthy.delivery().await;
        healthy.send(&puback(delivery.packet_id)).await;
        healthy.ping().await;
    }
    window.collect();
    assert_eq!(window.pop_settled(), None);
    while let Some(deadline) = window.next_deadline() {
        tokio::time::sleep_until(deadline.into()).await;
        window.expire(Instant::now());
    }
    assert_eq!(window.pop_settled(), Some((1, Outcome::Unavailable)));
    assert_eq!(window.pop_settled(), Some((2, Outcome::Unavailable)));

    for record in 3..=50 {
        route(&mut window, record);
        let delivery = healthy.delivery().await;
        assert_eq!(window.pop_settled(), None, "the healthy one is waited for");
        healthy.send(&puback(delivery.packet_id)).await;
        healthy.ping().await;
        window.collect();
        assert_eq!(window.pop_settled(), Some((record, Outcome::Safe)));
    }
    healthy.send(&unsubscribe(V5, 2, &["t"])).await;
    healthy.packet().await;
    route(&mut window, 51);
    assert_eq!(window.pop_settled(), Some((51, Outcome::Unavailable)), "nobody confirms it");

    // Not waiting for it is not leaving it out.
    let mut last = 0;
    for record in 1..=51 {
        last = silent.delivery().await.packet_id;
        assert_eq!(last, record);
    }
    silent.send(&puback(last)).await;
    silent.ping().await;
    route(&mut window, 52);
    let delivery = silent.delivery().await;
    window.collect();
    assert_eq!(window.pop_settled(), None, "it is waited for again");
    silent.send(&puback(delivery.packet_id)).await;
    silent.ping().await;
    window.collect();
    assert_eq!(window.pop_settled(), Some((52, Outcome::Safe)));
}

#[tokio::test]
async fn many_deliveries_arrive_complete_and_in_order() {
    let edge = Edge::start_with(Settings { max_queued_messages: 100_000, ..settings() });
    let mut client = Client::connect(&edge, V5, "a").await;
    client.subscribe("t", 1).await;
    let subscriptions = Arc::clone(&edge.subscriptions);
    let publishing = std::thread::spawn(move || {
        for index in 0..50_000u32 {
            let mut message = from_source("t", QoS::AtLeastOnce);
            message.payload = index.to_be_bytes().to_vec().into();
            subscriptions.deliver(&message, None);
        }
    });
    for index in 0..50_000u32 {
        let delivery = client.delivery().await;
        assert_eq!(delivery.payload, index.to_be_bytes());
        client.send(&puback(delivery.packet_id)).await;
    }
    publishing.join().unwrap();
    assert_eq!(edge.broker.snapshot().deliveries[1], 50_000);
}

#[tokio::test]
async fn a_new_topic_costs_the_same_with_many_filters() {
    let edge = Edge::start_with(Settings { max_subscriptions: 20_000, ..settings() });
    let mut client = Client::connect(&edge, V5, "a").await;
    for batch in 0..200 {
        let filters: Vec<String> = (0..100).map(|index| format!("fleet/{}/+/state", batch * 100 + index)).collect();
        let filters: Vec<_> = filters.iter().map(|filter| (filter.as_str(), 0)).collect();
        client.send(&subscribe(V5, 1, &filters)).await;
        client.packet().await;
    }
    assert_eq!(edge.subscriptions.len(), 20_000);
    let started = Instant::now();
    for index in 0..20_000 {
        let handed =
            edge.subscriptions.deliver(&from_source(&format!("fleet/{index}/{index}/state"), QoS::AtMostOnce), None);
        assert_eq!(handed, 1);
    }
    // A broker that looks at every filter takes a millisecond per topic.
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}
